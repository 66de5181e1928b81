"""Taggers kept independent of the mass, in every way, and what each costs: from jets to the table.

    python benchmarks/decorrelation.py --quick        # small samples, one strength: under 5 minutes
    python benchmarks/decorrelation.py                # the whole: under an hour on two cores
    python benchmarks/decorrelation.py --jets 0.2 --trainings 1   # a fifth of the jets, one seed

Top against QCD jets of ``weaver-tt simulate --pthat-min 500`` (550-650 GeV) with 40 < m_SD < 250
GeV, seeds of their own for training, validation, test and the map of DDT. An MLP on eleven numbers
of each jet (``data_configs/decorrelation.yaml``) is trained plainly, on spectra that are equal, and
with each method of ``decorrelate`` at several strengths. Of these the validation jets choose one:
that of the smallest excess of the Jensen-Shannon divergence with an AUC of at least 0.87, and, as
the strongest, of at least 0.80. DDT of the plain network is made of a map sample, on which half of
the top jets pass, and judged on the test jets. A PFN on constituents stands beside them.

Every step is a command that a user would give, on one thread, ``--workers`` at a time; what is done
stays in the folder of the output, and a second call goes on. Numbers are those of
``weaver-tt report`` on the test jets. The first error is statistical, of the jets; where there are
several trainings the mean is shown, and the standard deviation between them in brackets.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import uproot
import yaml
from steps import ROOT, Bar, Line, Steps, in_turn, with_error

from weaver_tt.system.json_files import write_json
from weaver_tt.system.wording import counted

SIGNAL, BACKGROUND, MASS = "label_Tbqq", "label_QCD", "jet_sdmass"
WINDOW = f"({MASS} > 40) & ({MASS} < 250)"
EFFICIENCY = "0.5"  # of the signal, where models are compared
REPORT_EDGES = range(40, 251, 10)
MASS_EDGES = ("40", "60", "80", "100", "125", "150", "175", "200", "250")  # 8 bins of the closure
SCANNED = ("0.003", "0.005", "0.008", "0.012", "0.02", "0.03", "0.05", "0.08", "0.12", "0.2", "0.3")
MAP_FILES = 5
LARGE_AUC, SMALL_AUC = 0.87, 0.80
MLP, PFN = "weaver_tt:mlp", "weaver_tt:pfn"
FLAGS = "--gpus= --num-workers 0 --num-threads 1 --tensorboard off --no-progress --no-figures"
FLAT_WEIGHTS = "top_tagging_flat_mass"  # the data YAML whose `weights` make spectra equal
REPORTED = ("plain", "flat", "PFN", "PFN flat")
# method -> keys of `decorrelate` beside variable, classes, method and strength
METHODS: Mapping[str, Mapping[str, Any]] = {
    "disco": {"warmup": 2},
    "adversary": {"warmup": 4, "learning_rate": 0.02},
    "kl": {"warmup": 2},
    "mi": {"warmup": 2},
}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Jets of both processes with a seed of their own."""

    top: int
    qcd: int
    seed: int

    def jets(self, process: str) -> int:
        """How many of a process."""
        return self.top if process == "top" else self.qcd


@dataclass(frozen=True, kw_only=True)
class Training:
    """A network trained once: ``kind`` is a method of METHODS, or one of REPORTED."""

    kind: str
    strength: float = 0.0
    seed: int = 1

    @property
    def config(self) -> str:
        """The name of its data YAML."""
        kind = self.kind.replace(" ", "_")
        return f"{kind}_{self.strength:g}" if self.kind in METHODS else kind

    @property
    def name(self) -> str:
        """In files and reports."""
        return f"{self.config}_seed{self.seed}"

    @property
    def is_pfn(self) -> bool:
        """Whether it is the network on constituents."""
        return self.kind.startswith("PFN")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is made; ``strengths`` of each method."""

    samples: Mapping[str, Sample]
    strengths: Mapping[str, Sequence[float]]
    seeds: Sequence[int] = (1, 2, 3)
    epochs: int = 20
    pfn_epochs: int = 15
    has_pfn: bool = True

    def with_share(self, share: float) -> Plan:
        """The plan with a share of the jets of each sample."""
        samples = {}
        for use, sample in self.samples.items():
            top, qcd = round(share * sample.top), round(share * sample.qcd)
            samples[use] = replace(sample, top=top, qcd=qcd)
        return replace(self, samples=samples)

    def trainings(self) -> list[Training]:
        """All of them; of the PFN with the first seed alone."""
        found = []
        for seed in self.seeds:
            found += [Training(kind=kind, seed=seed) for kind in ("plain", "flat")]
            for kind, strengths in self.strengths.items():
                found += [Training(kind=kind, strength=one, seed=seed) for one in strengths]
        if self.has_pfn:
            found += [Training(kind=kind, seed=self.seeds[0]) for kind in ("PFN", "PFN flat")]
        return found


WHOLE = Plan(
    samples={
        "train": Sample(top=12_000, qcd=24_000, seed=1),
        "val": Sample(top=4_000, qcd=30_000, seed=3),
        "test": Sample(top=8_000, qcd=60_000, seed=2),
        "map": Sample(top=5_000, qcd=100_000, seed=11),
    },
    # from an AUC near that of the plain network to hardly any sculpting
    strengths={
        "disco": (2, 6, 15, 25, 40),
        "adversary": (2, 4, 8, 16),
        "kl": (0.1, 0.2, 0.3, 0.4),
        "mi": (0.3, 0.5, 0.7, 1, 2),
    },
)
QUICK = Plan(
    samples={
        "train": Sample(top=2_000, qcd=4_000, seed=1),
        "val": Sample(top=1_000, qcd=2_000, seed=3),
        "test": Sample(top=1_500, qcd=4_000, seed=2),
        "map": Sample(top=1_000, qcd=8_000, seed=11),
    },
    strengths={"disco": (6,), "adversary": (4,), "kl": (0.3,), "mi": (1,)},
    seeds=(1,),
    has_pfn=False,
)


# --- jets and data YAMLs


def files_of(process: str, use: str) -> list[str]:
    """The files of a sample; the large one of the map is made in parts."""
    if (process, use) == ("qcd", "map"):
        return [f"qcd_map_{part}.root" for part in range(1, MAP_FILES + 1)]
    return [f"{process}_{use}.root"]


def simulate(plan: Plan, steps: Steps, workers: int) -> None:
    """Make all samples, each file with a seed of its own."""
    commands = []
    for use, sample in plan.samples.items():
        for process in ("qcd", "top"):
            files = files_of(process, use)
            for part, path in enumerate(files):
                number = str(sample.jets(process) // len(files))
                flags = ["-n", number, "--seed", str(sample.seed + part), "--pthat-min", "500"]
                command = ["simulate", "--process", process, *flags, "--no-progress", "-o", path]
                commands.append((f"simulate {path}", *command))
    in_turn(lambda command: steps.run(*command), commands, workers)


def write_configs(plan: Plan, folder: Path) -> None:
    """A data YAML for each kind and strength."""

    def read(name: str) -> dict[str, Any]:
        config: dict[str, Any] = yaml.safe_load((ROOT / f"data_configs/{name}.yaml").read_text())
        return config

    weights = read(FLAT_WEIGHTS)["weights"]
    for training in plan.trainings():
        if training.is_pfn:
            config = read("top_tagging" if training.kind == "PFN" else FLAT_WEIGHTS)
            config["selection"] = f"(({BACKGROUND} == 1) | ({SIGNAL} == 1)) & {WINDOW}"
        else:
            config = read("decorrelation")
            options = {"variable": MASS, "classes": [BACKGROUND], "method": training.kind}
            task = {"name": "classification"}
            if training.kind in METHODS:
                options |= {"strength": training.strength, **METHODS[training.kind]}
                task |= {"watch": config["task"]["watch"], "decorrelate": options}
            elif training.kind == "flat":
                config["weights"] = weights
            config["task"] = task
        text = yaml.safe_dump(config, sort_keys=False)
        (folder / f"{training.config}.yaml").write_text(text)


# --- trainings


def train(training: Training, plan: Plan, steps: Steps) -> None:
    """Train and predict the test jets, and of a plain MLP those of the map."""
    network = PFN if training.is_pfn else MLP
    common = ["-c", f"{training.config}.yaml", "-n", network, "-m", f"runs/{training.name}"]
    common += FLAGS.split()
    epochs = plan.pfn_epochs if training.is_pfn else plan.epochs
    recipe = ["--batch-size", "512", "--num-epochs", str(epochs), "--start-lr", "5e-3"]
    recipe += ["--seed", str(training.seed), "--overwrite"]
    files = ["-i", *both("train"), "-l", *both("val")]
    test = ["-t", *both("test"), "--predict-output", f"{training.name}.root"]
    steps.run(f"train {training.name}", "train", *files, *common, *recipe, *test)
    if training.kind == "plain":
        of_top = [f"top:{path}" for path in files_of("top", "map")]
        of_qcd = [f"qcd:{path}" for path in files_of("qcd", "map")]
        output = f"map_{training.name}.root"  # a file for each process
        flags = ["-t", *of_top, *of_qcd, "--predict-output", output]
        steps.run(f"predict map {training.name}", "train", "--predict", *flags, *common)


def both(use: str) -> list[str]:
    """Files of both processes."""
    return [*files_of("top", use), *files_of("qcd", use)]


def validation(training: Training, steps: Steps) -> dict[str, float]:
    """Metrics of the best epoch on the validation jets."""
    path = steps.folder / "runs" / f"{training.name}_metrics.json"
    metrics: dict[str, float] = json.loads(path.read_text())["metrics"]
    return metrics


# --- DDT


def make_ddt(training: Training, steps: Steps) -> None:
    """A map of a plain network, at which half of the top jets of its sample pass; test jets by it.

    A first map at several shares of the background finds that share.
    """
    name = training.name
    of_map = [f"map_{name}_qcd.root", "--background", BACKGROUND, "--selection", WINDOW]
    of_top = f"map_{name}_top.root"
    scan = [flag for share in SCANNED for flag in ("--efficiency", share)]
    outputs = ["-o", f"scan_{name}.json", "-o", f"scan_{name}.root"]
    steps.run(f"scan {name}", "ddt", *of_map, *scan, "--apply", of_top, *outputs)
    share = share_of_background(steps.folder / f"scan_{name}.root")
    outputs = ["-o", f"ddt_{name}.json", "-o", f"ddt_{name}.root"]
    test = ["--test", f"{name}.root", "--apply", f"{name}.root", "--mass-edges", *MASS_EDGES]
    steps.run(f"ddt {name}", "ddt", *of_map, "--efficiency", f"{share:.4f}", *test, *outputs)


def share_of_background(path: Path) -> float:
    """The share of the background at which half of the top jets in a file pass.

    Between the shares of its columns it is a straight line in the logarithm.
    """
    with uproot.open(path) as file:
        tree = file[file.keys()[0]]
        columns = tree.arrays(filter_name="*_ddt_*", library="np")
    # jets that are not selected are NaN
    passing = [float(np.mean(values[~np.isnan(values)] > 0)) for values in columns.values()]
    shares = np.log([float(share) for share in SCANNED])
    return math.exp(float(np.interp(float(EFFICIENCY), passing, shares)))


def ddt_numbers(training: Training, steps: Steps) -> dict[str, Any]:
    """What the report and the closure say of the column of a network at its cut 0."""
    name = training.name
    folder = steps.folder / f"report_{name}_ddt"
    edges = ["--mass-edges", *map(str, REPORT_EDGES)]
    flags = ["--mass-column", MASS, *edges, "-o", folder.name]
    steps.run(f"report ddt {name}", "report", f"{name}:ddt_{name}.root", *flags)
    content = json.loads((folder / "metrics.json").read_text())
    (point,) = content["ddt"][SIGNAL][name].values()
    closure = json.loads((steps.folder / f"ddt_{name}_figures" / "closure.json").read_text())
    (found,) = closure["maps"].values()
    after, before = found["after"], found["before"]
    return {
        "target": point["target"],
        "signal_efficiency": point["signal_efficiency"],
        "rejection": point["rejection"],
        "excess": excess_of(point["jensen_shannon_bits"]),
        "background_efficiency": after["overall"],
        "chi2_per_ndf": after["chi2"] / after["ndf"],
        "chi2_per_ndf_before": before["chi2"] / before["ndf"],
        "bins": len(found["jets"]),
        "map_jets": closure["jets"],
    }


# --- numbers of all models


def excess_of(divergence: Mapping[str, float]) -> dict[str, float]:
    """The excess of a divergence as a number with its error."""
    return {"value": divergence["excess"], "error": divergence["error"]}


def report(kind: str, trainings: Sequence[Training], steps: Steps) -> dict[str, dict[str, Any]]:
    """Numbers of trainings by name, from a report of their predictions of the test jets."""
    folder = steps.folder / f"report_{kind.replace(' ', '_')}"
    names = [training.name for training in trainings]
    edges = ["--mass-edges", *map(str, REPORT_EDGES)]
    flags = ["--mass-column", MASS, *edges, "-o", folder.name]
    # an earlier one is of other trainings, maybe
    step = f"report {' '.join(names)}"
    steps.run(step, "report", *(f"{name}:{name}.root" for name in names), *flags)
    content = json.loads((folder / "metrics.json").read_text())
    sculpting = content["sculpting"]
    found = {}
    for training in trainings:
        name = training.name
        on_validation = validation(training, steps)
        found[name] = {
            "auc": content["models"][name]["auc"]["one_vs_rest"][SIGNAL],
            "rejection": sculpting["rejection"][name][EFFICIENCY],
            "excess": excess_of(sculpting["jensen_shannon_bits"][name][EFFICIENCY]),
            "validation_auc": on_validation["auc"],
            "validation_excess": on_validation.get(f"sculpting_excess@{EFFICIENCY}"),
        }
    return found


def summary(numbers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean over trainings of values and errors, and the spread of the values."""
    values = [number["value"] for number in numbers]
    errors = [number["error"] for number in numbers]
    if None in values or None in errors:
        # not a jet passes in one of them
        return {"value": None, "error": None}
    found = {"value": mean(values), "error": mean(errors)}
    if len(values) > 1:
        found["spread"] = stdev(values)
    return found


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table: the means over trainings of a kind at a strength."""

    kind: str
    strength: float
    numbers: Mapping[str, Any]
    trainings: int
    chosen: Sequence[str] = field(default_factory=tuple)

    def text(self) -> str:
        """The line."""
        numbers = self.numbers
        strength = f"{self.strength:g}" if self.kind in METHODS else ""
        shown = [with_error(numbers[key]) for key in ("auc", "rejection", "excess")]
        on_validation = [f"{one:.3f}" for one in numbers["validation"] if one is not None]
        cells = [self.kind, strength, *shown, ", ".join(on_validation), ", ".join(self.chosen)]
        return f"| {' | '.join(cells)} |"


def rows_of(plan: Plan, steps: Steps) -> list[Row]:
    """All rows, with the strengths that the validation jets choose."""
    trainings = plan.trainings()
    rows = []
    for kind in dict.fromkeys(training.kind for training in trainings):
        mine = [training for training in trainings if training.kind == kind]
        found = report(kind, mine, steps)
        of_kind = []
        for strength in dict.fromkeys(training.strength for training in mine):
            each = [found[one.name] for one in mine if one.strength == strength]
            numbers: dict[str, Any] = {}
            for key in ("auc", "rejection", "excess"):
                numbers[key] = summary([one[key] for one in each])
            excesses = [one["validation_excess"] for one in each]
            excess = None if None in excesses else mean(excesses)
            numbers["validation"] = (mean(one["validation_auc"] for one in each), excess)
            row = Row(kind=kind, strength=strength, numbers=numbers, trainings=len(each))
            of_kind.append(row)
        rows += with_choices(of_kind) if kind in METHODS else of_kind
    return rows


def with_choices(rows: Sequence[Row]) -> list[Row]:
    """Rows of a method, of which two are chosen: see the head of this file."""
    chosen: dict[int, list[str]] = {}
    for what, least in (("chosen", LARGE_AUC), ("strongest", SMALL_AUC)):
        excess: dict[int, float] = {}
        for number, row in enumerate(rows):
            auc, of_row = row.numbers["validation"]
            # it is not known where nothing passes in one of the trainings
            if auc >= least and of_row is not None:
                excess[number] = of_row
        if excess:
            chosen.setdefault(min(excess, key=excess.__getitem__), []).append(what)
    return [replace(row, chosen=chosen.get(number, [])) for number, row in enumerate(rows)]


# --- figures and tables


def draw(rows: Sequence[Row], plan: Plan, steps: Steps) -> None:
    """Figures of the first training of each row, in the folders of two reports.

    ``report_all`` has the trade-off of all strengths, ``report_chosen`` the spectra of what passes.
    """
    seed = plan.seeds[0]
    every, chosen = [], []
    for row in rows:
        training = Training(kind=row.kind, strength=row.strength, seed=seed)
        if row.kind in METHODS:
            every.append(f"{row.kind}@{row.strength:g}:{training.name}.root")
            if "chosen" in row.chosen:
                chosen.append(f"{row.kind} {row.strength:g}:{training.name}.root")
        elif not training.is_pfn:
            # that of the plain network has the column of DDT as well
            prefix = "ddt_" if row.kind == "plain" else ""
            every.append(f"{row.kind}:{prefix}{training.name}.root")
            chosen.append(f"{row.kind}:{training.name}.root")
    edges = ["--mass-edges", *map(str, REPORT_EDGES)]
    for name, models in (("report_all", every), ("report_chosen", chosen)):
        flags = ["--mass-column", MASS, *edges, "-o", name]
        steps.run(name, "report", *models, *flags, again=True)


def bar_lines(rows: Sequence[Row], ddt: Sequence[Mapping[str, Any]]) -> list[Line]:
    """The bars, and what was found."""
    (plain,) = (row for row in rows if row.kind == "plain")
    (flat,) = (row for row in rows if row.kind == "flat")
    lines = ddt_lines(ddt, flat)
    for kind in METHODS:
        row = next((row for row in rows if row.kind == kind and "chosen" in row.chosen), None)
        excess = auc = None
        if row is not None:
            excess = row.numbers["excess"]["value"] / plain.numbers["excess"]["value"]
            auc = row.numbers["auc"]["value"]
        lines.append(Line(name=f"{kind}: excess / plain's", value=excess, bar=Bar(most=0.6)))
        lines.append(Line(name=f"{kind}: AUC there", value=auc, bar=Bar(least=LARGE_AUC)))
    for kind in ("disco", "adversary"):
        row = next((row for row in rows if row.kind == kind and "strongest" in row.chosen), None)
        excess = None if row is None else row.numbers["excess"]["value"]
        auc = None if row is None else row.numbers["auc"]["value"]
        lines.append(
            Line(name=f"{kind}, strongest: excess, bits", value=excess, bar=Bar(most=0.03))
        )
        lines.append(Line(name=f"{kind}, strongest: AUC", value=auc, bar=Bar(least=SMALL_AUC)))
    return lines


def ddt_lines(ddt: Sequence[Mapping[str, Any]], flat: Row) -> list[Line]:
    """The bars of DDT; means over the plain trainings."""
    off = []
    for one in ddt:
        found = one["background_efficiency"]
        difference = abs(found["value"] - one["target"])
        # within 15 % or within two errors
        off.append(min(difference / one["target"] / 0.15, difference / found["error"] / 2))
    rejection = mean(one["rejection"]["value"] for one in ddt)
    ratio = rejection / flat.numbers["rejection"]["value"]
    excess = mean(one["excess"]["value"] for one in ddt)
    chi2 = mean(one["chi2_per_ndf"] for one in ddt)
    return [
        Line(name="DDT: excess, bits", value=excess, bar=Bar(most=0.03)),
        Line(name="DDT: 1/eps_B / flat reweighting's", value=ratio, bar=Bar(least=1)),
        Line(name="DDT: eps_B off its target / allowed", value=mean(off), bar=Bar(most=1)),
        Line(name="DDT: chi2/ndf of eps_B in mass", value=chi2, bar=Bar(most=2)),
    ]


def show(rows: Sequence[Row], ddt: Sequence[Mapping[str, Any]], with_bars: bool) -> None:
    """Print the tables of models and of DDT, and the bars, which small samples need not meet."""
    print(
        "\n| | strength | AUC | 1/eps_B at eps_S = 50 % | excess, bits | validation: AUC, excess "
        "| |\n|---|---|---|---|---|---|---|"
    )
    for row in rows:
        print(row.text())
    print(
        "\n| DDT of plain | x | eps_S | eps_B | 1/eps_B | excess, bits | chi2/ndf in mass "
        "| of a plain cut |\n|---|---|---|---|---|---|---|---|"
    )
    for one in ddt:
        efficiencies = [one[f"{of}_efficiency"] for of in ("signal", "background")]
        cells = [f"{one['map_jets']} jets, {counted(one['bins'], 'bin')}", f"{one['target']:.4f}"]
        cells += [with_error(number) for number in (*efficiencies, one["rejection"], one["excess"])]
        cells += [f"{one['chi2_per_ndf']:.2f}", f"{one['chi2_per_ndf_before']:.1f}"]
        print(f"| {' | '.join(cells)} |")
    if not with_bars:
        return
    print("\n| | value | bar | |\n|---|---|---|---|")
    for line in bar_lines(rows, ddt):
        print(line.text())


def main() -> None:
    """Read the flags, run what has not been run, print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small samples, no bars, no PFN")
    parser.add_argument("--jets", type=float, default=1.0, help="share of the jets of each sample")
    parser.add_argument("--trainings", type=int, help="of each row, instead of three")
    parser.add_argument("--no-pfn", action="store_true", help="leave out the PFN")
    parser.add_argument("--workers", type=int, default=2, help="steps at a time, a thread each")
    parser.add_argument("-o", "--output", type=Path, default=Path("decorrelation_benchmark"))
    options = parser.parse_args()
    start = time.perf_counter()
    plan = (QUICK if options.quick else WHOLE).with_share(options.jets)
    if options.trainings is not None:
        plan = replace(plan, seeds=tuple(range(1, options.trainings + 1)))
    if options.no_pfn:
        plan = replace(plan, has_pfn=False)
    # jets of another number are other jets
    folder = options.output / (f"{'quick' if options.quick else 'whole'}_{options.jets:g}")
    steps = Steps(folder=folder.resolve(), resumes=True)
    simulate(plan, steps, options.workers)
    write_configs(plan, steps.folder)
    trainings = plan.trainings()
    in_turn(lambda training: train(training, plan, steps), trainings, options.workers)
    plain = [training for training in trainings if training.kind == "plain"]
    in_turn(lambda training: make_ddt(training, steps), plain, options.workers)
    rows = rows_of(plan, steps)
    ddt = [ddt_numbers(training, steps) for training in plain]
    for use, sample in plan.samples.items():
        print(f"{use}: {sample.top:,} top and {sample.qcd:,} QCD jets of seed {sample.seed}")
    show(rows, ddt, with_bars=not options.quick)
    draw(rows, plan, steps)
    record = steps.folder / "results.json"
    write_json(record, {"rows": [asdict(row) for row in rows], "ddt": ddt})
    print(f"\n{time.perf_counter() - start:.0f} s in all; {record}")


if __name__ == "__main__":
    main()
