"""Networks that know jet physics beside those that do not, trained alike on the same jets.

    python benchmarks/seed_networks.py --quick            # small samples: under 5 minutes
    python benchmarks/seed_networks.py                    # the whole: under an hour on two cores
    python benchmarks/seed_networks.py --only lund vec    # some rows, here in the same folder

Top against QCD jets of ``weaver-tt simulate`` (550-650 GeV) with seeds of their own for training
and test. All networks have one recipe: AdamW, one-cycle to 3e-3, batches of 128, the best epoch by
the loss (weaver-core's by accuracy, its only way) of 10 % of the training jets. Every step is a
command that a user would give, on one thread, two at a time; numbers and their errors are those of
``weaver-tt report``, which of several trainings shows the one of median accuracy. Differences are
of the same test jets: their error is that of bootstrap samples of these jets, the same for both
networks.

What is done stays in the folder of the output: a second call goes on, adds other rows or further
trainings (``--trainings 3``), and shows them all. With ``--peer-python``, a python with weaver-core
0.5.3, the networks of the shoot-out that it has are trained there too, which takes an hour more.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
import uproot
import yaml
from lund import step_times
from steps import ROOT, Bar, Line, Steps, in_turn, with_error

from weaver_tt.system.json_files import write_json
from weaver_tt.system.wording import counted

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]

SIGNAL = "label_Tbqq"
PROCESSES = ("top", "qcd")
OURS, PEER = "weaver_tt", "weaver-core"
BOOTSTRAP_SAMPLES = 200
MOST_TRAININGS = 9  # of a network, that are looked for
EFFICIENCY = 0.3  # of the signal, where rejections are compared

RECIPE = (
    "--optimizer adamW --lr-scheduler one-cycle --start-lr 3e-3 --batch-size 128 "
    "--train-val-split 0.9 --gpus"
)
OUR_FLAGS = "--num-workers 0 --num-threads 1 --tensorboard off --no-progress --no-figures"
# as its authors' script for this task reads its files
PEER_FLAGS = "--num-workers 1 --fetch-step 1 --in-memory"
PEER_FILES = ROOT / "benchmarks" / "peers"


@dataclass(frozen=True, kw_only=True)
class Tagger:
    """A network file with options; ``data``: an example of a data YAML."""

    title: str
    network: str
    options: tuple[str, ...] = ()
    data: str = "top_tagging"


ONE_SCALE = "[" + ", ".join(["(32, 256, [(1, 1)], 64)"] * 3) + "]"
MEAN = ("edge_aggregation", "mean", "global_aggregation", "mean")
SMALL_VECTORS = ("keep", "24")
TAGGERS = {
    "pfn": Tagger(title="PFN", network="pfn"),
    "particle_net_lite": Tagger(title="ParticleNet-Lite", network="particle_net_lite"),
    "particle_net": Tagger(title="ParticleNet", network="particle_net"),
    "lund_net": Tagger(title="LundNet-5", network="lund_net", data="lund"),
    "particle_next": Tagger(title="ParticleNeXt", network="particle_next"),
    "particle_next_no_pairs": Tagger(
        title="ParticleNeXt without pair features",
        network="particle_next",
        options=("use_rel_lv_fts", "false"),
    ),
    "particle_next_mean": Tagger(
        title="ParticleNeXt with mean pooling", network="particle_next", options=MEAN
    ),
    "particle_next_one_scale": Tagger(
        title="ParticleNeXt with one scale of 32",
        network="particle_next",
        options=("layer_params", ONE_SCALE),
    ),
    "particle_transformer": Tagger(title="ParT", network="particle_transformer"),
    "vec_net": Tagger(title="vec_net", network="vec_net", options=SMALL_VECTORS),
    "vec_net_no_vectors": Tagger(
        title="vec_net without vectors", network="vec_net", options=(*SMALL_VECTORS, "vectors", "0")
    ),
}
# those that weaver-core has, in benchmarks/peers
PEERS = ("pfn", "particle_net_lite", "particle_next", "particle_transformer")


@dataclass(frozen=True, kw_only=True)
class Row:
    """Networks that are compared; ``jets`` of each class, ``trainings`` with seeds 1, 2, ..."""

    taggers: Sequence[str]
    jets: int
    epochs: int
    trainings: int
    peers: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Rows by their names, and the jets of each class: for training, and of top and QCD for tests.

    ``repeats``: how often a training step is timed.
    """

    rows: Mapping[str, Row]
    train_jets: int
    test_jets: Mapping[str, int]
    repeats: int


LUND = ("lund_net", "particle_net_lite", "pfn")
NEXT = (
    *("particle_next", "particle_net"),
    *("particle_next_no_pairs", "particle_next_mean", "particle_next_one_scale"),
)
VECTORS = ("vec_net", "vec_net_no_vectors", "pfn")
ALL = ("pfn", "particle_net_lite", "lund_net", "vec_net", "particle_next", "particle_transformer")
WHOLE = Plan(
    rows={
        "lund": Row(taggers=LUND, jets=9000, epochs=3, trainings=3),
        "vec": Row(taggers=VECTORS, jets=9000, epochs=8, trainings=3),
        "next": Row(taggers=NEXT, jets=5000, epochs=2, trainings=1),
        # the training of ParticleNeXt is that of the row above
        "shoot-out": Row(taggers=ALL, jets=5000, epochs=2, trainings=1, peers=PEERS),
    },
    train_jets=9000,
    test_jets={"top": 5000, "qcd": 10_000},
    repeats=5,
)
QUICK = Plan(
    rows={
        "lund": Row(taggers=LUND, jets=1000, epochs=2, trainings=1),
        "vec": Row(taggers=VECTORS, jets=1000, epochs=2, trainings=1),
        "next": Row(taggers=NEXT[:2], jets=500, epochs=1, trainings=1),
    },
    train_jets=1000,
    test_jets={"top": 1000, "qcd": 1000},
    repeats=1,
)
STEP = "step"


@dataclass(frozen=True, kw_only=True)
class Training:
    """One training of a network, on one side."""

    side: str
    tagger: str
    jets: int
    epochs: int
    seed: int

    @property
    def name(self) -> str:
        """What its files are called."""
        prefix = "" if self.side == OURS else f"{self.side}_"
        return f"{prefix}{self.tagger}_{self.jets}x{self.epochs}_{self.seed}"

    @property
    def title(self) -> str:
        """What its network is called in the tables."""
        title = TAGGERS[self.tagger].title
        return title if self.side == OURS else f"{title} ({self.side})"

    @property
    def prediction(self) -> str:
        """The file of its scores."""
        return f"{self.name}.root"


def trainings_of(row: Row, number: int) -> list[Training]:
    """``number`` trainings of each network of a row, those of weaver-core last."""
    found = []
    for side, taggers in ((OURS, row.taggers), (PEER, row.peers)):
        for tagger in taggers:
            for seed in range(1, number + 1):
                found.append(
                    Training(side=side, tagger=tagger, jets=row.jets, epochs=row.epochs, seed=seed)
                )
    return found


def done_trainings(row: Row, steps: Steps) -> dict[str, list[Training]]:
    """Title of a network in the table -> its trainings with predictions, of this call or before."""
    found: dict[str, list[Training]] = {}
    for training in trainings_of(row, MOST_TRAININGS):
        if f"predict {training.name}" in steps.done:
            found.setdefault(training.title, []).append(training)
    return found


# --- jets


def simulate(plan: Plan, steps: Steps, workers: int) -> None:
    """Make the jets of a plan, and shorter files of the first of them where a row takes fewer."""
    samples = []
    for process in PROCESSES:
        samples.append((training_file(process, plan.train_jets), process, plan.train_jets, 1))
        samples.append((test_file(process), process, plan.test_jets[process], 2))
    in_turn(lambda sample: simulate_sample(*sample, steps), samples, workers)
    for jets in {row.jets for row in plan.rows.values()}:
        for process in PROCESSES:
            target = steps.folder / training_file(process, jets)
            if not target.exists():
                source = steps.folder / training_file(process, plan.train_jets)
                copy_first_rows(source, target, jets)


def simulate_sample(path: str, process: str, jets: int, seed: int, steps: Steps) -> None:
    """Make a file of jets with their Lund trees."""
    # the default window of the hard process loses fewer jets at its edges, and takes more events
    flags = f"--process {process} -n {jets} --seed {seed} --pthat-min 500 --lund -o {path}"
    steps.run(f"simulate {path}", "simulate", *flags.split())


def training_file(process: str, jets: int) -> str:
    """The file with the first training jets of a process."""
    return f"{process}_train_{jets}.root"


def test_file(process: str) -> str:
    """The file with the test jets of a process."""
    return f"{process}_test.root"


def copy_first_rows(source: Path, target: Path, number: int) -> None:
    """Write the columns that the networks take of the first ``number`` rows of a file."""
    tree = uproot.open(source)["tree"]
    prefixes = ("part_p", "part_e", "part_d", "lund_", "jet_", "label_")
    names = [name for name in tree.keys(recursive=False) if name.startswith(prefixes)]
    columns = tree.arrays(names, entry_stop=number)
    records: dict[str, dict[str, Any]] = {"part": {}, "lund": {}}
    content = {}
    for name in names:
        collection, _, member = name.partition("_")
        if collection in records:
            records[collection][member] = columns[name]
        else:
            content[name] = columns[name]
    content |= {name: ak.zip(members) for name, members in records.items()}
    types = {name: ak.type(values).content for name, values in content.items()}
    partial = target.with_suffix(".part")
    with uproot.recreate(partial, compression=uproot.LZ4(4)) as file:
        file.mktree("tree", types).extend(content)
    partial.rename(target)


# --- trainings


def base_command(training: Training, steps: Steps, peer_python: str) -> list[str]:
    """What the training and the prediction of a network have in common."""
    tagger = TAGGERS[training.tagger]
    if training.side == OURS:
        start = [sys.executable, "-m", "weaver_tt.cli", "train", *OUR_FLAGS.split()]
        data, network = f"weaver_tt:{tagger.data}", f"weaver_tt:{tagger.network}"
    else:
        start = [peer_python, str(PEER_FILES / "weaver_train.py"), str(training.seed)]
        network = str(PEER_FILES / f"{tagger.network}.py")
        # a YAML of its own, as weaver-core writes files beside it
        data = str(steps.folder / f"{training.name}.yaml")
        Path(data).write_text(peer_yaml(tagger.data))
    options = []
    for key, value in zip(tagger.options[::2], tagger.options[1::2], strict=True):
        options += ["-o", key, value]
    return [*start, "-c", data, "-n", network, *options]


def peer_yaml(example: str) -> str:
    """The example of a data YAML, as weaver-core reads it."""
    config = yaml.safe_load((ROOT / "data_configs" / f"{example}.yaml").read_text())
    # those that may be missing are ours alone
    del config["observers"]
    return yaml.safe_dump({"treename": "tree", **config}, sort_keys=False)


def train_and_predict(training: Training, steps: Steps, peer_python: str) -> None:
    """Train a network, and predict all test jets."""
    start = base_command(training, steps, peer_python)
    prefix = f"runs/{training.name}/net"
    files = [f"{process}:{training_file(process, training.jets)}" for process in PROCESSES]
    flags = ["-m", prefix, "-i", *files, *RECIPE.split(), "", "--num-epochs", str(training.epochs)]
    weights = prefix
    if training.side == OURS:
        # what an interrupted benchmark may have left
        flags += ["--seed", str(training.seed), "--overwrite"]
    else:
        rows = 2 * training.jets
        train_steps, val_steps = rows * 9 // 10 // 128, rows // 10 // 128
        # weaver-core has to be told when it keeps the data in memory
        flags += ["--steps-per-epoch", str(train_steps), "--steps-per-epoch-val", str(val_steps)]
        flags += [*PEER_FLAGS.split(), "--run-mode", "train,val"]
        weights += "_best_epoch_state.pt"
    steps.run_program(f"train {training.name}", *start, *flags)
    tests = [test_file(process) for process in PROCESSES]
    flags = ["--predict", "-m", weights, "-t", *tests, "--batch-size", "512", "--gpus", ""]
    output = str(steps.folder / training.prediction)
    steps.run_program(f"predict {training.name}", *start, *flags, "--predict-output", output)


# --- what is compared


def read_scores(path: Path) -> tuple[Floats, Booleans]:
    """Scores of the signal (R,), and which rows are signal (R,)."""
    file = uproot.open(path)
    tree = file[file.keys()[0]]
    columns = tree.arrays([f"score_{SIGNAL}", SIGNAL], library="np")
    return columns[f"score_{SIGNAL}"].astype(np.float64), columns[SIGNAL] == 1


def bootstrap_counts(is_signal: Booleans, samples: int, seed: int = 1) -> npt.NDArray[np.int64]:
    """How often each row is in each sample (1 + B, R); the first are the rows themselves.

    Signal and background are drawn each from their own rows.
    """
    random = np.random.default_rng(seed)
    counts = np.ones((1 + samples, len(is_signal)), np.int64)
    for rows in (np.flatnonzero(is_signal), np.flatnonzero(~is_signal)):
        shares = np.full(len(rows), 1 / len(rows))
        counts[1:, rows] = random.multinomial(len(rows), shares, size=samples)
    return counts


def areas(score: Floats, is_signal: Booleans, counts: npt.NDArray[np.int64]) -> Floats:
    """The area under the curve in each sample (1 + B,); equal scores count half."""
    order = np.argsort(score, kind="stable")
    first_of_equal = np.flatnonzero(np.diff(score[order], prepend=-np.inf) > 0)
    signals = np.add.reduceat((counts * is_signal)[:, order], first_of_equal, axis=1)
    backgrounds = np.add.reduceat((counts * ~is_signal)[:, order], first_of_equal, axis=1)
    # backgrounds below each signal
    below = backgrounds.cumsum(1) - backgrounds / 2
    return (signals * below).sum(1) / (signals.sum(1) * backgrounds.sum(1))


@dataclass(frozen=True)
class Difference:
    """The mean difference of areas of two networks over their trainings, of equal seeds.

    ``error`` is that of the test jets, ``spread`` the standard deviation of one training, None
    where there is only one, ``total_error`` that of the mean over trainings.
    """

    value: float
    error: float
    spread: float | None
    total_error: float


def difference(one: Sequence[Floats], other: Sequence[Floats]) -> Difference:
    """Compare the areas (1 + B,) of each training of two networks."""
    pairs = np.array([first - second for first, second in zip(one, other, strict=False)])
    values = pairs[:, 0]
    error = float(pairs[:, 1:].mean(0).std(ddof=1))
    if len(values) == 1:
        return Difference(float(values[0]), error, None, error)
    spread = float(values.std(ddof=1))
    total = float(np.hypot(error, spread / np.sqrt(len(values))))
    return Difference(float(values.mean()), error, spread, total)


@dataclass(frozen=True)
class Network:
    """What is known of a network in a row: ``numbers`` for the table, and areas of its trainings.

    ``areas``: (1 + B,) for each training, in all jets and in the bootstrap samples.
    """

    numbers: dict[str, Any]
    areas: Sequence[Floats]


def measure(row: str, networks: Mapping[str, Sequence[Training]], steps: Steps) -> dict[str, Any]:
    """Title of a network -> its numbers by the report, its CPU time, and differences to others."""
    folder = f"report_{row}"
    models = []
    for title, trainings in networks.items():
        files = ",".join(training.prediction for training in trainings)
        models.append(f"{title}:{files}")
    # an earlier one is of fewer trainings, maybe
    steps.run(f"report {row}", "report", *models, "-o", folder, again=True)
    metrics = json.loads((steps.folder / folder / "metrics.json").read_text())
    found: dict[str, Network] = {}
    counts = None
    for title, trainings in networks.items():
        of_each = []
        for training in trainings:
            score, is_signal = read_scores(steps.folder / training.prediction)
            if counts is None:
                counts = bootstrap_counts(is_signal, BOOTSTRAP_SAMPLES)
            of_each.append(areas(score, is_signal, counts))
        numbers = numbers_of(trainings, metrics["models"][title], of_each, steps)
        found[title] = Network(numbers, of_each)
    for title, network in found.items():
        others = {other: one for other, one in found.items() if other != title}
        network.numbers["auc_minus"] = {
            other: asdict(difference(network.areas, one.areas)) for other, one in others.items()
        }
    return {title: network.numbers for title, network in found.items()}


def numbers_of(
    trainings: Sequence[Training],
    metrics: Mapping[str, Any],
    of_each: Sequence[Floats],
    steps: Steps,
) -> dict[str, Any]:
    """What is kept of a network; ``metrics`` are those of the report."""
    first = trainings[0]
    passes = first.epochs * 2 * first.jets
    usages = [steps.done[f"train {training.name}"] for training in trainings]
    seconds = mean(usage.cpu for usage in usages)
    auc = dict(metrics["auc"]["one_vs_rest"][SIGNAL])
    if len(of_each) > 1:
        auc["spread"] = stdev(float(one[0]) for one in of_each)
    return {
        "jets": first.jets,
        "epochs": first.epochs,
        "seeds": [training.seed for training in trainings],
        "parameters": metrics["parameters"],
        "accuracy": metrics["accuracy"],
        "auc": auc,
        "rejection_30": metrics["rejection"][str(EFFICIENCY)]["one_vs_rest"][SIGNAL],
        "ant": metrics["ant"][SIGNAL],
        "cpu_seconds_of_a_training": seconds,
        "cpu_ms_a_jet": 1000 * seconds / passes,
        "memory_mb": max(usage.memory for usage in usages),
    }


# --- bars


def bar_lines(rows: Mapping[str, Mapping[str, Any]]) -> list[Line]:
    """The bars, and what was found. Differences "in errors" are divided by their total error."""

    def number(row: str, title: str, *keys: str) -> float | None:
        value: Any = rows.get(row, {}).get(title)
        for key in keys:
            value = None if value is None else value.get(key)
        return value

    def minus(row: str, title: str, other: str) -> float | None:
        return number(row, title, "auc_minus", other, "value")

    def in_errors(row: str, title: str, other: str) -> float | None:
        value = minus(row, title, other)
        error = number(row, title, "auc_minus", other, "total_error")
        return None if value is None or not error else value / error

    ant = number("vec", "vec_net", "ant", "value")
    ant_of_pfn = number("vec", "PFN", "ant", "value")
    ratio = None if ant is None or not ant_of_pfn else ant / ant_of_pfn
    lund, lite, vec = "LundNet-5", "ParticleNet-Lite", "vec_net"
    without = "vec_net without vectors"
    named = {
        "LundNet-5: AUC": (number("lund", lund, "auc", "value"), Bar(least=0.977)),
        "LundNet-5 - ParticleNet-Lite, AUC in errors": (
            in_errors("lund", lund, lite),
            Bar(least=-1),
        ),
        "LundNet-5 - PFN, AUC": (minus("lund", lund, "PFN"), Bar(least=0.008)),
        "training step, jets of LundNet-5 / of ParticleNet": (
            rows.get(STEP, {}).get("ratio"),
            Bar(least=5),
        ),
        "ParticleNeXt - ParticleNet, AUC in errors": (
            in_errors("next", "ParticleNeXt", "ParticleNet"),
            Bar(least=-2),
        ),
        "vec_net: parameters": (number("vec", vec, "parameters"), Bar(most=6000)),
        "vec_net: AUC": (number("vec", vec, "auc", "value"), Bar(least=0.972)),
        "vec_net - PFN, AUC in errors": (in_errors("vec", vec, "PFN"), Bar(least=-1)),
        "vec_net: ant / of PFN": (ratio, Bar(least=5)),
        "vec_net - without vectors, AUC in errors": (in_errors("vec", vec, without), Bar(least=1)),
    }
    return [Line(name=name, value=value, bar=bar) for name, (value, bar) in named.items()]


# --- tables


def show(rows: Mapping[str, Mapping[str, Any]], with_bars: bool) -> None:
    """Print a table for each row, and the bars, which small samples need not meet."""
    for row, networks in rows.items():
        if row == STEP:
            continue
        first = next(iter(networks))
        one = networks[first]
        print(f"\n{row}: {one['jets']} + {one['jets']} jets, {counted(one['epochs'], 'epoch')}\n")
        print(
            f"| network | parameters | AUC | - {first}, same jets | 1/eps_B at 30 % "
            "| ant | ms of CPU a jet | MB |\n|---|---|---|---|---|---|---|---|"
        )
        for title, numbers in networks.items():
            print(table_row(title, numbers, first))
    if STEP in rows:
        shown = ", ".join(f"{name} {ms:.2f}" for name, ms in rows[STEP]["ms_a_jet"].items())
        print(f"\na training step, ms of CPU a jet: {shown}")
    if not with_bars:
        return
    print("\n| | value | bar | |\n|---|---|---|---|")
    for line in bar_lines(rows):
        print(line.text())


def table_row(title: str, numbers: Mapping[str, Any], first: str) -> str:
    """The line of a network."""
    parameters = "" if numbers["parameters"] is None else f"{numbers['parameters']:,}"
    to_first = numbers["auc_minus"].get(first)
    cells = [
        title,
        parameters,
        with_error(numbers["auc"]),
        "" if to_first is None else with_error(to_first),
        with_error(numbers["rejection_30"]),
        with_error(numbers["ant"]),
        f"{numbers['cpu_ms_a_jet']:.2f}",
        f"{numbers['memory_mb']:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Read the flags, run what has not been run, print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="small samples, fewer networks, no bars"
    )
    rows = [*WHOLE.rows, STEP]
    parser.add_argument(
        "--only",
        nargs="+",
        choices=rows,
        default=rows,
        metavar="ROW",
        help=f"rows to run, of {', '.join(rows)} (default: all)",
    )
    parser.add_argument(
        "--networks",
        nargs="+",
        choices=list(TAGGERS),
        metavar="NETWORK",
        help=f"only these of each row, of {', '.join(TAGGERS)}",
    )
    parser.add_argument("--trainings", type=int, help="of each network, instead of each row's own")
    parser.add_argument(
        "--peer-python", help="a python with weaver-core 0.5.3, whose networks are then trained too"
    )
    parser.add_argument("--workers", type=int, default=2, help="steps at a time, a thread each")
    parser.add_argument("-o", "--output", type=Path, default=Path("seed_networks_benchmark"))
    options = parser.parse_args()
    start = time.perf_counter()
    plan = QUICK if options.quick else WHOLE
    folder = options.output / "quick" if options.quick else options.output
    steps = Steps(folder=folder.resolve(), resumes=True)
    simulate(plan, steps, options.workers)
    chosen = [name for name in plan.rows if name in options.only]
    wanted: dict[str, Training] = {}
    for name in chosen:
        row = plan.rows[name]
        number = options.trainings or row.trainings
        for training in trainings_of(row, number):
            is_asked = options.networks is None or training.tagger in options.networks
            if is_asked and (training.side == OURS or options.peer_python):
                wanted[training.name] = training
    in_turn(
        lambda training: train_and_predict(training, steps, options.peer_python),
        list(wanted.values()),
        options.workers,
    )
    found: dict[str, Any] = {}
    for name in chosen:
        networks = done_trainings(plan.rows[name], steps)
        if networks:
            found[name] = measure(name, networks, steps)
    if STEP in options.only:
        ms_a_jet = step_times(str(steps.folder / test_file("top")), plan.repeats)
        ratio = ms_a_jet["particle_net"] / ms_a_jet["lund_net"]
        found[STEP] = {"ms_a_jet": ms_a_jet, "ratio": ratio}
    record = steps.folder / "results.json"
    # with what another call in the same folder has found meanwhile
    results = (json.loads(record.read_text()) if record.exists() else {}) | found
    write_json(record, results)
    show(results, with_bars=not options.quick)
    print(f"\n{time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    main()
