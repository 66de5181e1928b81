"""weaver-tt apply gives files of columns the outputs of the Tagger."""

import json
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot

from tests.deploy.conftest import events, write_tracks_and_jets
from weaver_tt import cli
from weaver_tt.deploy import Tagger, apply
from weaver_tt.formats.csv_files import read_csv, writing_csv
from weaver_tt.formats.writers import open_writer

ROWS = 12


def columns() -> dict[str, ak.Array]:
    """Columns of a few rows, with NaN and infinities and rows without jets."""
    rows = events(ROWS, seed=2)
    return {name: ak.Array([row[name] for row in rows]) for name in rows[0]}


def write_file(path: Path, given: dict[str, Any]) -> Path:
    if path.suffix == ".json":
        path.write_text(json.dumps({name: ak.to_list(values) for name, values in given.items()}))
    elif path.suffix == ".csv":
        with writing_csv(path) as file:
            file.write(given)
    else:
        with open_writer(path) as writer:
            writer.write(given)
    return path


def run(*arguments: Any) -> int:
    return cli.apply([str(argument) for argument in arguments])


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet", ".root"])
def test_files_of_all_kinds_have_the_outputs_of_the_tagger(
    exports: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """Read in steps of five rows."""
    monkeypatch.setattr(apply, "ROWS", 5)
    path = write_file(tmp_path / f"in{suffix}", columns())
    assert run(exports["jets"], "-t", path, "-o", tmp_path / "out.parquet") == 0
    found = ak.from_parquet(tmp_path / "out.parquet")
    expected = Tagger(exports["jets"])(columns())["jet_eff"]
    assert ak.num(found["jet_eff"]).tolist() == ak.num(expected).tolist()
    np.testing.assert_allclose(ak.flatten(found["jet_eff"]), ak.flatten(expected), rtol=1e-6)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".root"])
def test_outputs_and_kept_columns_are_written_in_the_order_of_the_files(
    exports: dict[str, Path], tmp_path: Path, suffix: str
) -> None:
    given = columns() | {"is_b": np.arange(ROWS)}
    paths = [write_file(tmp_path / f"{name}.csv", given) for name in ("one", "two")]
    output = tmp_path / "new" / f"out{suffix}"
    flags = ["--keep", "is_b", "npv", "--prefix", "score_", "-o", output]
    assert run(exports["event"], "-t", *paths, *flags) == 0
    if suffix == ".csv":
        found = read_csv(output, lists=())
    elif suffix == ".parquet":
        table = pq.read_table(output)
        found = {name: table[name].to_numpy() for name in table.column_names}
    else:
        found = uproot.open(f"{output}:tree").arrays(library="np")
    expected = Tagger(exports["event"])(columns())
    assert list(found) == ["is_b", "npv", *(f"score_{name}" for name in expected)]
    assert found["is_b"].tolist() == [*range(ROWS)] * 2
    for name, values in expected.items():
        np.testing.assert_allclose(found[f"score_{name}"], np.tile(values, 2), rtol=1e-6)


def test_a_file_without_rows_has_outputs_without_rows(
    exports: dict[str, Path], tmp_path: Path
) -> None:
    nothing = {name: values[:0] for name, values in columns().items()}
    for suffix in (".csv", ".root"):
        path = write_file(tmp_path / "in.csv", nothing)
        output = tmp_path / f"out{suffix}"
        assert run(exports["jets"], "-t", path, "-o", output) == 0
    assert output.with_suffix(".csv").read_text() == "jet_eff\n"
    assert uproot.open(f"{output}:tree").num_entries == 0


def test_rows_without_a_number_are_said_and_have_an_exit_code(
    exports: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of so many vertices the score of one class is 1, and those of the others are 0."""
    given = columns()
    npv = ak.to_numpy(given["npv"]).copy()
    npv[3] = 1e30
    path = write_file(tmp_path / "in.csv", given | {"npv": npv})
    code = run(exports["event"], "-t", path, "-o", tmp_path / "out.csv")
    outputs = read_csv(tmp_path / "out.csv", lists=())
    # the logarithm of a ratio of them
    assert np.flatnonzero(~np.isfinite(outputs["D_b"])).tolist() == [3]
    assert code == cli.DONE_WITHOUT_NUMBERS
    assert "NaN or infinity for 1 entry" in capsys.readouterr().err


def test_where_a_variable_is_missing_it_is_said_what_takes_the_columns_of_files(
    exports: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_file(tmp_path / "in.csv", {"met": np.zeros(ROWS)})
    assert run(exports["jets"], "-t", path, "-o", tmp_path / "out.csv") == 1
    said = capsys.readouterr().err
    assert "in.csv: no column 'jet_pt'; known: met; the network takes variables as the" in said
    assert "`weaver-tt export --target raw` writes" in said
    # which is of no use where it is one already
    write_tracks_and_jets(tmp_path / "raw")
    capsys.readouterr()
    assert run(tmp_path / "raw", "-t", path, "-o", tmp_path / "out.csv") == 1
    assert capsys.readouterr().err.rstrip().endswith("known: met")


@pytest.mark.parametrize("kind", ["jets", "event"])
def test_the_proof_is_replayed_before_anything_else(
    exports: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    assert run(exports[kind], "--golden") == 0
    assert "40 rows (40 real) have the outputs of torch" in capsys.readouterr().err
    golden = json.loads((exports[kind] / "golden.json").read_text())
    name = next(iter(golden["rows"][2]["outputs"]))
    golden["rows"][2]["outputs"][name] = "NaN"
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in ("model.onnx", "preprocess.json"):
        (broken / file).write_bytes((exports[kind] / file).read_bytes())
    (broken / "golden.json").write_text(json.dumps(golden))
    path = write_file(tmp_path / "in.csv", columns())
    assert run(broken, "--golden", "-t", path, "-o", tmp_path / "out.csv") == 1
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "expected -t FILES and -o FILE, or --golden"),
        (["-t", "in.csv"], "expected -o FILE for the outputs"),
        (["-o", "out.csv"], "expected -t FILES with columns"),
        (["-t", "in.csv", "-o", "out.txt"], "-o out.txt: cannot write '.txt' files; known: .csv"),
        # without a look at the files
        (["-t", "no.csv", "-o", "out.txt"], "-o out.txt: cannot write '.txt' files; known: .csv"),
        (["-t", "in.csv", "-o", "./in.csv"], "-o ./in.csv: is one of the files that are read"),
        (["-t", "in.csv", "-o", "o.csv", "--keep", "is_b"], "--prefix score_ makes the outputs"),
        (["-t", "in.csv", "-o", "o.csv", "--keep", "nvp"], "in.csv: no column 'nvp'; did you mean"),
        (["-t", "in.csv", "no.csv", "-o", "o.csv"], "no.csv: cannot be read as CSV"),
        (["-t", "short.csv", "-o", "o.csv"], "short.csv: no column 'met'; known: "),
        (["-t", "rows.json", "-o", "o.csv"], "different numbers of rows: jet_pt: 2, met: 1"),
        (["-t", "text.csv", "-o", "o.csv"], "text.csv: column 'met': expected numbers"),
        (["-t", "in.xls", "-o", "o.csv"], "in.xls: no reader for files that end in '.xls'"),
        (["-t", "in.csv", "-o", "o.csv", "--batch-size", "0"], "--batch-size 0: expected"),
    ],
)
def test_flags_and_files_that_do_not_fit_are_refused_before_anything_is_written(
    exports: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    given = columns()
    write_file(tmp_path / "in.csv", given | {"is_b": np.zeros(ROWS)})
    write_file(tmp_path / "short.csv", {n: values for n, values in given.items() if n != "met"})
    write_file(tmp_path / "text.csv", given | {"met": np.array(["much"] * ROWS)})
    (tmp_path / "rows.json").write_text('{"jet_pt": [[1], [2]], "met": [1]}')
    before = {path.name for path in tmp_path.iterdir()}
    assert run(exports["event"], *flags) == 1
    assert words in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == before
