"""Four networks as their users have them: trained for a moment, exported, with rows to compare on.

The edge network on toy events; Particle Flow Network, ParticleNet and Particle Transformer in their
full sizes on JetClass-like jets, whose classes differ in the number and the energy of particles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import loader
import numpy as np
import numpy.typing as npt

from weaver_tt import api, cli
from weaver_tt.config.load import load_config
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.raw_rows import evaluate_raw_rows
from weaver_tt.deploy.export import Export
from weaver_tt.deploy.folder import export_folder, make_golden
from weaver_tt.deploy.golden import GoldenRow
from weaver_tt.deploy.raw_graph import write_raw
from weaver_tt.deploy.tagger import Tagger
from weaver_tt.deploy.targets.generic import Generic
from weaver_tt.options.export import ExportOptions
from weaver_tt.run.exporting import load_trained, options_of_run

ROOT = Path(__file__).parents[1]
Columns = dict[str, Any]


@dataclass(frozen=True)
class Example:
    """A network of the examples, its data YAML, and how it is trained."""

    name: str
    network: str
    config: str
    batch_size: int
    epochs: int


EDGES = Example("edge network", "truth_tagging_edges", "truth_tagging", 200, 4)
PFN = Example("PFN", "pfn", "jetclass", 64, 4)
PARTICLE_NET = Example("ParticleNet", "particle_net", "jetclass", 64, 3)
TRANSFORMER = Example("Particle Transformer", "particle_transformer", "jetclass", 64, 3)
EXAMPLES = (EDGES, PFN, PARTICLE_NET, TRANSFORMER)


@dataclass(frozen=True)
class Exported:
    """An exported network: its folder, and the same as one file that takes raw columns.

    ``refusals`` say why there is no such file. ``golden`` are rows with what torch gives for them,
    ``raw`` the columns of all rows that the training kept.
    """

    example: Example
    folder: Path
    raw_file: Path
    refusals: Sequence[str]
    config: DataConfig
    golden: Sequence[GoldenRow]
    raw: Columns
    values: Sequence[str]
    per_object: bool

    def columns(self, raw: Mapping[str, Any]) -> Columns:
        """What the folder takes of raw columns: each of its variables."""
        table, _ = evaluate_raw_rows(dict(raw), self.config, "rows of the benchmark")
        return {name: table[name] for name in Tagger(self.folder).column_names}


def write_data(folder: Path, jets: int, events: int) -> dict[str, Path]:
    """Jets and toy events to train on: data YAML -> file."""
    files = {"jetclass": folder / "jets.parquet", "truth_tagging": folder / "events.root"}
    random = np.random.default_rng(1)
    parts = []
    for number, name in enumerate(loader.CLASSES):
        counts = random.normal(20 + 6 * number, 10, jets // len(loader.CLASSES))
        columns = jet_columns(random, counts.clip(1, 128).astype(int), 1 + 0.3 * number)
        for label in loader.CLASSES:
            columns[f"label_{label}"] = np.full(len(counts), label == name, np.float32)
        parts.append(ak.Array(columns))
    table = ak.concatenate(parts)
    ak.to_parquet(table[random.permutation(len(table))], files["jetclass"])
    cli.main(["toy", "--events", str(events), "--seed", "1", "-o", str(files["truth_tagging"])])
    return files


def jet_columns(
    random: np.random.Generator, counts: npt.NDArray[np.int64], energy: float = 1
) -> Columns:
    """Columns of JetClass for jets with so many particles; ``energy``: a factor on all momenta."""
    particles = loader.make_particles(random, int(counts.sum()))
    for name in ("px", "py", "pz", "energy"):
        particles[name] *= np.float32(energy)
    columns: Columns = {}
    for name, values in particles.items():
        columns[f"part_{name}"] = ak.unflatten(values, counts)
    pt = np.hypot(columns["part_px"], columns["part_py"])
    columns["jet_pt"] = ak.sum(pt, axis=1)
    columns["jet_energy"] = ak.sum(columns["part_energy"], axis=1)
    return columns


def train_and_export(example: Example, data: Path, folder: Path) -> Exported:
    """Train a network for a moment and export it to ``folder``."""
    config = str(ROOT / "data_configs" / f"{example.config}.yaml")
    network = str(ROOT / "network_configs" / f"{example.network}.py")
    prefix = str(folder / "training" / "net")
    api.train(
        data_train=[str(data)],
        data_config=config,
        network_config=network,
        model_prefix=prefix,
        batch_size=example.batch_size,
        num_epochs=example.epochs,
        num_threads=1,
        gpus="",
        seed=1,
        figures=False,
    )
    chosen = ExportOptions(
        output="", model_prefix=prefix, data_config=config, network_config=network
    )
    trained = load_trained(load_config(config), options_of_run(chosen), with_raw=True)
    assert trained.sample is not None  # every training keeps one
    export = Export(trained.members, trained.task, trained.config, trained.sample.tensors)
    generic = folder / "generic"
    target = Generic(example.network)
    export_folder(target, export, trained.sample, generic, opset=17, metadata=trained.metadata)
    golden = make_golden(export, trained.sample)
    raw = dict(trained.sample.raw)
    types = {name: str(ak.Array(values).type.content) for name, values in raw.items()}
    raw_file = folder / "raw.onnx"
    refusals = write_raw(generic / "model.onnx", trained.config, types, raw_file)
    return Exported(
        example,
        generic,
        raw_file,
        refusals,
        trained.config,
        [*golden.rows, *golden.empty],
        raw,
        export.graph.values,
        export.graph.per_object,
    )
