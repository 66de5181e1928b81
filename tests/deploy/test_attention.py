"""Attention of torch in an export: the same numbers, for any number of objects."""

import io
import warnings

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional

from weaver_tt.deploy.attention import PROJECTION, attention_of_any_length, project_packed


class Encoder(nn.Module):
    """Attention among objects, or of one query to all of them."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, objects):
        if self.kind == "among":
            return self.layer(objects).mean(1)
        query = objects.mean(1, keepdim=True)
        return self.attention(query, objects, objects, need_weights=False)[0].squeeze(1)


@pytest.mark.parametrize("kind", ["among", "of one query"])
def test_onnx_runtime_gives_torchs_numbers_for_any_number_of_objects(kind):
    torch.manual_seed(0)
    network = Encoder(kind).eval()
    file = io.BytesIO()
    with warnings.catch_warnings(), attention_of_any_length():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.randn(2, 5, 8),),
            file,
            dynamo=False,
            opset_version=17,
            input_names=["objects"],
            dynamic_axes={"objects": {0: "N", 1: "P"}},
        )
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    for rows, slots in ((1, 1), (3, 5), (2, 9)):
        objects = torch.randn(rows, slots, 8)
        [found] = session.run(None, {"objects": objects.numpy()})
        with torch.no_grad():
            np.testing.assert_allclose(found, network(objects).numpy(), atol=1e-6)


@pytest.mark.parametrize("bias", [None, torch.arange(12.0)])
def test_projections_are_those_of_torch(bias):
    random = torch.Generator().manual_seed(1)
    one, two, three = (torch.randn(3, 2, 4, generator=random) for _ in range(3))
    weight = torch.randn(12, 4, generator=random)
    original = getattr(functional, PROJECTION)
    for inputs in ((one, one, one), (one, two, two), (one, two, three)):
        expected = original(*inputs, weight, bias)
        torch.testing.assert_close(project_packed(*inputs, weight, bias), list(expected))


def test_torch_is_left_as_it_was():
    original = getattr(functional, PROJECTION)
    with attention_of_any_length():
        assert getattr(functional, PROJECTION) is project_packed
    assert getattr(functional, PROJECTION) is original
    with pytest.raises(ZeroDivisionError), attention_of_any_length():
        1 / 0  # noqa: B018
    assert getattr(functional, PROJECTION) is original
