"""``weaver-tt inputs``: shares and moments worked out by hand, and a page with every figure."""

import csv
import io
import json
import shlex

import awkward as ak
import numpy as np
import pytest
import uproot
from rich.console import Console

from weaver_tt.cli import main
from weaver_tt.figures.inputs import InputFigures
from weaver_tt.run.inputs import page
from weaver_tt.system import progress_bar, terminal

YAML = """
selection: met > 0
new_variables:
  mask: ak.ones_like(pt)
inputs:
  row:
    length: null
    vars:
      - [met, 1, 0.5, -1, 1]
      - [njet, null]
  jets_features:
    length: 2
    vars: [[pt, auto]]
  jets_mask:
    length: 2
    vars: [mask]
labels:
  type: simple
  value: [a, b]
event_weight: w
names:
  met: missing $p_T$ [GeV]
"""
ROWS = 8
# classes a and b in turn; the last row is not selected
MET = np.array([1.0, 2.0, 4.0, 6.0, np.nan, 2.0, 1.0, -1.0])
COUNTS = np.array([3, 1, 0, 2, 1, 1, 2, 9])


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What the command writes for eight rows in two files."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "data.yaml").write_text(YAML.replace("met > 0", "(met > 0) | (met != met)"))
    columns = {
        "met": MET,
        "njet": COUNTS,
        "a": 1 - np.arange(ROWS) % 2,
        "b": np.arange(ROWS) % 2,
        "w": np.where(np.arange(ROWS) == 2, 3.0, 1.0),
        "pt": ak.unflatten(np.arange(COUNTS.sum(), dtype=np.float64), COUNTS),
    }
    for number, rows in enumerate((slice(0, 5), slice(5, 8))):
        with uproot.recreate(folder / f"{number}.root") as file:
            file.mktree("tree", {name: values[rows] for name, values in columns.items()})
    arguments = ["-c", str(folder / "data.yaml"), "-i", str(folder / "*.root")]
    assert main(["inputs", *arguments, "-o", str(folder / "out")]) == 0
    return folder / "out"


def row_of(results, variable, name):
    content = json.loads((results / "inputs.json").read_text())
    (row,) = [
        row for row in content["variables"] if row["variable"] == variable and row["class"] == name
    ]
    return row


def test_shares_and_moments_are_those_of_the_selected_rows(results):
    content = json.loads((results / "inputs.json").read_text())
    assert content["rows"] == {"a": 4, "b": 3}
    assert content["weights"] == {"a": 6, "b": 3}
    met = row_of(results, "met", "a")
    # of 1, 4 (weight 3), NaN and 1: (1 + 12 + 1) / 5; scaled 0, 1.5 (clipped), 0
    assert met["entries"] == 4
    assert met["nonfinite"] == 1 / 4
    assert met["clipped"] == 1 / 3
    assert met["mean"] == pytest.approx(14 / 5)
    assert met["deviation"] == pytest.approx(np.sqrt(50 / 5 - (14 / 5) ** 2))
    # of 2, 6 and 2: (6 - 1) / 2 is clipped
    assert row_of(results, "met", "b")["clipped"] == 1 / 3
    assert row_of(results, "njet", "a")["clipped"] == 0


def test_padding_and_what_lies_beyond_the_length_are_shares(results):
    pt = row_of(results, "pt", "a")
    # class a has 3, 0, 1 and 2 objects: of 8 slots 5 are filled, of 6 objects one is cut
    assert pt["entries"] == 6
    assert pt["padded"] == pytest.approx(3 / 8)
    assert pt["beyond_length"] == pytest.approx(1 / 6)
    # the median of all 10 objects of selected rows, 0 to 9
    assert pt["center"] == pytest.approx(4.5)


def test_the_csv_has_the_same_rows(results):
    with (results / "inputs.csv").open() as file:
        rows = list(csv.DictReader(file))
    content = json.loads((results / "inputs.json").read_text())
    assert len(rows) == len(content["variables"]) == 8
    assert float(rows[0]["mean"]) == content["variables"][0]["mean"]


def test_every_variable_of_each_group_has_its_figure_on_the_page(results):
    page = (results / "inputs.html").read_text()
    for name in ("row.met", "row.njet", "jets_features.pt", "jets_mask.mask"):
        assert (results / f"{name}.png").stat().st_size > 1000
        assert f'href="{name}.pdf"' in page
        assert f'href="#{name}"' in page
        assert (results / f"{name}.pdf").exists()
    assert "all of 8 rows in the files" in page


def test_variables_are_called_what_the_data_yaml_says(results):
    assert (
        "missing pT [GeV] (met), before and after scaling" in (results / "inputs.html").read_text()
    )


def test_fewer_rows_are_spread_over_the_files_and_stated(results):
    folder = results.parent
    arguments = ["-c", str(folder / "data.yaml"), "-i", str(folder / "*.root"), "--rows", "4"]
    assert main(["inputs", *arguments, "-o", str(folder / "few")]) == 0
    content = json.loads((folder / "few" / "inputs.json").read_text())
    assert content["share_of_rows"] == 0.5
    assert (
        "50.00%, spread evenly over the files, of 8 rows"
        in (folder / "few" / "inputs.html").read_text()
    )


def test_files_and_a_data_yaml_must_be_given(capsys):
    assert main(["inputs", "-c", "weaver_tt:top_tagging"]) == 1
    assert "--data-config and --data-train must be given" in capsys.readouterr().err


def test_where_no_row_is_selected_the_error_says_so(results, capsys):
    folder = results.parent
    (folder / "none.yaml").write_text(YAML.replace("met > 0", "met > 99"))
    arguments = ["-c", str(folder / "none.yaml"), "-i", str(folder / "0.root")]
    assert main(["inputs", *arguments, "-o", str(folder / "none")]) == 1
    assert "selection" in capsys.readouterr().err
    assert not (folder / "none").exists()


def test_classes_that_are_named_are_drawn_and_the_others_together(results, monkeypatch):
    drawn = []

    class Keeping(InputFigures):
        def draw(self, label, edges, before, *after):
            sums = (float(sums.sum()) for sums, _ in before)
            drawn.append(dict(zip(self.classes, sums, strict=True)))
            return super().draw(label, edges, before, *after)

    monkeypatch.setattr(page, "InputFigures", Keeping)
    folder = results.parent
    arguments = ["-c", str(folder / "data.yaml"), "-i", str(folder / "*.root"), "--classes", "b"]
    assert main(["inputs", *arguments, "-o", str(folder / "named")]) == 0
    # njet of the three rows of b, and of four of a, one of which weighs 3
    assert drawn[1] == {"b": 3, "others": 6}
    assert "--classes NAME ... draws" in (folder / "named" / "inputs.html").read_text()


def test_a_class_that_there_is_not_is_refused_before_rows_are_read(results, capsys):
    folder = results.parent
    arguments = ["-c", str(folder / "data.yaml"), "-i", str(folder / "*.root")]
    assert main(["inputs", *arguments, "--classes", "bb", "-o", str(folder / "no")]) == 1
    assert "--classes bb: there is no such class; did you mean 'b'" in capsys.readouterr().err


def test_a_terminal_shows_the_check_that_comes_next(results, tmp_path, monkeypatch):
    drawn = Console(file=io.StringIO(), width=300, force_terminal=True, color_system=None)
    for module in (terminal, progress_bar):
        monkeypatch.setattr(module, "is_terminal", lambda: True)
        monkeypatch.setattr(module, "console", lambda: drawn)
    functions = tmp_path / "functions.py"
    functions.write_text("def twice(x):\n    return 2 * x\n")
    arguments = ["-c", str(results.parent / "data.yaml"), "-i", str(results.parent / "0.root")]
    arguments += ["--custom-functions", str(functions)]
    assert main(["inputs", *arguments, "-o", str(tmp_path)]) == 0
    *_, title, line = drawn.file.getvalue().splitlines()
    assert title.endswith("next")
    check, functions = arguments[:4], arguments[4:]
    assert shlex.split(line) == ["weaver-tt", "check", *check, "-n", "network.py", *functions]
