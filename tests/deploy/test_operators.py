"""An operation that ONNX does not have is named, with the line that calls it."""

import re

import pytest
import torch
from torch import Tensor, nn

from weaver_tt.deploy.operators import (
    explain_export_error,
    explain_runtime_error,
    find_order_operations,
)


class Spectrum(nn.Module):
    """Something that ONNX cannot say."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, P, P) -> (N, P)."""
        return torch.linalg.eigvalsh(x)  # the line to be told


class Outer(nn.Module):
    """A network with it inside."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, x: Tensor) -> Tensor:
        """(N, P, P) -> (N, P)."""
        return self.part(x) + 1


class Median(nn.Module):
    """A method of a tensor."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, P, P) -> (N, P)."""
        return x.kthvalue(2).values


def complaint(module: nn.Module) -> str:
    """What is said of a module that cannot be exported."""
    inputs = (torch.randn(2, 3, 3),)
    with pytest.raises(torch.onnx.errors.OnnxExporterError) as raised:
        torch.onnx.export(module.eval(), inputs, "/dev/null", dynamo=False, opset_version=17)
    return explain_export_error(raised.value, module, inputs, 17)


@pytest.mark.filterwarnings("ignore")  # the exporter announces its own retirement
@pytest.mark.parametrize(
    ("part", "operation", "line"),
    [
        (Spectrum(), "linalg_eigvalsh", "return torch.linalg.eigvalsh(x)"),
        (Median(), "kthvalue", "return x.kthvalue(2).values"),
    ],
)
def test_operation_file_and_line_are_told(part, operation, line):
    message = complaint(Outer(part))
    assert f"ONNX operator set 17 has nothing for torch's {operation!r}" in message
    assert re.search(rf"test_operators\.py, line \d+: {re.escape(line)}", message)
    assert "torch.onnx.is_in_onnx_export()" in message


def test_a_complaint_without_an_operation_is_told_as_it_is():
    assert (
        explain_export_error(
            ValueError("no such thing\nand more"), nn.Identity(), (torch.zeros(1),), 17
        )
        == "no such thing"
    )
    assert explain_export_error(ValueError(), nn.Identity(), (torch.zeros(1),), 17) == "ValueError"


def test_a_call_that_python_does_not_see_is_named_without_its_line():
    error = ValueError(
        "Exporting the operator 'aten::histc' to ONNX opset version 17 is not supported"
    )
    message = explain_export_error(error, nn.Identity(), (torch.zeros(1),), 17)
    assert message.startswith("ONNX operator set 17 has nothing for torch's 'histc'. Write it")


class Twice(nn.Module):
    """Calls an operation on two lines, first in place."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, P, P) -> (N, P, P)."""
        x = x.clone().add_(2)
        return x.add(1)


def test_the_first_call_is_told_in_place_or_not():
    error = ValueError("Exporting the operator 'aten::add' is not supported")
    message = explain_export_error(error, Twice(), (torch.zeros(1, 2, 2),), 17)
    assert re.search(r"test_operators\.py, line \d+: x = x\.clone\(\)\.add_\(2\)\)", message)


def test_a_node_that_fails_is_named_with_its_module_and_the_reason():
    message = (
        "m.onnx: ONNX Runtime cannot run inputs of shape {'x': (1, 1)}: [ONNXRuntimeError] : 1 : "
        "FAIL : Non-zero status code returned while running Reshape node. "
        "Name:'/members.0/enc/layers.1/self_attn/Reshape_4' Status Message: /a/reshape_helper.h:91 "
        "onnxruntime::ReshapeHelper(const TensorShape&, bool) the shapes do not fit. "
        "Input shape:{1,1,8}, requested shape:{16,2,4}\n"
    )
    assert explain_runtime_error(message) == (
        "Reshape in the module enc.layers.1.self_attn: the shapes do not fit. "
        "Input shape:{1,1,8}, requested shape:{16,2,4}"
    )
    assert explain_runtime_error("something else") == "something else"


@pytest.mark.filterwarnings("ignore")  # the exporter announces its own retirement
def test_operations_that_leave_the_order_of_equal_values_open_are_found(tmp_path):
    class Leading(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.topk(2, dim=1).values

    network = Outer(nn.Sequential(Leading(), Leading()))
    path = tmp_path / "m.onnx"
    torch.onnx.export(network, (torch.randn(2, 3),), str(path), dynamo=False, opset_version=17)
    assert find_order_operations(path) == [
        "TopK in the module part.0",
        "TopK in the module part.1",
    ]
