"""Names chosen by regular expressions."""

import pytest
import torch
from torch import nn

from weaver_tt.errors import ConfigError
from weaver_tt.network.name_patterns import match_names
from weaver_tt.network.network import Network
from weaver_tt.network.weights import freeze_weights


class Net(nn.Module):
    """A body with a batch norm, and a head."""

    def __init__(self, size=3, classes=2):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, size), nn.BatchNorm1d(size))
        self.head = nn.Linear(size, classes)

    def forward(self, x):
        """(N, 2) -> (N, classes)."""
        return self.head(self.body(x))


def network(seed=0, **options):
    torch.manual_seed(seed)
    return Network(Net(**options), ["x"], "net.py")


def test_an_expression_that_matches_nothing_is_a_mistake():
    with pytest.raises(
        ConfigError,
        match=r"--freeze-model-weights: 'haed.bias' matches no name from its beginning; "
        r"did you mean 'head.bias'",
    ):
        freeze_weights(network(), "body,haed.bias")
    with pytest.raises(ConfigError, match="'he\\(ad' is not a regular expression"):
        freeze_weights(network(), "he(ad")
    assert match_names(["b", ".*d"], ["abc", "bcd", "cd"], "-x") == {"bcd", "cd"}
