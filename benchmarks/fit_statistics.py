"""Seconds and opened files from the start of a training to its first batch.

    python benchmarks/fit_statistics.py

Weight tables, bucket edges and input statistics (of a tenth of the rows) are computed from
JetClass-like files, and once more where all of them are up to date.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from loader import CLASSES, CONFIG, paths, write_files  # the data of the loader's benchmark

from weaver_tt.formats import open_reader as opening

WEIGHTS = """
weights:
  reweight_method: flat
  reweight_vars: {jet_pt: [0, 500, 800, 1000, 1200, 1600, 10000]}
  reweight_classes: [CLASSES]
"""
BUCKETING = "bucketing: {var: jet_particles, bins: 4}\n"


def count_opens() -> Counter[str]:
    """File -> how often it has been opened; before anything imports the function that does it."""
    opens: Counter[str] = Counter()
    opener = opening.open_reader

    def open_and_count(path: str, treename: str | None = None) -> object:
        opens[path] += 1
        return opener(path, treename)

    opening.open_reader = open_and_count  # type: ignore[assignment]
    return opens


def write_config(folder: str, bucketing: bool) -> str:
    """The YAML of the loader's benchmark with weights, and ``auto`` where it has numbers."""
    labels = ", ".join(f"label_{name}" for name in CLASSES)
    text = CONFIG.format(pad="wrap", labels=labels)
    text = text.replace("{method: manual}", "{method: auto, data_fraction: 0.1}")
    for name in ("part_pt_log, 1.7, 0.7", "part_e_log, 2.0, 0.7", "part_deltaR, 0.2, 4.0"):
        text = text.replace(f"[{name}]", name.split(",")[0])
    for name in ("part_logptrel", "part_logerel"):
        text = text.replace(f"[{name}, -4.7, 0.7]", name)
    text = text.replace("part_mask:", "jet_particles: ak.num(part_px)\n  part_mask:")
    text += WEIGHTS.replace("CLASSES", labels)
    if bucketing:
        text += BUCKETING
    path = Path(folder, "jets.yaml")
    path.write_text(text)
    return str(path)


def start(config_path: str, prefix: str, files: Sequence[str]) -> dict[str, float]:
    """Seconds until everything is computed, and until the first batch is there."""
    from weaver_tt.config.load import load_config
    from weaver_tt.data.loaders import train_loader, val_loader
    from weaver_tt.data.statistics.fit import fit_statistics
    from weaver_tt.options.train import DataOptions

    options = DataOptions(data_train=list(files), train_val_split=0.8)
    begin = time.perf_counter()
    config, scan = fit_statistics(load_config(config_path), prefix, options)
    fitted = time.perf_counter()
    loader = train_loader(config, options, scan=scan)
    val_loader(config, options, scan=scan)
    next(iter(loader.epoch(0)))
    return {"fit": fitted - begin, "first batch": time.perf_counter() - begin}


def main() -> None:
    """Read the flags, measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000, help="jets of each of ten classes")
    parser.add_argument("--cluster", type=int, default=2_500, help="jets of a cluster")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--no-bucketing", action="store_true", help="weights and auto alone")
    args = parser.parse_args()
    opens = count_opens()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data")
        data.mkdir()
        write_files(str(data), args.rows, args.cluster)
        config = write_config(folder, bucketing=not args.no_bucketing)
        files = paths(str(data))
        runs: dict[str, list[tuple[dict[str, float], float]]] = {"computed": [], "up to date": []}
        for number in range(args.repeat):
            for measured in runs.values():
                opens.clear()
                seconds = start(config, f"{folder}/net{number}", files)
                measured.append((seconds, mean(opens[path] for path in files)))
    print(f"{'':12s} {'fit':>9s} {'first batch':>12s} {'opens per file':>15s}")
    for kind, measured in runs.items():
        fit = median(seconds["fit"] for seconds, _ in measured)
        batch = median(seconds["first batch"] for seconds, _ in measured)
        print(f"{kind:12s} {fit:7.2f} s {batch:10.2f} s {measured[0][1]:15.1f}")


if __name__ == "__main__":
    main()
