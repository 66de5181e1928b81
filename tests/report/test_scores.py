"""Prediction files are read in a stream; rows that cannot be evaluated are counted."""

import numpy as np
import pytest

from weaver_tt.errors import ConfigError, DataError
from weaver_tt.report import scores
from weaver_tt.report.scores import (
    ModelFiles,
    has_column,
    parse_models,
    read_classes,
    stream_scores,
)

WEAVER = ["label_Tbqq", "label_QCD"]


def source(*paths, **more):
    """A model with these files."""
    return ModelFiles(name="model", paths=tuple(map(str, paths)), **more)


@pytest.mark.parametrize("suffix", [".root", ".parquet"])
def test_classes_come_in_the_order_of_the_columns(tmp_path, write, suffix):
    assert read_classes(source(write(tmp_path / f"pred{suffix}", WEAVER))) == WEAVER


def test_an_ensembles_spread_is_no_class(tmp_path, write):
    spread = np.zeros(600, np.float32)
    path = write(tmp_path / "pred.root", ["b", "c"], score_b_std=spread, score_c_std=spread)
    assert read_classes(source(path)) == ["b", "c"]


def test_rows_are_read_in_pieces_and_in_order(tmp_path, write, monkeypatch):
    path = write(tmp_path / "pred.root", WEAVER, number=np.arange(600.0))
    (whole,) = stream_scores(source(path), WEAVER)
    monkeypatch.setattr(scores, "CHUNK_ROWS", 250)
    chunks = list(stream_scores(source(path, bin_column="jet_pt", weight="number"), WEAVER))
    assert [chunk.rows for chunk in chunks] == [250, 250, 100]
    targets = np.concatenate([chunk.target for chunk in chunks])
    assert targets.tolist() == whole.target.tolist()
    assert chunks[0].weight.tolist() == list(range(250))


def test_a_weight_that_is_not_finite_is_refused_in_rows_that_count(tmp_path, write):
    columns = {"b": np.array([1, 0, 0, 0]), "c": np.array([0, 1, 1, 0]), "jet_pt": None}
    for column in ("score_b", "score_c"):
        columns[column] = np.full(4, 0.5, np.float32)
    # the last row is of no class
    for number, weight in enumerate(([1, 1, 2, np.nan], [1, np.nan, np.inf, 1])):
        columns["w"] = np.array(weight)
        write(tmp_path / f"{number}.root", ["b", "c"], entries=4, **columns)
    (chunk,) = stream_scores(source(tmp_path / "0.root", weight="w"), ["b", "c"])
    assert chunk.weight.tolist() == [1, 1, 2]
    message = r"1\.root.* rows from 0: column 'w' \(weight\) is not finite in 2 of 3 \(first: nan\)"
    with pytest.raises(DataError, match=message):
        list(stream_scores(source(tmp_path / "1.root", weight="w"), ["b", "c"]))


def test_rows_that_cannot_be_evaluated_are_left_out_and_counted(tmp_path, write):
    score = np.full(4, 0.5, np.float32)
    score[0] = np.nan
    columns = {
        "score_b": score,
        "score_c": np.full(4, 0.5, np.float32),
        "b": np.array([1, 1, 0, 0]),
        "c": np.array([0, 1, 0, 1]),
        "jet_pt": None,
    }
    (chunk,) = stream_scores(
        source(write(tmp_path / "pred.root", ["b", "c"], entries=4, **columns)), ["b", "c"]
    )
    assert (chunk.rows, chunk.rows_with_nan_scores, chunk.rows_without_class) == (4, 1, 2)
    assert chunk.target.tolist() == [1]


def test_files_that_are_no_classifiers_prediction_are_refused(tmp_path, write):
    numbers = np.zeros(3, np.float32)
    path = write(tmp_path / "other.root", ["b"], entries=3, score_b=None, output_mass=numbers)
    with pytest.raises(DataError, match=r"other\.root.*no column begins with 'score_'"):
        read_classes(source(path))
    path = write(tmp_path / "data.root", ["b", "c"], entries=3, b=None, c=None)
    with pytest.raises(DataError, match="no column 'b' with 1 in the rows of that class"):
        read_classes(source(path))
    path = write(tmp_path / "one.root", ["b"], entries=3)
    with pytest.raises(DataError, match="two are needed"):
        read_classes(source(path))
    path = write(tmp_path / "logits.root", ["b", "c"], entries=3, score_b=numbers + 7)
    with pytest.raises(DataError, match="must be probabilities"):
        list(stream_scores(source(path), ["b", "c"]))


def test_files_of_one_model_must_have_the_same_classes(tmp_path, write):
    first = write(tmp_path / "1.root", ["b", "c"], entries=3)
    second = write(tmp_path / "2.root", ["b", "s"], entries=3)
    with pytest.raises(
        DataError, match=r"2\.root: its classes are b, s; those of .*1\.root are b, c"
    ):
        read_classes(source(first, second))


def test_models_are_named_by_file_folder_or_argument(tmp_path):
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "pred.root").touch()
    (tmp_path / "pfn.root").touch()
    models = parse_models(
        [
            f"{tmp_path}/old/pred.root",
            f"{tmp_path}/new/pred.root",
            f"{tmp_path}/pfn.root",
            f"net:{tmp_path}/pfn.root",
        ]
    )
    assert [model.name for model in models] == [
        "old/pred",
        "new/pred",
        "old/pfn".replace("old", tmp_path.name),
        "net",
    ]
    with pytest.raises(ConfigError, match="two models are called 'net'"):
        parse_models([f"net:{tmp_path}/pfn.root"] * 2)
    with pytest.raises(ConfigError, match="models 'net_1' and 'net@1' would be files of one name"):
        parse_models([f"net_1:{tmp_path}/pfn.root", f"net@1:{tmp_path}/pfn.root"])


def test_files_behind_commas_are_trainings_of_one_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.root", "b_1.root", "b_2.root", "with,comma.root"):
        (tmp_path / name).touch()
    (model,) = parse_models(["net:a.root,b_*.root"])
    assert model.name == "net"
    assert model.paths == ("a.root", "b_1.root", "b_2.root")
    one, two = model.each_training()
    assert (one.name, one.paths) == ("net", ("a.root",))
    assert (two.name, two.paths) == ("net", ("b_1.root", "b_2.root"))
    (unnamed,) = parse_models(["a.root,b_1.root"])
    assert unnamed.name == "a"
    for argument in ("with,comma.root", "net:with,comma.root"):
        (model,) = parse_models([argument])
        assert model.paths == ("with,comma.root",)
        assert model.each_training() == [model]
    with pytest.raises(ConfigError, match="'other': the name of a network stands before its first"):
        parse_models(["net:a.root,other:b_1.root"])
    with pytest.raises(ConfigError, match=r"a\.root is there twice"):
        parse_models(["net:a.root,*.root"])


def test_a_column_must_be_in_all_files(tmp_path, write):
    first = write(tmp_path / "1.root", WEAVER, entries=3)
    second = write(tmp_path / "2.root", WEAVER, entries=3, jet_pt=None)
    assert has_column([source(first)], "jet_pt")
    assert not has_column([source(first), source(second)], "jet_pt")


def test_half_a_class_beside_a_whole_one_is_no_class(tmp_path, write):
    columns = {"b": np.array([1.0, 1.0, 0.0]), "c": np.array([0.5, 0.0, 1.0]), "jet_pt": None}
    for name in ("b", "c"):
        columns[f"score_{name}"] = np.full(3, 0.5, np.float32)
    path = write(tmp_path / "pred.root", ["b", "c"], entries=3, **columns)
    (chunk,) = stream_scores(source(path), ["b", "c"])
    assert (chunk.rows_without_class, chunk.target.tolist()) == (1, [0, 1])
