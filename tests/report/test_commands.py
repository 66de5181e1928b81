"""``weaver-tt report`` from the command line."""

import json
import re

import pytest
from matplotlib.image import imread

from tests.pages.reading import table_of
from weaver_tt import cli
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.report.commands import ReportOptions
from weaver_tt.reports import run_report


def test_several_classes_have_a_figure_for_each_signal(tmp_path, write, capsys):
    files = [
        write(
            tmp_path / f"{name}.parquet",
            ["label_QCD", "label_Hbb", "label_Tbqq"],
            seed=seed,
            jet_pt=None,
        )
        for seed, name in enumerate("ab")
    ]
    output = str(tmp_path / "out")
    assert cli.main(["report", *map(str, files), "-o", output, "--signal", "label_Tbqq"]) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    figures = sum(name.endswith(".png") for name in names)
    assert f"report.html, {figures} figures\n" in capsys.readouterr().err
    assert {
        "report.html",
        "metrics.json",
        "roc_label_Tbqq.pdf",
        "auc_one_vs_one_a.png",
        "scores_b.png",
        "calibration.png",
    } <= names
    assert not any("jet_pt" in name for name in names)
    content = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert content["reference"] == "a"
    assert content["differences"].keys() == {"b"}
    rejections = content["models"]["a"]["rejection"]["0.5"]["one_vs_one"]
    assert rejections["label_Tbqq"]["label_QCD"]["value"] > 1


def test_of_many_classes_some_have_figures_and_all_have_numbers(tmp_path, write, capsys):
    classes = [f"c{number}" for number in range(14)]
    file = write(tmp_path / "net.parquet", classes)
    folder = tmp_path / "out"
    arguments = ["report", str(file), "-o", str(folder), "--classes", "c13", "c2"]
    arguments += ["--pt-edges", "500", "600"]
    assert cli.main(arguments) == 0
    assert "shown of 2 of 14 classes (c2, c13)" in capsys.readouterr().err
    assert {path.name for path in folder.glob("roc_*.png")} == {"roc_c2.png", "roc_c13.png"}
    # two panels of 4.2 inches at 120 dots an inch, not twelve
    assert imread(folder / "calibration.png").shape[1] == 1008
    page = (folder / "report.html").read_text()
    assert re.findall("<h3>(c.*?)</h3>", page) == ["c2", "c13"]
    assert [row[0] for row in table_of(page, "Rows of each class")][1:] == classes
    assert "--classes NAME ... shows others, and" in page
    titles = [row[0] for row in table_of(page, "Performance")]
    assert [title for title in titles if title.startswith("AUC of")] == ["AUC of c2", "AUC of c13"]
    head, *rows = table_of(page, "Each class against the rest")
    assert head == ["", "AUC", *(f"rejection at {share} %" for share in (30, 50, 70))]
    assert [row[0] for row in rows] == classes
    assert "14 classes, 2 of them shown: c2, c13" in page
    model = json.loads((folder / "metrics.json").read_text())["models"]["net"]
    for numbers in (model, model["bins"]["content"][0]):
        for measured in (numbers["auc"], numbers["rejection"]["0.5"]):
            assert list(measured["one_vs_rest"]) == classes
            pairs = {name: list(others) for name, others in measured["one_vs_one"].items()}
            assert pairs == {"c2": ["c13"], "c13": ["c2"]}
    assert len(model["confusion"]) == 14
    # each signal against the other one that is shown, and not against 13 classes
    assert table_of(page, "AUC")[0] == ["", "against c13"]


def test_what_cannot_be_compared_is_explained(tmp_path, write):
    two = write(tmp_path / "two.root", ["b", "c"], entries=20)
    three = write(tmp_path / "three.root", ["b", "c", "s"], entries=20)
    classes = r"three\.root: its classes are b, c, s; those of .*two\.root are b, c: "
    with pytest.raises(DataError, match=classes + "only models of the same classes"):
        run_report(ReportOptions(predictions=[str(two), str(three)]))
    with pytest.raises(ConfigError, match="--signal d: there is no such class; known: b, c"):
        run_report(ReportOptions(predictions=[str(two)], signal=["d"]))
    with pytest.raises(ConfigError, match="--classes bb: there is no such class; did you mean 'b'"):
        run_report(ReportOptions(predictions=[str(two)], classes=["bb"]))
    with pytest.raises(ConfigError, match="two or more numbers that increase"):
        run_report(ReportOptions(predictions=[str(two)], pt_edges=[2.0, 1.0]))
    with pytest.raises(DataError, match="no column 'jet_et'"):
        run_report(ReportOptions(predictions=[str(two)], pt_column="jet_et"))
