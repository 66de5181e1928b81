"""What discriminants tell apart, against areas that are counted by hand."""

import json

import numpy as np
import pytest

from weaver_tt import cli
from weaver_tt.config.schema import Discriminant
from weaver_tt.formats.writers import open_writer
from weaver_tt.output.about import ABOUT, AboutPrediction
from weaver_tt.report.discriminants import measure_discriminants
from weaver_tt.report.scores import parse_models

CLASSES = ["tq", "tc", "b", "l"]
T_AGAINST_B = Discriminant(signal=("tq", "tc"), background=("b",))


def write(path, discriminants, scores, target):
    scores = np.array(scores, dtype=np.float32)
    columns = {f"score_{name}": scores[:, place] for place, name in enumerate(CLASSES)}
    columns |= {name: (np.array(target) == name).astype(np.int8) for name in CLASSES}
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
    found = measure_discriminants(parse_models([str(path)]), CLASSES)
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
    model = measure_discriminants(parse_models([str(path)]), CLASSES)["TvsB"].content()
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
