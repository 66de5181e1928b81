"""Performance and resilience of LundNet with and without cuts in ln kt: example of docs/lund.md.

    python benchmarks/lund_robustness.py --quick     # 500 + 500 jets: only to see that it works
    python benchmarks/lund_robustness.py             # 6,000 + 6,000 jets for training

W against QCD jets. Trains LundNet-5 and LundNet-3 on trees without a cut, with ln kt > 0 and with
ln kt > 1, applies them to test jets of hadrons and of partons, and compares both with ``weaver-tt
report --shifted``. Every step is a command that a user would give, on one thread; a step whose
output is there is not done again. Samples have seeds of their own. Prints the commands, and a table
of what the report says; exit code 1 where a command fails.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PROCESSES = ("w", "qcd")
# of trees; weaver-tt lund takes the cut as a number
CUTS = {"none": None, "0": 0.0, "1": 1.0}
NETWORKS = (5, 3)
LEFT_OUT = ("lund_psi", "lund_lnm")  # what LundNet-5 has and LundNet-3 has not
RECIPE = (
    *("--optimizer", "adamW", "--lr-scheduler", "one-cycle", "--start-lr", "3e-3"),
    *("--batch-size", "128"),
)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Jets of W bosons and of QCD with one seed, of hadrons or partons."""

    w: int
    qcd: int
    seed: int
    flags: tuple[str, ...] = ()


WHOLE = {
    "train": Sample(w=6_000, qcd=6_000, seed=101),
    "val": Sample(w=1_000, qcd=1_000, seed=102),
    "hadron": Sample(w=5_000, qcd=15_000, seed=103),
    "parton": Sample(w=5_000, qcd=15_000, seed=104, flags=("--parton-level",)),
}
QUICK = {
    "train": Sample(w=500, qcd=500, seed=101),
    "val": Sample(w=200, qcd=200, seed=102),
    "hadron": Sample(w=500, qcd=500, seed=103),
    "parton": Sample(w=500, qcd=500, seed=104, flags=("--parton-level",)),
}


def run(folder: Path, output: str, *command: str) -> None:
    """Run ``weaver-tt`` with ``command`` unless its ``output`` is there."""
    if (folder / output).exists():
        return
    print("$ weaver-tt", shlex.join(command), flush=True)
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    program = [sys.executable, "-m", "weaver_tt.cli", *command]
    subprocess.run(program, cwd=folder, check=True, env=environment)


def make_trees(folder: Path, samples: Mapping[str, Sample]) -> None:
    """Simulate jets, and add their trees with each cut."""
    for name, sample in samples.items():
        for process in PROCESSES:
            jets = f"{name}_{process}.root"
            flags = ["--process", process, "-n", str(getattr(sample, process))]
            flags += ["--seed", str(sample.seed), "--pthat-min", "500", *sample.flags]
            run(folder, jets, "simulate", *flags, "--no-progress", "-o", jets)
            for cut, ln_kt_min in CUTS.items():
                trees = f"trees/{name}_{process}_{cut}.root"
                flags = [] if ln_kt_min is None else ["--ln-kt-min", str(ln_kt_min)]
                flags += ["--no-figure", "--no-progress", "-o", trees]
                run(folder, trees, "lund", jets, *flags)


def write_configs(folder: Path) -> None:
    """Data YAMLs of LundNet-5 and LundNet-3 for W against QCD."""
    lines = (ROOT / "data_configs" / "lund.yaml").read_text().splitlines(keepends=True)
    for variables in NETWORKS:
        kept = []
        for line in lines:
            if variables == 5 or not any(f"[{name}," in line for name in LEFT_OUT):
                kept.append(line)
        text = "".join(kept).replace("label_Tbqq", "label_Wqq")
        (folder / f"lund{variables}.yaml").write_text(text)


def train_and_predict(folder: Path, variables: int, cut: str, seed: int, epochs: int) -> None:
    """One training, applied to jets of hadrons and of partons."""

    def files(sample: str) -> list[str]:
        return [f"trees/{sample}_{process}_{cut}.root" for process in PROCESSES]

    model = f"lund{variables}_{cut}_{seed}"
    common = ["-c", f"lund{variables}.yaml", "-n", "weaver_tt:lund_net", "-m", f"run/{model}/net"]
    common += ["--gpus", "", "--num-threads", "1", "--no-progress", "--no-figures"]
    recipe = [*RECIPE, "--num-epochs", str(epochs), "--seed", str(seed)]
    data = ["-i", *files("train"), "--data-val", *files("val")]
    run(folder, f"run/{model}/net_metrics.json", "train", *data, *common, *recipe)
    for sample in ("hadron", "parton"):
        output = prediction(sample, variables, cut, seed)
        flags = ["--predict", "-t", *files(sample), "--predict-output", output]
        run(folder, output, "train", *flags, *common)


def prediction(sample: str, variables: int, cut: str, seed: int) -> str:
    """The file of a prediction."""
    return f"pred/lund{variables}_{cut}_{seed}_{sample}.root"


def compare(folder: Path, trainings: Sequence[int]) -> dict[str, Any]:
    """``metrics.json`` of the report."""
    models: dict[str, list[str]] = {"hadron": [], "parton": []}
    for sample, of_sample in models.items():
        for variables in NETWORKS:
            for cut in CUTS:
                paths = [prediction(sample, variables, cut, seed) for seed in trainings]
                of_sample.append(f"LundNet-{variables}@{cut}:{','.join(paths)}")
    flags = [*models["hadron"], "--shifted", *models["parton"], "-o", "report"]
    (folder / "report" / "metrics.json").unlink(missing_ok=True)  # of fewer trainings, maybe
    run(folder, "report/metrics.json", "report", *flags)
    content: dict[str, Any] = json.loads((folder / "report" / "metrics.json").read_text())
    return content


def print_table(content: Mapping[str, Any]) -> None:
    """Efficiencies, performance and resilience at each operating point."""
    print("| model | eps_S | eps_S' | eps_B | eps_B' | performance | resilience | by chance |")
    print("|---" * 8 + "|")
    for model, points in content["shifted"]["signals"]["label_Wqq"].items():
        for efficiency, point in points.items():
            signal, background = point["signal"], point["background"]
            cells = [model, efficiency, number(signal["shifted"])]
            cells += [number(background["first"]), number(background["shifted"])]
            cells += [number(point["performance"]), number(point["resilience"])]
            by_chance = point["resilience"]["by_chance"]
            cells.append("-" if by_chance is None else f"{by_chance:.3g}")
            print(f"| {' | '.join(cells)} |")


def number(found: Mapping[str, Any]) -> str:
    """A value with its error and, in brackets, its spread over trainings."""
    if found["value"] is None:
        return "-"
    text = f"{found['value']:.3g}"
    if found["error"] is not None:
        text += f" +- {found['error']:.2g}"
    if found.get("spread") is not None:
        text += f" ({found['spread']:.2g})"
    return text


def main() -> int:
    """Make what is missing, compare, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few jets, one epoch")
    parser.add_argument("--folder", default="lund_robustness", help="where everything is written")
    parser.add_argument("--trainings", type=int, default=1, help="of each network, seeds 1, 2, ...")
    options = parser.parse_args()
    folder = Path(options.folder)
    for name in ("trees", "run", "pred"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    trainings = range(1, options.trainings + 1)
    try:
        make_trees(folder, QUICK if options.quick else WHOLE)
        write_configs(folder)
        for seed in trainings:
            for cut in CUTS:
                for variables in NETWORKS:
                    train_and_predict(folder, variables, cut, seed, 1 if options.quick else 3)
        content = compare(folder, trainings)
    except subprocess.CalledProcessError as error:
        print(f"failed: {shlex.join(error.cmd)}", file=sys.stderr)
        return 1
    print_table(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
