"""What is found in data, told apart from what is a matter of taste."""

from pathlib import Path

import awkward as ak
import numpy as np

from weaver_tt.data import scan
from weaver_tt.options.check import CheckRun
from weaver_tt.options.train import parse_options
from weaver_tt.run.check.findings import find_all


def find(training, *more, config=None):
    flags = training.flags(*more, config=config)
    return find_all(parse_options(flags, kind=CheckRun))


def rewrite(training, name, **columns):
    path = training.path / f"{name}.parquet"
    old = ak.from_parquet(path)
    content = {field: old[field] for field in old.fields}
    ak.to_parquet(ak.Array(content | columns), path)


def test_odd_values_are_remarks(training):
    x = np.full(40, -999, dtype=np.float32)
    x[:20] = np.nan
    rewrite(training, "a", x=x)
    found = find(
        training,
        config={
            "new_variables": {"two": "n * 0 + 2"},
            "inputs": {
                "event": {"length": None, "vars": [["x", 0, 0.1, -1, 1], ["n", None]]},
                "more": {"length": None, "vars": [["two", None]]},
            },
        },
    )
    assert found.problems == []
    assert found.remarks == [
        "inputs.event: x: 25.0% NaN or infinite, taken as 0",
        "inputs.event: x: -999 in 33.3% of the values seems to stand for a missing one",
        "inputs.event: x: 33.3% lie beyond min and max",
        "inputs.more: two: 2 everywhere",
    ]


def test_objects_beyond_the_length_are_a_remark(training):
    objects = ak.Array([[1.0, 2.0, 3.0]] * 40)
    for name in "ab":
        rewrite(training, name, pt=objects)
    config = {"inputs": {"jets": {"length": 2, "vars": [["pt", None]]}}}
    training.flags(config=config)
    flags = ["-i", "a.parquet", "b.parquet", "-c", "d.yaml", "--gpus="]
    found = find_all(parse_options(flags, kind=CheckRun))
    assert found.remarks == [
        "inputs.jets: 33.3% of the objects lie beyond its length 2; the longest row has 3"
    ]
    assert (found.objects[0].padded, found.epoch.parameters) == (0.0, None)


def test_batches_that_are_large_for_so_few_rows_are_a_remark(training):
    """64 rows to train on."""

    def remarks(*flags):
        return [remark for remark in find(training, *flags).remarks if "optimizer" in remark]

    assert remarks("--batch-size", "30") == [
        "an epoch is 2 steps of the optimizer, as a batch has 30 rows; --batch-size 8 makes 8 of "
        "64 rows"
    ]
    assert remarks("--batch-size", "12") == []
    # as asked for
    assert remarks("--batch-size", "30", "--steps-per-epoch", "2") == []


def test_what_a_selection_leaves_is_expected(training):
    found = find(training, config={"selection": "n >= 10"})
    (group,) = found.groups
    # 30 of 40 rows of each file, 80 % of them for training: 48 in 6 batches of 8
    assert (group.looked_at, group.selected, group.expected) == (80, 60, 48)
    assert (found.epoch.rows, found.epoch.batches) == (48, 6)
    assert found.epoch.rows_per_second > 0
    assert found.epoch.seconds >= found.epoch.seconds_of_steps


def test_a_group_of_which_no_row_passes_is_a_remark(training):
    found = find(training, config={"selection": "n >= 100"})
    assert "none of 80 rows passes the selection" in found.remarks[-1]
    assert found.epoch is None


def test_fewer_rows_than_a_batch_has_are_an_epoch(training):
    # 4 of 40 rows of each file pass, of which 80 % are trained on: 6 rows
    found = find(training, "--batch-size", "16", config={"selection": "n >= 36"})
    assert (found.epoch.rows, found.epoch.batches) == (6, 1)


def test_an_observer_that_training_files_lack_is_a_remark_and_in_test_files_a_problem(training):
    config = {"observers": ["run"]}
    found = find(training, config=config)
    assert found.problems == []
    assert "no column 'run'" in found.remarks[0]
    assert "only a prediction needs it" in found.remarks[0]
    found = find(training, "-t", "a.parquet", config=config)
    assert [problem[:24] for problem in found.problems] == ["test: no column 'run' (n"]


def test_optional_columns_may_be_missing_in_all_files_but_not_in_some(training):
    rewrite(training, "a", run=np.arange(40))
    config = {"observers": ["run?", "lumi?"]}
    found = find(training, "-t", "a.parquet", "b.parquet", config=config)
    assert [problem.partition(";")[0] for problem in found.problems] == [
        "test: no column 'run' (needed by observers) in b.parquet of 2"
    ]
    assert "it is optional" in found.remarks[0]


def test_a_file_that_cannot_be_read_is_a_problem_unless_it_is_skipped(training):
    (training.path / "c.parquet").write_bytes(b"PAR1")
    more = ("-i", "a.parquet", "b.parquet", "c.parquet")
    assert "c.parquet" in find(training, *more).problems[0]
    found = find(training, *more, "--on-bad-file", "skip")
    assert found.problems == []
    assert "c.parquet" in found.remarks[0]


def test_what_the_network_says_is_a_problem(training):
    training.change_network("nn.Linear(width, 2)", "nn.Linear(width, 3)")
    found = find(training)
    assert len(found.problems) == 1
    assert "expected (16, 2)" in found.problems[0]
    # the data were looked at all the same
    assert len(found.columns) == 2


def test_an_error_in_the_network_file_is_a_problem_shown_by_its_lines(training):
    training.change_network("nn.Linear(width, 2)", "nn.Linear(width + 1, 2)")
    found = find(training)
    assert len(found.problems) == 1
    assert "called with" in found.problems[0]
    # later versions of torch name the operation
    problem = found.problems[0].replace("addmm: ", "")
    assert "RuntimeError: mat1 and mat2 shapes cannot be multiplied" in problem
    assert len(found.columns) == 2


def test_test_files_alone_are_looked_at_too(training):
    training.flags()
    chosen = parse_options(["-t", "q:a.parquet", "-c", "d.yaml", "--gpus="], kind=CheckRun)
    found = find_all(chosen)
    assert found.problems == []
    (group,) = found.groups
    assert (group.kind, group.name, group.expected) == ("test", "q", 40)
    assert group.targets == {"is_a": 40, "is_b": 0}
    assert [column.name for column in found.columns] == ["x", "n"]


def test_the_validation_yaml_is_looked_at(training):
    flags = ("-l", "b.parquet", "--extra-selection-val", "m > 2")
    assert find(training, *flags).problems[0].startswith("validation: no column 'm'")


def test_a_yaml_that_is_not_there_is_a_problem(training):
    chosen = parse_options(["-i", "a.parquet", "-c", "none.yaml"], kind=CheckRun)
    assert "none.yaml" in find_all(chosen).problems[0]


def test_an_object_selection_that_nothing_passes_is_a_problem_or_a_remark(training):
    for name in "ab":
        rewrite(training, name, pt=ak.Array([[1.0, 2.0]] * 40))
    config = {
        "inputs": {"jets": {"length": 2, "vars": [["pt", None]]}},
        "object_selection": {"jets": "pt > 9"},
    }
    training.flags(config=config)
    flags = ["-i", "a.parquet", "b.parquet", "-c", "d.yaml", "--gpus="]
    text = "object_selection: no object of 'jets' passes its selection 'pt > 9': all "
    found = find_all(parse_options(flags, kind=CheckRun))
    assert found.problems == [f"{text}160 objects in 80 rows are dropped"]
    # of the others nothing is known
    found = find_all(parse_options([*flags, "--rows", "10"], kind=CheckRun))
    assert found.problems == []
    assert f"{text}20 objects in 10 rows are dropped" in found.remarks


def test_rows_of_one_class_alone_are_a_problem_or_a_remark(small_run):
    jets = ak.from_parquet(small_run.folder / "jets.parquet")
    alike = {"is_a": np.zeros(20, int), "is_b": np.ones(20, int)}
    columns = {field: jets[field] for field in jets.fields}
    ak.to_parquet(ak.zip(columns | alike), small_run.folder / "jets.parquet")
    text = "labels: all {} training entries are 'is_b', none is 'is_a'"
    found = find_all(parse_options(small_run.flags(), kind=CheckRun))
    assert [problem.partition(": ")[2] for problem in found.problems] == [text.format(20)]
    # of the others nothing is known
    found = find_all(parse_options(small_run.flags("--rows", "5"), kind=CheckRun))
    assert found.problems == []
    assert found.remarks[0].startswith("as far as was looked: ")
    assert found.remarks[0].endswith(text.format(5))


def test_targets_without_a_value_are_a_remark_with_their_first_place(training):
    mass = np.arange(40.0)
    mass[[7, 9]] = np.nan, np.inf
    rewrite(training, "a", mass=mass)
    rewrite(training, "b", mass=np.ones(40))
    config = {"labels": {"type": "custom", "value": {"mass": "mass"}}}
    training.flags(config=config)
    flags = ["-i", "a.parquet", "b.parquet", "-c", "d.yaml", "--gpus="]
    found = find_all(parse_options(flags, kind=CheckRun))
    assert found.problems == []
    assert "training: labels without a value: mass 2 (first: a.parquet, row 7)" in (found.remarks)


def test_rows_of_validation_and_test_are_looked_at_beside_those_of_the_training(training):
    mass = np.arange(40.0)
    mass[7] = np.nan
    rewrite(training, "b", mass=mass)
    rewrite(training, "a", mass=np.ones(40))
    config = {
        "selection": "n >= 4",
        "test_time_selection": "n >= 0",
        "labels": {"type": "custom", "value": {"mass": "mass"}},
    }
    training.flags(config=config)
    flags = ["-i", "a.parquet", "-l", "b.parquet", "-t", "q:b.parquet", "-c", "d.yaml", "--gpus="]
    found = find_all(parse_options(flags, kind=CheckRun))
    assert [(group.looked_at, group.selected) for group in found.groups] == [
        (40, 36),
        (40, 36),
        (40, 40),
    ]
    place = "labels without a value: mass 1 (first: b.parquet, row 7)"
    assert [remark for remark in found.remarks if "mass" in remark] == [
        f"validation: {place}",
        f"test group q: {place}",
    ]


def test_values_are_shown_where_labels_are_wrong(training):
    for files in (("-i", "a.parquet"), ("-l", "a.parquet")):
        training.flags()
        rewrite(training, "a", is_a=np.zeros(40), is_b=np.zeros(40))
        found = find(training, *files)
        assert len(found.problems) == 1
        assert "40 belong to no class" in found.problems[0]
        assert [column.name for column in found.columns] == ["x", "n"]
        rewrite(training, "a", is_a=np.ones(40))


def test_all_labels_that_are_wrong_are_listed(training):
    for name in ("a", "b"):
        rewrite(training, name, jagged=ak.Array([[1.0], [2.0, 3.0]] * 20))
    values = {"first": "jagged * 2", "right": "x", "second": "jagged"}
    found = find(training, config={"labels": {"type": "custom", "value": values}}).problems
    for path, problem in zip(("a.parquet", "b.parquet"), found, strict=True):
        first, second = problem.splitlines()
        assert f"{path}: label 'first': expected one value for each row" in first
        assert f"{path}: label 'second': expected one value for each row" in second


def test_labels_that_are_wrong_are_listed_for_all_files_and_kinds(training):
    training.flags()
    for name in ("a", "b"):
        rewrite(training, name, is_a=np.zeros(40), is_b=np.zeros(40))
    Path("b.parquet").rename("c.parquet")
    Path("b.parquet").write_bytes(Path("a.parquet").read_bytes())
    found = find(training, "-i", "a.parquet", "b.parquet", "-l", "c.parquet").problems
    assert [problem.split(":")[0] for problem in found] == ["a.parquet", "b.parquet", "c.parquet"]


def test_types_that_differ_between_files_are_a_remark_and_a_problem_where_none_fits(training):
    # of 32 unsigned bits in one file, as NanoAOD v9 has them
    rewrite(training, "a", n=np.arange(40, dtype=np.uint32))
    assert find(training).remarks == [
        "training: column 'n' is uint32 in 1 file, int64 in 1 file; it is read as int64"
    ]
    rewrite(training, "a", n=ak.Array([[1], []] * 20))
    (problem,) = find(training).problems
    assert "b.parquet: column 'n' is int64 for each row, in a.parquet it is var * int64" in problem


def test_training_files_are_opened_for_their_columns_once(training, monkeypatch):
    opened = []
    original = scan.open_reader

    def open_reader(path, *how):
        opened.append(path)
        return original(path, *how)

    monkeypatch.setattr(scan, "open_reader", open_reader)
    # looked at for the observer, too, which a training does not read
    assert find(training, config={"observers": ["n", "run"]}).problems == []
    assert sorted(opened) == ["a.parquet", "b.parquet"]
