"""A ratio of two samples that is known: networks with three losses beside a binned map.

    python benchmarks/density_ratio.py -o FOLDER              # 300k + 300k rows, three seeds
    python benchmarks/density_ratio.py -o FOLDER --quick      # 60k + 60k rows, one seed

The denominator ("mc") has jets with pT = 30 GeV + an exponential of 60 GeV, eta uniform within 2.5
and dR, to the next jet, uniform in [0.4, 3.5]. The numerator ("data") is drawn from it with a
probability that falls towards small dR, the more the larger pT is, and depends on pT and eta. Both
are seen by all methods as (pT, eta, dR); the map has 15 bins of pT, with equally many jets of the
denominator in each, and 8 of eta, and so averages over dR.

On as many jets of the denominator of another seed: the RMS of ratio / true ratio - 1, which is to
be at most 0.6 of the map's, and its mean, to be within 0.5 % (with --quick within 1.5 %). Exit code
1 where one of them is not, of the epoch with the smallest loss of validation, which is what is
predicted with by default. The last epoch, at which the schedule ends, stands beside it.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
from steps import Bar, Steps

from weaver_tt.config.sections import write_yaml
from weaver_tt.system.json_files import write_json

Values = npt.NDArray[np.float64]

LOSSES = ("bce", "kl", "lsif")
PT_BINS = 15
ETA_BINS = 8
LARGEST_SHARE = 0.6  # of the RMS of the map
PT_LOW = 30.0  # GeV
PT_MEAN = 60.0  # GeV, of what is above
ETA_MAX = 2.5
DR_RANGE = (0.4, 3.5)
NAMES = ("pt", "eta", "dr")

EPOCHS = 5
FLAGS = (
    "-n weaver_tt:mlp -o layers 64,64 --batch-size 1000 --batch-size-val 10000 --optimizer adam "
    "--lr-scheduler warmup+cos --start-lr 5e-3 --train-val-split 0.9 "
    "--gpus= --num-workers 0 --num-threads 1 --tensorboard off --no-progress --no-figures"
)


@dataclass(frozen=True, kw_only=True)
class Size:
    """Rows of each sample, seeds of the training, and how far the mean may be from 0."""

    rows: int
    seeds: int
    mean: float


WHOLE = Size(rows=300_000, seeds=3, mean=0.005)
QUICK = Size(rows=60_000, seeds=1, mean=0.015)


# --- two samples


def jets_at(pt: Values, eta: Values, dr: Values) -> dict[str, Values]:
    """Jets of the denominator at quantiles (M,) of pT, eta and dR, which are independent."""
    low, high = DR_RANGE
    return {
        "pt": PT_LOW - PT_MEAN * np.log1p(-pt),
        "eta": ETA_MAX * (2 * eta - 1),
        "dr": low + (high - low) * dr,
    }


def preference(jets: dict[str, Values]) -> Values:
    """What the numerator is drawn with, below 1.3; the ratio but for its normalisation."""
    of_pt = 1 + 0.3 * np.tanh(np.log(jets["pt"] / 100))
    of_eta = 1 - 0.15 * (jets["eta"] / ETA_MAX) ** 2
    nearby = np.exp(-(jets["dr"] - DR_RANGE[0]) / 0.5)
    loss = 0.2 + 0.2 * jets["pt"] / (jets["pt"] + 100)
    return of_pt * of_eta * (1 - loss * nearby)


def mean_preference(steps: int = 200) -> float:
    """Its mean under the denominator, by the midpoint rule in the quantiles of each variable."""
    middles = (np.arange(steps) + 0.5) / steps
    grid = np.meshgrid(middles, middles, middles, indexing="ij")
    return float(preference(jets_at(*grid)).mean())


def draw(rows: int, seed: int, is_numerator: bool) -> dict[str, Values]:
    """Jets of a sample."""
    random = np.random.default_rng(seed)
    parts = []
    found = 0
    while found < rows:
        jets = jets_at(*random.random((3, rows)))
        if is_numerator:
            kept = random.random(rows) * 1.3 < preference(jets)
            jets = {name: values[kept] for name, values in jets.items()}
        parts.append(jets)
        found += len(jets["pt"])
    return {name: np.concatenate([jets[name] for jets in parts])[:rows] for name in NAMES}


def write_sample(path: Path, rows: int, seed: int, name: str) -> dict[str, Values]:
    """A file of jets with its class as 0/1 columns."""
    jets = draw(rows, seed, name == "data")
    columns: dict[str, Any] = {key: values.astype(np.float32) for key, values in jets.items()}
    for other in ("data", "mc"):
        columns[other] = np.full(rows, int(other == name), dtype=np.int8)
    ak.to_parquet(ak.Array(columns), path)
    return jets


# --- what is compared


def map_ratio(data: dict[str, Values], mc: dict[str, Values], test: dict[str, Values]) -> Values:
    """The ratio of two histograms in (pT, eta), of each jet of ``test``."""
    quantiles = np.linspace(0, 1, PT_BINS + 1)
    edges = [np.quantile(mc["pt"], quantiles), np.linspace(-ETA_MAX, ETA_MAX, ETA_BINS + 1)]
    edges[0][[0, -1]] = 0, np.inf
    histograms = [np.histogram2d(jets["pt"], jets["eta"], edges)[0] for jets in (data, mc)]
    ratio = (histograms[0] / len(data["pt"])) / (histograms[1] / len(mc["pt"]))
    place_pt = np.clip(np.searchsorted(edges[0], test["pt"], "right") - 1, 0, PT_BINS - 1)
    place_eta = np.clip(np.searchsorted(edges[1], test["eta"], "right") - 1, 0, ETA_BINS - 1)
    return np.asarray(ratio[place_pt, place_eta])


def deviations(ratio: Values, true: Values) -> dict[str, float]:
    """RMS and mean of ratio / true - 1."""
    relative = ratio / true - 1
    return {"rms": float(np.sqrt(np.mean(relative**2))), "mean": float(relative.mean())}


def write_config(folder: Path, loss: str) -> None:
    """Write the data YAML of a loss."""
    values = {
        "new_variables": {"log_pt": "np.log(pt)"},
        "preprocess": {"method": "auto", "data_fraction": 0.2},
        "inputs": {"jet": {"length": None, "vars": ["log_pt", "eta", "dr"]}},
        "labels": {"type": "simple", "value": ["data", "mc"]},
        "task": {"name": "density_ratio", "numerator": "data", "loss": loss},
    }
    write_yaml(values, str(folder / f"{loss}.yaml"), f"loss {loss}")


@dataclass(frozen=True, kw_only=True)
class Trainings:
    """Trains networks on the samples in the folder of the steps, and compares with the truth."""

    steps: Steps
    true: Values  # ratio of each jet of the test

    def measure(self, loss: str, seed: int) -> dict[str, Any]:
        """Deviations of the last and the best epoch, and seconds of CPU of the training."""
        name = f"{loss}_{seed}"
        common = ["train", "-c", f"{loss}.yaml", *FLAGS.split()]
        training = ["-m", f"run/{name}", "--num-epochs", str(EPOCHS), "--seed", str(seed)]
        # what an interrupted benchmark may have left
        training.append("--overwrite")
        files = ["data:data.parquet", "mc:mc.parquet"]
        usage = self.steps.run(f"train {name}", *common, *training, "-i", *files)
        found: dict[str, Any] = {"cpu": usage.cpu}
        models = {"last": f"run/{name}_epoch-{EPOCHS - 1}_state.pt", "best": f"run/{name}"}
        for epoch, model in models.items():
            output = f"{epoch}_{name}.parquet"
            predicts = ["-m", model, "--predict", "-t", "test.parquet", "--predict-output", output]
            self.steps.run(f"predict {epoch} {name}", *common, *predicts)
            ratio = ak.to_numpy(ak.from_parquet(self.steps.folder / output)["ratio"])
            found[epoch] = deviations(ratio.astype(np.float64), self.true)
        return found


def measure(folder: Path, size: Size, resumes: bool, workers: int) -> dict[str, Any]:
    """Deviations of the map and of each loss and seed, with what a training takes."""
    steps = Steps(folder=folder, resumes=resumes)
    data = write_sample(folder / "data.parquet", size.rows, 1, "data")
    mc = write_sample(folder / "mc.parquet", size.rows, 2, "mc")
    test = write_sample(folder / "test.parquet", size.rows, 3, "mc")
    trainings = Trainings(steps=steps, true=preference(test) / mean_preference())
    seeds = range(1, size.seeds + 1)
    for loss in LOSSES:
        write_config(folder, loss)
    with ThreadPoolExecutor(workers) as pool:
        pairs = [(loss, seed) for seed in seeds for loss in LOSSES]
        futures = {pair: pool.submit(trainings.measure, *pair) for pair in pairs}
        found: dict[str, Any] = {
            loss: [futures[loss, seed].result() for seed in seeds] for loss in LOSSES
        }
    return {"map": deviations(map_ratio(data, mc, test), trainings.true), **found}


def report(found: dict[str, Any], size: Size) -> bool:
    """Print the table; whether all bars are met."""
    of_map = found["map"]
    rms_bar = Bar(most=LARGEST_SHARE * of_map["rms"])
    mean_bar = Bar(least=-size.mean, most=size.mean)
    print(f"\nmap, {PT_BINS} x {ETA_BINS}: RMS {of_map['rms']:.4f}, mean {of_map['mean']:+.4f}")
    print("| loss | seed | RMS | bar | mean | bar | last epoch: RMS | mean | CPU of the training |")
    print("|---|---|---|---|---|---|---|---|---|")
    are_met = True
    for loss in LOSSES:
        for seed, one in enumerate(found[loss], 1):
            last, best = one["last"], one["best"]
            verdicts = rms_bar.verdict([best["rms"]]), mean_bar.verdict([best["mean"]])
            are_met = are_met and set(verdicts) == {"met"}
            print(
                f"| {loss} | {seed} | {best['rms']:.4f} | {verdicts[0]} | {best['mean']:+.4f} "
                f"| {verdicts[1]} | {last['rms']:.4f} | {last['mean']:+.4f} | {one['cpu']:.0f} s |"
            )
    print(f"bars: RMS {rms_bar.text()}, mean {mean_bar.text()}")
    return are_met


def main() -> None:
    """Parse, train, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="60k + 60k rows, one seed")
    parser.add_argument("--resume", action="store_true", help="keep the steps that are done")
    parser.add_argument("--workers", type=int, default=2, help="trainings at a time, a thread each")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a folder for all files")
    arguments = parser.parse_args()
    size = QUICK if arguments.quick else WHOLE
    found = measure(arguments.output.resolve(), size, arguments.resume, arguments.workers)
    write_json(arguments.output / "density_ratio.json", found)
    if not report(found, size):
        sys.exit(1)


if __name__ == "__main__":
    main()
