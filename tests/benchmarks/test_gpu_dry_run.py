"""What the dry run for GPUs covers and takes for waiting; the run itself needs a CUDA build."""

import importlib.util
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from tests.old_versions import HAS_NO_FAKE_GPU

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def dry_run():
    path = ROOT / "benchmarks" / "gpu_dry_run.py"
    spec = importlib.util.spec_from_file_location("gpu_dry_run", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_network_is_covered(dry_run):
    files = {path.stem for path in (ROOT / "network_configs").glob("*.py")}
    assert {file for file, _, _ in dry_run.PASSES} == files


def test_without_cuda_it_says_what_it_needs(dry_run, capsys, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    assert dry_run.main() == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert "CUDA build of torch" in line


@pytest.fixture
def on_device(dry_run):
    """A tensor on a GPU that is not there."""
    if HAS_NO_FAKE_GPU:
        pytest.skip("torch before 2.10 makes no fake tensors for a GPU that is not there")
    with FakeTensorMode() as mode:
        return dry_run.fake_tensor(mode, (2, 3))


HOST = torch.zeros(2, 3)


@pytest.mark.parametrize(
    "name",
    [
        "aten._local_scalar_dense.default",
        "aten.nonzero.default",
        "aten.masked_select.default",
        "aten._unique2.default",
        "aten.equal.default",
        "aten.repeat_interleave.Tensor",
    ],
)
def test_numbers_that_shapes_or_the_host_depend_on_are_waited_for(dry_run, on_device, name):
    assert dry_run.waiting_reason(name, (on_device,), {}) is not None
    assert dry_run.waiting_reason(name, (HOST,), {}) is None


def test_known_sizes_and_sums_are_not_waited_for(dry_run, on_device):
    known = {"output_size": 7}
    assert dry_run.waiting_reason("aten.repeat_interleave.Tensor", (on_device,), known) is None
    assert dry_run.waiting_reason("aten.sum.default", (on_device,), {}) is None


def test_an_index_that_is_a_mask_is_waited_for(dry_run, on_device):
    index = torch.zeros(2, dtype=torch.int64)
    name = "aten.index.Tensor"
    assert dry_run.waiting_reason(name, (on_device, [None, index.bool()]), {}) is not None
    assert dry_run.waiting_reason(name, (on_device, [None, index]), {}) is None


def test_copies_between_host_and_device_are_waited_for_unless_asked_otherwise(dry_run, on_device):
    def reason(name, *tensors, **kwargs):
        return dry_run.waiting_reason(f"aten.{name}.default", tensors, kwargs)

    assert "to the host" in reason("_to_copy", on_device, device=torch.device("cpu"))
    assert "to the host" in reason("copy_", HOST, on_device)
    assert "to the device" in reason("_to_copy", HOST, device=on_device.device)
    assert reason("_to_copy", HOST, device=on_device.device, non_blocking=True) is None
    assert reason("_to_copy", on_device, dtype=torch.float64) is None
    assert reason("copy_", on_device, on_device) is None
