"""From a ROOT file of toy jets to closed predictions, as a user would run it: time, residuals and closure of network and map.

    python benchmarks/truth_tagging.py                                    # the edge network
    python benchmarks/truth_tagging.py --network gnn --epochs 10          # the paper's network
    python benchmarks/truth_tagging.py --data train.root test.root --data-config my.yaml

Every step is a process of its own (``train.py``, ``weaver-tt``), timed from outside. Results: a table on stdout and a JSON.
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
RECIPES = {  # found on events of other seeds
    "edges": "--batch-size 1000 --optimizer adam --lr-scheduler warmup+cos --warmup-steps 0.05 --start-lr 2e-2 --num-epochs 8 --ensemble 4",
    "gnn": "--batch-size 1000 --optimizer adam --lr-scheduler one-cycle --start-lr 1e-3 --num-epochs 10",
}


def step(name: str, times: dict[str, float], *command: str) -> None:
    """Run a command, keep its wall time, stop if it fails."""
    print("$", shlex.join(command), flush=True)
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
    """Make events, train, predict and close both samples; returns times and closure numbers."""
    folder = arguments.output.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    making: dict[str, float] = {}
    times: dict[str, float] = {}
    boosted = str(folder / "boosted.root")
    if arguments.data:
        train, test = arguments.data
        validation = []
    else:
        train, test = str(folder / "train.root"), str(folder / "test.root")
        validation = [
            "--data-val",
            str(folder / "val.root"),
        ]  # so that all of the training events are trained on
        weaver_tt = ("-m", "weaver_tt.cli")
        for path, events, seed, kind in (
            (train, arguments.events[0], arguments.data_seed, "multijet"),
            (validation[1], 50_000, arguments.data_seed + 1, "multijet"),
            (test, arguments.events[1], arguments.data_seed + 2, "multijet"),
            (boosted, arguments.events[1], arguments.data_seed + 3, "boosted"),
        ):
            step(
                f"toy {Path(path).stem}",
                making,
                *weaver_tt,
                "toy",
                "--events",
                str(events),
                "--seed",
                str(seed),
                "--kind",
                kind,
                "-o",
                path,
            )
    configs = [
        "-c",
        arguments.data_config,
        "-n",
        arguments.network_config or f"network_configs/truth_tagging_{arguments.network}.py",
    ]
    common = [
        *configs,
        "-m",
        str(folder / arguments.network),
        "--gpus",
        "",
        "--num-threads",
        str(arguments.threads),
    ]
    recipe = shlex.split(RECIPES[arguments.network]) + (
        ["--num-epochs", str(arguments.epochs)] if arguments.epochs else []
    )
    recipe += ["--ensemble", str(arguments.ensemble)] if arguments.ensemble else []
    recipe += ["--use-amp"] * arguments.amp + ["--seed", str(arguments.seed), "--no-progress"]
    step("train", times, "train.py", "-i", train, *validation, *common, *recipe)
    step(
        "predict",
        times,
        "train.py",
        "--predict",
        "-t",
        test,
        *common,
        "--predict-output",
        str(folder / "pred.root"),
    )
    step(
        "closure",
        times,
        "-m",
        "weaver_tt.cli",
        "closure",
        str(folder / "pred.root"),
        "--map-from",
        train,
        "-o",
        str(folder / "closure"),
    )
    closures = {"test": json.loads((folder / "closure" / "closure.json").read_text())}
    if not arguments.data:
        step(
            "predict boosted",
            making,
            "train.py",
            "--predict",
            "-t",
            boosted,
            *common,
            "--predict-output",
            str(folder / "pred_boosted.root"),
        )
        place = str(folder / "closure_boosted")
        step(
            "closure boosted",
            making,
            "-m",
            "weaver_tt.cli",
            "closure",
            str(folder / "pred_boosted.root"),
            "--map-from",
            train,
            "-o",
            place,
        )
        closures["boosted"] = json.loads((folder / "closure_boosted" / "closure.json").read_text())
    settings = {name: str(value) for name, value in vars(arguments).items()}
    return {
        "settings": settings,
        "recipe": recipe,
        "seconds": times,
        "other_seconds": making,
        "closure": closures,
    }


def report(results: dict) -> None:
    """Print residuals, closure and times."""
    for sample, closure in results["closure"].items():
        if "residuals" in closure:
            print(f"\n{sample}: relative residual (true - predicted) / true")
            print(f"{'':10s}" + "".join(f"{flavour:>34s}" for flavour in ("b", "c", "light")))
            for method in ("map", "network"):
                numbers = [closure["residuals"][method][flavour] for flavour in ("b", "c", "light")]
                cells = [
                    f"mean {n['mean']:+.4f} ± {n['mean_error']:.4f}, RMS {n['rms']:.4f}"
                    for n in numbers
                ]
                print(f"{method:10s}" + "".join(f"{cell:>34s}" for cell in cells))
            ratios = [
                closure["residuals"]["network"][f]["rms"] / closure["residuals"]["map"][f]["rms"]
                for f in ("b", "c", "light")
            ]
            print(f"{'RMS ratio':10s}" + "".join(f"{ratio:34.3f}" for ratio in ratios))
        print(f"\n{sample}: chi2/ndf against direct tagging, all flavours")
        for variable, requests in closure["distributions"].items():
            for request, flavours in requests.items():
                methods = flavours["all"].items()
                cells = [
                    f"{method} {numbers['chi2_per_ndf']:.2f}"
                    for method, numbers in methods
                    if "chi2_per_ndf" in numbers
                ]
                print(
                    f"  {variable:8s} {request:8s} "
                    + ", ".join(cells)
                    + f" (ndf {flavours['all']['network']['ndf']})"
                )
        precision = closure["map"].get("tagged_jets_precision", {}).get("light")
        if precision:
            print(f"  statistical precision of the light tags behind the map: {precision:.4f}")
    times = results["seconds"]
    print(
        "\nseconds: "
        + ", ".join(f"{name} {seconds:.1f}" for name, seconds in times.items())
        + f"; sum {sum(times.values()):.1f}"
    )


if __name__ == "__main__":
    main()
