"""Jets measured by networks and by the standard correction: from simulation to the table.

    python benchmarks/jet_energy.py --quick     # 25,000 jets, one training: under 5 minutes
    python benchmarks/jet_energy.py             # 75,000 jets, three trainings, 45 min of CPU

Simulates jets for training, validation and test with seeds of their own, derives the standard
correction from the training jets, trains the networks, and prints what they gain over it on the
test jets. Every step is a command that a user would give, on one thread; numbers and their errors,
of 30 bootstrap samples of the test jets, are those of ``weaver-tt report``. Where there are several
trainings, the mean is shown, and the standard deviation between them in brackets. Times are CPU
time.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import yaml
from steps import Bar, Steps

from weaver_tt.formats.open_reader import open_reader

Floats = npt.NDArray[np.float64]

ROOT = Path(__file__).parents[1]
FLAVOURS = ("uds", "c", "b", "g")
PT_BINS = ("30-50", "50-100", "100-300", "300-1000", "1000-")
BARREL = 1.3


@dataclass(frozen=True, kw_only=True)
class Training:
    """A network and its recipe; ``jets`` for training, 0: all. Seeds of the trainings: 1, 2, ..."""

    name: str  # in the report
    network: str
    jets: int = 0
    batch: int = 512
    epochs: int = 15
    times: int = 3
    config: str = "plain"

    @property
    def models(self) -> list[str]:
        """Names of its trainings."""
        return [f"{self.name}-{seed}" for seed in range(1, self.times + 1)]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Jets of a seed."""

    jets: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is simulated, trained and judged.

    ``large`` is a second test sample, for the first network alone: the difference of flavours needs
    more jets.
    """

    samples: Mapping[str, Sample]
    trainings: Sequence[Training]
    pileup: float = 0.0

    def path(self, sample: str) -> str:
        """The file of a sample."""
        return f"{sample}_mu{self.pileup:g}.parquet" if self.pileup else f"{sample}.parquet"

    def folder(self, name: str) -> str:
        """The folder of a training or a report."""
        return f"{name}_mu{self.pileup:g}" if self.pileup else name


LITE = "weaver_tt:pfn_r -o size lite"
GRAPH = "weaver_tt:particle_net_r"
GRAPH_LITE = "weaver_tt:particle_net_r -o size lite"
MLP = "weaver_tt:mlp -o objects ignore"
FIRST = Training(name="PFN-r_Lite", network=LITE)
WHOLE = Plan(
    samples={
        "train": Sample(jets=75_000, seed=1),
        "val": Sample(jets=10_000, seed=3),
        "test": Sample(jets=25_000, seed=2),
        "large": Sample(jets=100_000, seed=4),
    },
    trainings=(
        FIRST,
        Training(name="mlp", network=MLP),
        Training(name="PFN-r", network="weaver_tt:pfn_r", epochs=6),
        Training(
            name="ParticleNet-r_Lite_25k", network=GRAPH_LITE, jets=25_000, batch=128, epochs=6
        ),
        Training(name="PFN-r_Lite_quantiles", network=LITE, config="quantiles"),
        Training(name="PFN-r_Lite_hybrid", network=LITE, config="hybrid"),
        Training(name="ParticleNet-r_Lite", network=GRAPH_LITE, epochs=8, times=1),
        Training(
            name="ParticleNet-r_25k", network=GRAPH, jets=25_000, batch=128, epochs=1, times=1
        ),
    ),
)
QUICK = Plan(
    samples={
        "train": Sample(jets=25_000, seed=1),
        "val": Sample(jets=5_000, seed=3),
        "test": Sample(jets=25_000, seed=2),
    },
    trainings=(
        Training(name="PFN-r_Lite", network=LITE, batch=128, times=1),
        Training(name="mlp", network=MLP, batch=128, times=1),
        Training(name="ParticleNet-r_Lite_25k", network=GRAPH_LITE, batch=128, epochs=3, times=1),
    ),
)
PILEUP = Plan(
    samples={
        "train": Sample(jets=75_000, seed=5),
        "val": Sample(jets=10_000, seed=7),
        "test": Sample(jets=25_000, seed=6),
    },
    trainings=(FIRST,),
    pileup=20.0,
)


# quantity -> bar, for one network or for all
BARS = {
    "events/s": Bar(least=200),
    "events/s with pile-up": Bar(least=50),
    "standard: IQR/median 30-50": Bar(least=0.08, most=0.22),
    "standard: IQR/median 100-300": Bar(least=0.052, most=0.12),
    "standard: IQR/median 1000-": Bar(least=0.042, most=0.07),
    **{f"raw medians uds - g {interval}": Bar(least=0.008) for interval in PT_BINS},
    "PFN-r_Lite: test loss / standard": Bar(most=0.945),
    "PFN-r_Lite: CPU of a training, s": Bar(most=90),
    "PFN-r_Lite: beta central": Bar(least=0.075),
    "PFN-r_Lite: beta central 100-300": Bar(least=0.06),
    "PFN-r_Lite: beta central 300-1000": Bar(least=0.06),
    **{f"PFN-r_Lite: beta central {name}": Bar(least=0.04) for name in FLAVOURS},
    "PFN-r_Lite: beta forward": Bar(least=0.08),
    "PFN-r_Lite: alpha central, six flavours (large sample)": Bar(least=0.30),
    "PFN-r_Lite: alpha central, four groups (large sample)": Bar(least=0.50),
    "PFN-r: beta central": Bar(least=0.075),
    "ParticleNet-r_Lite_25k: beta central": Bar(least=0.03),
    "ParticleNet-r_Lite_25k: CPU of a training, s": Bar(most=180),
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A number of the table: values of all trainings, and their error by bootstrap."""

    name: str
    values: Sequence[float]
    error: float = 0.0

    def text(self, bar: Bar | None) -> str:
        """A line of the table."""
        mean = float(np.mean(self.values))
        value = f"{mean:.4g}"
        if self.error:
            value += f" +- {self.error:.2g}"
        if len(self.values) > 1:
            value += f" ({np.std(self.values, ddof=1):.2g})"
        if bar is None:
            return f"| {self.name} | {value} | | |"
        return f"| {self.name} | {value} | {bar.text()} | {bar.verdict(self.values)} |"


def simulate(plan: Plan, steps: Steps, workers: int) -> Row:
    """Make the samples of a plan; events a second of CPU, of the test jets."""
    cpu = {}
    for kind, sample in plan.samples.items():
        path = plan.path(kind)
        command = ["simulate", "--process", "jets", "--detector", "--pileup", f"{plan.pileup:g}"]
        command += ["-n", str(sample.jets), "--seed", str(sample.seed)]
        command += ["--workers", str(workers), "-o", path]
        cpu[kind] = steps.run(f"simulate {path}", *command).cpu
    log = steps.log(f"simulate {plan.path('test')}").read_text()
    name = "events/s with pile-up" if plan.pileup else "events/s"
    return Row(name=name, values=[events_in(log) / cpu["test"]])


def events_in(log: str) -> float:
    """How many events a simulation says it took."""
    (number,) = re.findall(r"([\d,]+) events", log)
    return float(number.replace(",", ""))


def write_configs(folder: Path) -> None:
    """Data YAMLs: that of the package, with quantiles beside y, with classes beside y."""
    text = (ROOT / "data_configs" / "jet_energy.yaml").read_text()
    configs = {name: yaml.safe_load(text) for name in ("plain", "quantiles", "hybrid")}
    loss = ["mae", {"pinball": {"quantiles": [0.16, 0.84]}}]
    configs["quantiles"]["task"]["targets"] = {"y": {"loss": loss}}
    hybrid = configs["hybrid"]
    flavours = {
        "is_uds": "(jet_flavour >= 1) & (jet_flavour <= 3)",
        "is_c": "jet_flavour == 4",
        "is_b": "jet_flavour == 5",
        "is_g": "jet_flavour == 21",
        "is_unknown": "jet_flavour == 0",
    }
    hybrid["new_variables"] |= flavours
    hybrid["labels"] = [{"type": "simple", "value": list(flavours)}, hybrid["labels"]]
    # both parts of the loss are about 1
    hybrid["task"] = {"name": "hybrid", "loss_function": "mae", "balance": 20}
    for name, config in configs.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


def train(training: Training, plan: Plan, steps: Steps, tests: Sequence[str]) -> Row:
    """Train with all seeds and predict the ``tests``; CPU of the trainings alone."""
    data = plan.path("train")
    if 0 < training.jets < plan.samples["train"].jets:
        short = f"train_{training.jets}.parquet"
        pq.write_table(
            pq.read_table(steps.folder / data).slice(0, training.jets), steps.folder / short
        )
        data = short
    seconds = []
    for seed, model in enumerate(training.models, start=1):
        name = plan.folder(model)
        common = ["-c", f"{training.config}.yaml", "-n", *shlex.split(training.network)]
        common += ["-m", f"runs/{name}", "--gpus", "", "--num-threads", "1", "--no-progress"]
        recipe = ["--optimizer", "adamw", "--start-lr", "5e-3", "--lr-scheduler", "flat+decay"]
        recipe += ["--batch-size", str(training.batch), "--num-epochs", str(training.epochs)]
        # what an interrupted benchmark may have left
        recipe.append("--overwrite")
        files = ["-i", data, "-l", plan.path("val")]
        seeds = ["--seed", str(seed)]
        usage = steps.run(f"train {name}", "train", *files, *common, *recipe, *seeds)
        seconds.append(usage.cpu)
        for test in tests:
            output = f"{test}_{name}.root"
            flags = ["-t", plan.path(test), "--predict-output", output]
            steps.run(f"predict {output}", "train", "--predict", *flags, *common)
    return Row(name=f"{training.name}: CPU of a training, s", values=seconds)


def judge(plan: Plan, steps: Steps, test: str, models: Sequence[str]) -> dict[str, Any]:
    """``metrics.json`` of the report on the predictions of a test sample."""
    correction = plan.folder("jec") + ".json"
    train = plan.path("train")
    steps.run(f"derive {correction}", "jec", "derive", train, "-o", correction)
    folder = plan.folder(f"report_{test}")
    files = [f"{model}:{test}_{plan.folder(model)}.root" for model in models]
    flags = ["--standard", correction, "--extrapolate", "-o", folder]
    # an earlier one is of other models, maybe
    steps.run(f"report {folder}", "report", *files, *flags, again=True)
    metrics: dict[str, Any] = json.loads((steps.folder / folder / "metrics.json").read_text())
    return metrics


def row_of(name: str, numbers: Sequence[Mapping[str, Any]], key: str) -> Row:
    """A number of all trainings of a network, with the mean of its errors."""
    errors = [one[f"{key}_error"] for one in numbers]
    return Row(name=name, values=[one[key] for one in numbers], error=float(np.mean(errors)))


def network_rows(training: Training, metrics: Mapping[str, Any]) -> list[Row]:
    """What is measured of a network on the test sample."""
    models = [metrics[model] for model in training.models]
    standard = metrics["standard"]["test_loss"]
    name = training.name
    ratios = [
        {key: model[key] / standard for key in ("test_loss", "test_loss_error")} for model in models
    ]
    rows = [
        row_of(f"{name}: test loss / standard", ratios, "test_loss"),
        row_of(f"{name}: beta central", [one["central"]["all"] for one in models], "beta"),
    ]
    for interval in PT_BINS:
        numbers = [one["central"]["pt"][interval]["all"] for one in models]
        rows.append(row_of(f"{name}: beta central {interval}", numbers, "beta"))
    for flavour in FLAVOURS:
        numbers = [one["central"][flavour] for one in models]
        rows.append(row_of(f"{name}: beta central {flavour}", numbers, "beta"))
    numbers = [one["forward"]["all"] for one in models]
    rows.append(row_of(f"{name}: beta forward", numbers, "beta"))
    rows += alpha_rows(training, metrics, "")
    for model in models:
        rows += coverage_rows(name, model)
    return rows


def alpha_rows(training: Training, metrics: Mapping[str, Any], where: str) -> list[Row]:
    """How much less flavours differ."""
    numbers = [metrics[model]["central"] for model in training.models]
    return [
        row_of(f"{training.name}: alpha central, six flavours{where}", numbers, "alpha"),
        row_of(f"{training.name}: alpha central, four groups{where}", numbers, "alpha_four_groups"),
    ]


def coverage_rows(name: str, model: Mapping[str, Any]) -> list[Row]:
    """Share of central jets inside of the predicted interval of 68 %, by pT_gen."""
    if "coverage" not in model:
        return []
    central = model["coverage"]["y"]["central"]
    return [
        row_of(f"{name}: inside of 68 % {interval}", [one["inside_68%"]], "value")
        for interval, one in central["pt"].items()
    ]


def standard_rows(plan: Plan, steps: Steps, metrics: Mapping[str, Any], test: str) -> list[Row]:
    """Widths after the standard correction, and medians of the flavours before it."""
    central = metrics["standard"]["central"]
    rows = [
        row_of(f"standard: IQR/median {interval}", [central["pt"][interval]["all"]], "resolution")
        for interval in PT_BINS
    ]
    with open_reader(str(steps.folder / plan.path(test))) as reader:
        columns = ("jet_pt", "jet_area", "rho", "gen_pt", "gen_eta", "jet_flavour")
        table = reader.read(columns, 0, reader.rows())
    jets = {column: np.asarray(values, np.float64) for column, values in table.items()}
    response = (jets["jet_pt"] - jets["rho"] * jets["jet_area"]) / jets["gen_pt"]
    is_central = np.abs(jets["gen_eta"]) < BARREL
    for interval in PT_BINS:
        low, high = interval.split("-")
        inside = (
            is_central & (jets["gen_pt"] >= float(low)) & (jets["gen_pt"] < float(high or "inf"))
        )
        quarks = response[inside & np.isin(jets["jet_flavour"], (1, 2, 3))]
        gluons = response[inside & (jets["jet_flavour"] == 21)]
        rows.append(
            Row(
                name=f"raw medians uds - g {interval}",
                values=[float(np.median(quarks) - np.median(gluons))],
                error=float(np.hypot(median_error(quarks), median_error(gluons))),
            )
        )
    return rows


def median_error(values: Floats) -> float:
    """Statistical error of a median, from the width between the quartiles."""
    low, high = np.quantile(values, (0.25, 0.75))
    return float(1.253 * (high - low) / 1.349 / np.sqrt(len(values)))


def run(plan: Plan, steps: Steps, workers: int) -> list[Row]:
    """All steps of a plan, and the rows of its table."""
    rows = [simulate(plan, steps, workers)]
    write_configs(steps.folder)
    first = plan.trainings[0]
    has_large = "large" in plan.samples and first == FIRST
    times = []
    for training in plan.trainings:
        tests = ["test", "large"] if has_large and training == first else ["test"]
        times.append(train(training, plan, steps, tests))
    models = [model for training in plan.trainings for model in training.models]
    metrics = judge(plan, steps, "test", models)
    rows += standard_rows(plan, steps, metrics, "large" if has_large else "test")
    for training, row in zip(plan.trainings, times, strict=True):
        rows += [row, *network_rows(training, metrics)]
        if has_large and training == first:
            large = judge(plan, steps, "large", first.models)
            rows += alpha_rows(first, large, " (large sample)")
    return rows


def main() -> None:
    """Parse, run, print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer jets and networks, no bars")
    parser.add_argument("--only", nargs="+", help="names of networks, such as PFN-r_Lite")
    parser.add_argument("--no-pileup", action="store_true", help="leave out mu = 20")
    parser.add_argument("--resume", action="store_true", help="go on in the folder of the output")
    parser.add_argument("--workers", type=int, default=2, help="of the simulation")
    parser.add_argument("-o", "--output", type=Path, default=Path("jet_energy_benchmark"))
    options = parser.parse_args()
    start = time.perf_counter()
    steps = Steps(folder=options.output.resolve(), resumes=options.resume)
    plans = [QUICK] if options.quick else [WHOLE, PILEUP]
    results = {}
    for plan in plans[:1] if options.no_pileup else plans:
        trainings = [
            one for one in plan.trainings if options.only is None or one.name in options.only
        ]
        rows = run(replace(plan, trainings=trainings), steps, options.workers)
        samples = ", ".join(
            f"{kind}: {sample.jets} jets of seed {sample.seed}"
            for kind, sample in plan.samples.items()
        )
        print(f"\nmu = {plan.pileup:g}; {samples}\n\n| | value | bar | |\n|---|---|---|---|")
        bars = {} if plan is QUICK else BARS
        for row in rows:
            # with pile-up, only the rate has a bar
            has_bar = not plan.pileup or row.name.startswith("events")
            print(row.text(bars.get(row.name) if has_bar else None))
        results[f"mu = {plan.pileup:g}"] = [asdict(row) for row in rows]
    print(f"\n{time.perf_counter() - start:.0f} s in all")
    (options.output / "benchmark.json").write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
