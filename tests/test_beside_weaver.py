"""The same YAML and rows give the input tensors of weaver-core 0.5.3.

Padding, clipping, statistics, masks, scalars, column types, file formats.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from weaver_tt.config.load import load_config
from weaver_tt.data.loaders import test_loaders as loaders_of
from weaver_tt.data.statistics.fit import fit_statistics
from weaver_tt.options.train import DataOptions

ROWS = 60
SPREADS = """
    - px
    - [energy, 3.0, 0.25, -0.5, 0.75]
    - [charge, null]
    - [is_muon, null]
    - [log_pt, 1.5, 2]
"""


def config_text(
    pad_mode: str = "constant",
    method: str = "manual",
    features: str = SPREADS,
    fraction: float = 1.0,
    more: str = "",
) -> str:
    """A YAML with a jagged group, its mask, a longer jagged group and per-row scalars."""
    return f"""
treename: tree
selection: (jet_pt > 100) & (njet > 0)
new_variables:
  mask: ak.ones_like(px)
  log_pt: np.log(np.hypot(px, py))
  jet_ratio: jet_pt / 200.
  is_b: label == 1
  is_light: label != 1
preprocess: {{method: {method}, data_fraction: {fraction}}}
inputs:
  points:
    length: 6
    pad_mode: {pad_mode}
    vars: [[py, null]]
  features:
    length: 6
    pad_mode: {pad_mode}
    vars: {features}
  features_mask:
    length: 6
    pad_mode: constant
    vars: [[mask, null]]
  tracks:
    length: 9
    pad_mode: constant
    vars: [[d0, 0, 10, -3, 4, -3], [quality, null, 1, -5, 5, 7]]
  jet:
    length: null
    vars: [[jet_pt, 150, 0.01, -1, 1], [njet, null], [jet_ratio, null], [is_good, null]]
labels: {{type: simple, value: [is_b, is_light]}}
{more}
"""


@pytest.fixture(scope="module")
def columns() -> dict[str, Any]:
    """Bool, int and float columns of rows with 0 to 12 objects, some longer than the inputs."""
    random = np.random.default_rng(5)
    counts, tracks = random.integers(0, 13, ROWS), random.integers(0, 4, ROWS)
    counts[:2] = 0

    def jagged(values: Any, sizes: Any) -> ak.Array:
        return ak.unflatten(values, sizes)

    objects = counts.sum()
    return {
        "px": jagged(random.normal(1, 3, objects).astype(np.float32), counts),
        "py": jagged(random.normal(0, 2, objects), counts),
        "energy": jagged(random.exponential(5, objects).astype(np.float32), counts),
        "charge": jagged(random.integers(-1, 2, objects).astype(np.int32), counts),
        "is_muon": jagged(random.random(objects) < 0.2, counts),
        "d0": jagged(random.normal(0, 0.3, tracks.sum()).astype(np.float32), tracks),
        "quality": jagged(random.integers(0, 256, tracks.sum()).astype(np.uint8), tracks),
        "jet_pt": random.uniform(80, 400, ROWS).astype(np.float32),
        "njet": random.integers(0, 5, ROWS).astype(np.int32),
        "is_good": random.random(ROWS) < 0.5,
        "label": random.integers(0, 2, ROWS).astype(np.int32),
    }


def write(columns: dict[str, Any], path: Path) -> str:
    """The columns as a TTree or a parquet file."""
    if path.suffix == ".parquet":
        ak.to_parquet(ak.Array(columns), path)
        return str(path)
    with uproot.recreate(path) as file:
        tree = file.mktree(
            "tree", {name: ak.type(ak.Array(values)).content for name, values in columns.items()}
        )
        tree.extend(columns)
    return str(path)


def reversed_rows(columns: dict[str, Any]) -> dict[str, Any]:
    """The same rows, the last one first."""
    return {
        name: ak.to_packed(values[::-1]) if isinstance(values, ak.Array) else values[::-1].copy()
        for name, values in columns.items()
    }


def weaver_tensors(config: Path, files: list[str], training: bool) -> dict[str, np.ndarray]:
    """What weaver-core makes of the files, in their order.

    With ``training`` it computes its ``auto`` statistics, and writes them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pytest.importorskip("weaver.utils.dataset")
        if training:
            dataset.SimpleIterDataset(
                {"": files},
                str(config),
                for_training=True,
                load_range_and_fraction=((0, 1), 1, 1),
                fetch_step=1,
                name="train",
            )
        rows = dataset.SimpleIterDataset(
            {"": files},
            str(config),
            for_training=False,
            load_range_and_fraction=((0, 1), 1, 1),
            fetch_step=1,
            name="test",
        )
        inputs = [inputs for inputs, _, _ in rows]
    return {name: np.stack([row[name] for row in inputs]) for name in inputs[0]}


def our_tensors(config: Path, files: list[str], prefix: str) -> dict[str, np.ndarray]:
    """What we make of the same files."""
    options = DataOptions(data_train=files, data_val=files, data_test=files, batch_size=7)
    loaded, _ = fit_statistics(load_config(str(config)), prefix, options)
    batches = [
        {name: tensor.numpy().copy() for name, tensor in batch.inputs.items()}
        for batch in next(iter(loaders_of(loaded, options).values())).epoch(0)
    ]
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


CASES = {
    "constant padding": config_text("constant"),
    "wrap padding": config_text("wrap"),
    "automatic statistics": config_text("constant", "auto"),
    "automatic statistics with wrap padding": config_text("wrap", "auto"),
    "automatic statistics of some variables": config_text(
        "wrap",
        "auto",
        "[px, [energy, 3.0], [charge, null], [is_muon, null], [log_pt, auto, 1, -1, 1]]",
    ),
    "a selection of its own for tests": config_text(more="test_time_selection: jet_pt > 250"),
    "other names in the file": config_text(more="branch_magic: {momentum_: p}")
    .replace("px", "momentum_x")
    .replace("py", "momentum_y"),
    "a column that the path decides": config_text(
        more="file_magic: {sample: {first: 1, second: 2}}"
    ).replace("[is_good, null]", "[sample, null]"),
}


# weaver-core has no branch_magic for parquet
@pytest.mark.parametrize(
    ("case", "suffix"),
    [
        (case, suffix)
        for case in CASES
        for suffix in (".root", ".parquet")
        if "other names" not in case or suffix == ".root"
    ],
)
def test_inputs_are_those_of_weaver(case, suffix, columns, tmp_path):
    config = tmp_path / "data.yaml"
    config.write_text(CASES[case])
    files = [
        write(columns, tmp_path / f"first{suffix}"),
        write(reversed_rows(columns), tmp_path / f"second{suffix}"),
    ]
    expected = weaver_tensors(config, files, training="auto" in case)
    found = our_tensors(config, files, str(tmp_path / "model"))
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].dtype == np.float32
        assert found[name].shape == values.shape
        np.testing.assert_allclose(found[name], values, rtol=1e-6, atol=1e-6, err_msg=name)


def test_a_group_of_one_scalar_keeps_its_channel_where_weaver_drops_it(columns, tmp_path):
    config = tmp_path / "data.yaml"
    config.write_text(
        config_text().replace(
            "[[jet_pt, 150, 0.01, -1, 1], [njet, null], [jet_ratio, null], [is_good, null]]",
            "[[jet_pt, 150, 0.01, -1, 1]]",
        )
    )
    files = [write(columns, tmp_path / "first.root")]
    expected, found = (
        weaver_tensors(config, files, training=False)["jet"],
        our_tensors(config, files, str(tmp_path / "model"))["jet"],
    )
    assert (expected.ndim, found.shape[1:]) == (1, (1,))
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-6)
