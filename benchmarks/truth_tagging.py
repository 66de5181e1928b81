"""From a ROOT file of toy jets to predictions and their closure, as a user would run it.

    python benchmarks/truth_tagging.py                                    # the edge network
    python benchmarks/truth_tagging.py --network gnn --epochs 10          # the paper's network
    python benchmarks/truth_tagging.py --data train.root test.root --data-config my.yaml

Gives times, residuals, and the closure of network and map. Every step is a process of its own
(``train.py``, ``weaver-tt``), timed from outside. Results are printed as a table and written as
JSON.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLAVOURS = ("b", "c", "light")

# found on events of other seeds
RECIPES = {
    "edges": (
        "--batch-size 1000 --optimizer adam --lr-scheduler warmup+cos --warmup-steps 0.05 "
        "--start-lr 2e-2 --num-epochs 8 --ensemble 4 --ensemble-weights none"
    ),
    "gnn": (
        "--batch-size 1000 --optimizer adam --lr-scheduler one-cycle --start-lr 1e-3 "
        "--num-epochs 10"
    ),
}


def run_step(name: str, times: dict[str, float], *command: str) -> None:
    """Run a command, keep its wall time, stop if it fails."""
    print("$", shlex.join(command), flush=True)
    # everything counts that a user would wait for, the start of Python included
    start = time.perf_counter()
    subprocess.run([sys.executable, *command], cwd=ROOT, check=True)
    times[name] = time.perf_counter() - start


def main() -> None:
    """Parse, run the steps, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", choices=list(RECIPES), default="edges")
    parser.add_argument("--network-config", help="another network file")
    parser.add_argument(
        "--data",
        nargs=2,
        metavar=("TRAIN", "TEST"),
        help="use these files instead of making toy events",
    )
    parser.add_argument("--data-config", default="data_configs/truth_tagging.yaml")
    parser.add_argument(
        "--events", nargs=2, type=int, default=(300_000, 200_000), metavar=("TRAIN", "TEST")
    )
    parser.add_argument("--epochs", type=int, help="epochs, instead of the recipe's")
    parser.add_argument("--seed", type=int, default=1, help="of the training")
    parser.add_argument("--data-seed", type=int, default=100, help="of the toy events")
    parser.add_argument("--ensemble", type=int, help="members, instead of the recipe's")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--amp", action="store_true", help="bf16 autocast")
    parser.add_argument("-o", "--output", type=Path, default=Path("/tmp/weaver_tt_truth_tagging"))
    arguments = parser.parse_args()
    results = run(arguments)
    report(results)
    (arguments.output / "benchmark.json").write_text(json.dumps(results, indent=2))
    print("written:", arguments.output / "benchmark.json")


def run(arguments: argparse.Namespace) -> dict:
    """Make events, train, predict and measure the closure; times and closure numbers."""
    folder = arguments.output.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    making: dict[str, float] = {}
    times: dict[str, float] = {}
    boosted = folder / "boosted.root"
    validation: list[str] = []
    if arguments.data:
        train, test = (Path(path) for path in arguments.data)
    else:
        train = folder / "train.root"
        test = folder / "test.root"
        val = folder / "val.root"
        seed = arguments.data_seed
        train_events, test_events = arguments.events
        make_toy(train, train_events, seed, "multijet", making)
        make_toy(val, 50_000, seed + 1, "multijet", making)
        make_toy(test, test_events, seed + 2, "multijet", making)
        make_toy(boosted, test_events, seed + 3, "boosted", making)
        # a file of its own, so that all of the training events are trained on
        validation = ["--data-val", str(val)]

    default_network = f"network_configs/truth_tagging_{arguments.network}.py"
    common = ["-c", arguments.data_config, "-n", arguments.network_config or default_network]
    common += ["-m", str(folder / arguments.network)]
    # on the CPU, so that times can be compared between machines
    common += ["--gpus", "", "--num-threads", str(arguments.threads)]

    recipe = make_recipe(arguments)
    flags = [*validation, *common, *recipe, "--overwrite"]
    run_step("train", times, "train.py", "-i", str(train), *flags)
    closures = {}
    prediction = folder / "pred.root"
    predict("predict", test, prediction, common, times)
    closures["test"] = measure_closure("closure", prediction, train, folder / "closure", times)
    if not arguments.data:
        # a sample of another kind than the one trained on; its times are no part of the sum
        prediction = folder / "pred_boosted.root"
        output = folder / "closure_boosted"
        predict("predict boosted", boosted, prediction, common, making)
        closures["boosted"] = measure_closure("closure boosted", prediction, train, output, making)
    settings = {name: str(value) for name, value in vars(arguments).items()}
    return {
        "settings": settings,
        "recipe": recipe,
        "seconds": times,
        "other_seconds": making,
        "closure": closures,
    }


def make_toy(path: Path, events: int, seed: int, kind: str, times: dict[str, float]) -> None:
    """Make a file of toy events."""
    flags = ["--events", str(events), "--seed", str(seed)]
    flags += ["--kind", kind, "-o", str(path)]
    run_step(f"toy {path.stem}", times, "-m", "weaver_tt.cli", "toy", *flags)


def make_recipe(arguments: argparse.Namespace) -> list[str]:
    """The flags of the training; of a flag that comes twice, the last value counts."""
    recipe = shlex.split(RECIPES[arguments.network])
    if arguments.epochs:
        recipe += ["--num-epochs", str(arguments.epochs)]
    if arguments.ensemble:
        recipe += ["--ensemble", str(arguments.ensemble)]
    if arguments.amp:
        recipe.append("--use-amp")
    return [*recipe, "--seed", str(arguments.seed), "--no-progress"]


def predict(
    name: str, data: Path, output: Path, common: list[str], times: dict[str, float]
) -> None:
    """Predict the efficiencies of the jets of a file."""
    flags = ["-t", str(data), *common, "--predict-output", str(output)]
    run_step(name, times, "train.py", "--predict", *flags)


def measure_closure(
    name: str, prediction: Path, train: Path, output: Path, times: dict[str, float]
) -> dict:
    """Compare network and map with direct tagging; the numbers of ``closure.json``."""
    flags = [str(prediction), "--map-from", str(train), "-o", str(output)]
    run_step(name, times, "-m", "weaver_tt.cli", "closure", *flags)
    return json.loads((output / "closure.json").read_text())


def report(results: dict) -> None:
    """Print residuals, closure and times."""
    for sample, closure in results["closure"].items():
        if "residuals" in closure:
            report_residuals(sample, closure["residuals"])
        report_closure(sample, closure)
    times = results["seconds"]
    steps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in times.items())
    print(f"\nseconds: {steps}; sum {sum(times.values()):.1f}")


def report_residuals(sample: str, residuals: dict) -> None:
    """Print mean and RMS of the residuals by flavour, and the ratio of network to map."""
    print(f"\n{sample}: relative residual (true - predicted) / true")
    print(f"{'':10s}" + "".join(f"{flavour:>34s}" for flavour in FLAVOURS))
    for method in ("map", "network"):
        line = f"{method:10s}"
        for flavour in FLAVOURS:
            numbers = residuals[method][flavour]
            mean = f"mean {numbers['mean']:+.4f} ± {numbers['mean_error']:.4f}"
            cell = f"{mean}, RMS {numbers['rms']:.4f}"
            line += f"{cell:>34s}"
        print(line)
    line = f"{'RMS ratio':10s}"
    for flavour in FLAVOURS:
        ratio = residuals["network"][flavour]["rms"] / residuals["map"][flavour]["rms"]
        line += f"{ratio:34.3f}"
    print(line)


def report_closure(sample: str, closure: dict) -> None:
    """Print chi2/ndf of the distributions, and what limits the map."""
    print(f"\n{sample}: chi2/ndf against direct tagging, all flavours")
    for variable, requests in closure["distributions"].items():
        for request, flavours in requests.items():
            cells = []
            for method, numbers in flavours["all"].items():
                if "chi2_per_ndf" in numbers:
                    cells.append(f"{method} {numbers['chi2_per_ndf']:.2f}")
            ndf = flavours["all"]["network"]["ndf"]
            print(f"  {variable:8s} {request:8s} {', '.join(cells)} (ndf {ndf})")
    precision = closure["map"].get("tagged_jets_precision", {}).get("light")
    if precision:
        print(f"  statistical precision of the light tags behind the map: {precision:.4f}")


if __name__ == "__main__":
    main()
