"""What discriminants tell apart, against areas that are counted by hand."""

import json

import numpy as np
import pytest

from weaver_tt import cli
from weaver_tt.config.schema import Discriminant
from weaver_tt.formats.writers import open_writer
from weaver_tt.output.about import ABOUT, AboutPrediction
from weaver_tt.report.discriminants import (
    common_discriminants,
    measure_discriminants,
    sculpting_of_discriminants,
)
from weaver_tt.report.evaluation import ColumnBins
from weaver_tt.report.scores import parse_models

CLASSES = ["tq", "tc", "b", "l"]
T_AGAINST_B = Discriminant(signal=("tq", "tc"), background=("b",))


def write(path, discriminants, scores, target, **more):
    scores = np.array(scores, dtype=np.float32)
    columns = {f"score_{name}": scores[:, place] for place, name in enumerate(CLASSES)}
    columns |= {name: (np.array(target) == name).astype(np.int8) for name in CLASSES}
    columns |= more
    about = AboutPrediction(
        task="classification", classes=tuple(CLASSES), discriminants=discriminants
    )
    with open_writer(path) as writer:
        writer.write(columns)
        writer.annotate(ABOUT, about.as_text())
    return path


# shares (tq + tc) / (tq + tc + b): 0.8, 0.25 of signal; 0.5, 0.2 of background; l does not count
SCORES = [
    [0.2, 0.2, 0.1, 0.5],
    [0.0, 0.1, 0.3, 0.6],
    [0.3, 0.1, 0.4, 0.2],
    [0.1, 0.0, 0.4, 0.5],
    [0.9, 0.0, 0.0, 0.1],
]
TARGET = ["tq", "tc", "b", "b", "l"]


def test_rows_of_the_classes_named_are_ordered_by_the_share(tmp_path):
    path = write(tmp_path / "a.parquet", {"TvsB": T_AGAINST_B}, SCORES, TARGET)
    sources = parse_models([str(path)])
    found = measure_discriminants(sources, CLASSES, common_discriminants(sources))
    content = found["TvsB"].content()
    assert (content["signal"], content["background"]) == (["tq", "tc"], ["b"])
    # of the four pairs the signal is above in three: 0.8 beats both, 0.25 beats 0.2
    model = content["models"]["a"]
    assert model["auc"]["value"] == pytest.approx(0.75)
    # at half of the signal, the threshold is above all background
    assert model["rejection"]["0.5"]["value"] is None
    assert model["rejection"]["0.5"]["at_least"] == pytest.approx(2 / 2.9957, rel=1e-3)


def test_a_class_without_rows_leaves_the_numbers_unknown(tmp_path):
    path = write(tmp_path / "a.parquet", {"TvsB": T_AGAINST_B}, SCORES[2:], TARGET[2:])
    found = measure_discriminants(parse_models([str(path)]), CLASSES, {"TvsB": T_AGAINST_B})
    model = found["TvsB"].content()
    assert model["models"]["a"]["auc"]["value"] is None


def test_models_are_compared_where_they_mean_the_same(tmp_path, caplog):
    other = Discriminant(signal=("tq",), background=("b",))
    first = {"TvsB": T_AGAINST_B, "QvsB": T_AGAINST_B}
    files = [
        write(tmp_path / "a.parquet", first, SCORES, TARGET),
        write(tmp_path / "b.parquet", {"TvsB": T_AGAINST_B, "QvsB": other}, SCORES, TARGET),
    ]
    output = tmp_path / "out"
    assert cli.main(["report", *map(str, files), "-o", str(output)]) == 0
    content = json.loads((output / "metrics.json").read_text())["discriminants"]
    assert list(content) == ["TvsB"]
    assert list(content["TvsB"]["models"]) == ["a", "b"]
    assert (output / "discriminant_TvsB.png").stat().st_size > 10_000
    page = (output / "report.html").read_text()
    assert "<h3>TvsB</h3>" in page
    assert "tq, tc against b" in page


def many(seed, rows=3000, shift=0.0):
    """Scores, classes and masses; that of b rises with the share of signal classes."""
    random = np.random.default_rng(seed)
    target = random.integers(0, 4, rows)
    share = random.beta(np.where(target < 2, 3.0 - shift, 1.0), 2.0)
    other = random.uniform(0.1, 0.5, rows)
    scores = np.stack([0.7 * share, 0.3 * share, 1 - share, 0 * share], 1) * (1 - other)[:, None]
    scores[:, 3] = other
    mass = 100 * np.where(target == 2, share, random.uniform(0, 1, rows))
    return scores, [CLASSES[number] for number in target], mass


def test_selections_by_a_discriminant_sculpt_the_spectrum_of_its_own_background(tmp_path):
    scores, target, mass = many(1)
    path = write(tmp_path / "a.parquet", {"TvsB": T_AGAINST_B}, scores, target, mass=mass)
    (source,) = parse_models([str(path)], bin_column="mass")
    edges = np.array([0.0, 25.0, 50.0, 75.0, 100.0])
    binning = ColumnBins("mass", edges)
    found = sculpting_of_discriminants(source, CLASSES, {"TvsB": T_AGAINST_B}, binning)["TvsB"]
    # by sorting the shares: l does not count
    share = scores[:, :2].sum(1) / scores[:, :3].sum(1)
    is_signal = np.isin(target, ["tq", "tc"])
    is_background = np.array(target) == "b"
    assert found.every[0].tolist() == np.histogram(mass[is_background], edges)[0].tolist()
    passing = is_background & (share > np.quantile(share[is_signal], 0.5))
    expected = np.histogram(mass[passing], edges)[0]
    assert found.passing[-1, 0] == pytest.approx(expected, abs=3)


def test_a_report_has_discriminants_by_mass_and_on_a_second_sample(tmp_path):
    files = []
    for name, seed, shift in (("first", 1, 0.0), ("second", 2, 1.0)):
        scores, target, mass = many(seed, shift=shift)
        path = tmp_path / f"{name}.parquet"
        files.append(write(path, {"TvsB": T_AGAINST_B}, scores, target, mass=mass))
    output = tmp_path / "out"
    command = ["report", f"one:{files[0]}", "--shifted", f"one:{files[1]}", "-o", str(output)]
    edges = ["--mass-edges", "0", "25", "50", "75", "100"]
    assert cli.main([*command, "--signal", "tq", "--mass-column", "mass", *edges]) == 0
    content = json.loads((output / "metrics.json").read_text())
    of_mass = content["sculpting"]["discriminants"]["TvsB"]
    assert of_mass["jensen_shannon_bits"]["one"]["0.5"]["excess"] > 0.1
    assert of_mass["rejection"]["one"]["0.5"]["value"] > 2
    point = content["shifted"]["discriminants"]["TvsB"]["one"]["0.5"]
    # of a share s the threshold is S / (S + B), as it is cut
    scores, target, _ = many(1)
    share = scores[:, :2].sum(1) / scores[:, :3].sum(1)
    threshold = np.median(share[np.isin(target, ["tq", "tc"])])
    assert point["threshold"] == pytest.approx(threshold, abs=2e-3)
    others, classes, _ = many(2, shift=1.0)
    moved = others[:, :2].sum(1) / others[:, :3].sum(1)
    expected = np.mean(moved[np.isin(classes, ["tq", "tc"])] > threshold)
    assert point["signal"]["shifted"]["value"] == pytest.approx(expected, abs=5e-3)
    for name in ("sculpting_mass_50_TvsB.png", "trade_off_mass_TvsB.png", "resilience_TvsB.png"):
        assert (output / name).stat().st_size > 5000
    page = (output / "report.html").read_text()
    assert "50 % of its signal pass, against its background" in page
    assert f"{of_mass['jensen_shannon_bits']['one']['0.5']['value']:.4f}" in page
