"""Triton: a repository of one model."""

import re
from pathlib import Path

from tests.deploy.conftest import (
    DeepSet,
    event_config,
    shapes_of,
    write_target,
)

NETWORK = DeepSet(0, 3, event=2)


def test_triton_has_a_repository_without_the_axis_of_rows(tmp_path: Path) -> None:
    golden = write_target(tmp_path / "out", "triton", event_config(), [NETWORK])
    assert len(golden["rows"]) == 36
    home = tmp_path / "out" / "tagger"
    assert (home / "labels.txt").read_text() == "is_a\nis_b\nis_c\nD_b\nmet_of_b\n"
    config = (home / "config.pbtxt").read_text()
    assert config.startswith('name: "tagger"\nplatform: "onnxruntime_onnx"\nmax_batch_size: 256\n')
    found = re.findall(r'(input|output) .*\n *name: "(\w+)"\n.*TYPE_FP32\n  dims: (.*)', config)
    assert found == [
        ("input", "pf_features", "[ 4, -1 ]"),
        ("input", "event", "[ 2 ]"),
        ("input", "derived_inputs", "[ 1 ]"),
        ("output", "output", "[ 5 ]"),
    ]
    assert shapes_of(home / "1")["output"] == ["N", 5]
    assert (tmp_path / "out" / "preprocess.json").is_file()
