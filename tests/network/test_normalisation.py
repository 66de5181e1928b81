"""The constant of a ratio, beside the weights that it belongs to."""

from copy import deepcopy

import torch
from torch import nn

from weaver_tt.network.normalisation import attach_normalisation, find_normalisation


class TwoHeads(nn.Module):
    """Twice its input, and the input itself."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        """(N, 1) -> two of (N, 1)."""
        return self.factor * x, x


def test_the_constant_is_added_to_the_first_output_alone():
    module = TwoHeads()
    attach_normalisation(module)
    x = torch.tensor([[1.0], [3.0]])
    assert module(x)[0].flatten().tolist() == [2, 6]
    find_normalisation(module).shift.fill_(0.5)
    first, second = module(x)
    assert first.flatten().tolist() == [2.5, 6.5]
    assert second is x


def test_the_constant_is_saved_beside_weights_that_keep_their_names():
    module = TwoHeads()
    attach_normalisation(module)
    find_normalisation(module).shift.fill_(0.5)
    state = module.state_dict()
    assert list(state) == ["factor", "ratio_normalisation.shift"]
    other = TwoHeads()
    attach_normalisation(other)
    other.load_state_dict(state)
    assert other(torch.tensor([[1.0]]))[0].item() == 2.5


def test_a_copy_has_a_constant_of_its_own():
    module = TwoHeads()
    attach_normalisation(module)
    copied = deepcopy(module)
    find_normalisation(copied).shift.fill_(1.0)
    one = torch.tensor([[1.0]])
    assert copied(one)[0].item() == 3
    assert module(one)[0].item() == 2


def test_a_half_precision_output_is_shifted_in_full_precision():
    module = nn.Linear(1, 1).to(torch.bfloat16)
    attach_normalisation(module)
    # of 1 + 2^-10, bfloat16 has no digit left
    find_normalisation(module).shift.fill_(2.0**-10)
    with torch.no_grad():
        module.weight.zero_()
        module.bias.fill_(1.0)
    assert module(torch.ones(1, 1, dtype=torch.bfloat16)).item() == 1 + 2.0**-10


def test_a_network_without_a_ratio_has_no_constant():
    assert find_normalisation(nn.Linear(1, 1)) is None
