"""Patterns that tell the files of a training apart, and those that do not."""

from dataclasses import replace

import pytest

from weaver_tt.config.load import from_mapping
from weaver_tt.data.file_magic import check_file_magic
from weaver_tt.errors import DataError
from weaver_tt.expressions.evaluate import parse_expression
from weaver_tt.formats.file_groups import FileGroup


def config(**magic):
    return from_mapping(
        {
            "file_magic": magic,
            "inputs": {"jets": {"length": 3, "vars": [["pt", None]]}},
            "labels": {"type": "simple", "value": [*magic]},
        },
        "r.yaml",
    )


BY_GROUP = config(data={"data:": 1}, mc={"mc:": 1})


def test_groups_that_are_not_given_are_an_error_that_says_what_to_write():
    check_file_magic(BY_GROUP, [FileGroup("data", ("a",)), FileGroup("mc", ("b",))])
    with pytest.raises(
        DataError, match=r"no group of files 'mc', but data, mcc.*mean 'mcc'"
    ) as one:
        check_file_magic(BY_GROUP, [FileGroup("data", ("a",)), FileGroup("mcc", ("b",))])
    assert str(one.value).endswith("write -i mc:FILES")
    with pytest.raises(DataError, match="'data' or 'mc', but files without a name alone") as both:
        check_file_magic(BY_GROUP, [FileGroup("_", ("a", "b"))])
    assert str(both.value).endswith("write -i data:FILES mc:FILES")


def test_validation_files_without_names_are_of_no_group_and_refused():
    training = [FileGroup("data", ("a",)), FileGroup("mc", ("b",))]
    with pytest.raises(DataError, match="-l has no group of files 'data' or 'mc', but") as one:
        check_file_magic(BY_GROUP, training, [FileGroup("_", ("c",))])
    assert str(one.value).endswith("write -l data:FILES mc:FILES")
    # columns of paths need no names
    check_file_magic(config(data={"a": 1}), training, [FileGroup("_", ("c",))])
    check_file_magic(BY_GROUP, training, [FileGroup("data", ("c",))])


def test_one_group_of_several_or_a_path_is_enough():
    several = config(data={"run1:": 1, "run2:": 1}, mc={"mc:": 1, "simulated": 1})
    check_file_magic(several, [FileGroup("run2", ("a",))])


def test_a_group_that_is_no_class_is_refused_where_groups_are_the_classes():
    groups = [FileGroup("data", ("a",)), FileGroup("mc", ("b",))]
    with pytest.raises(DataError) as one:
        check_file_magic(BY_GROUP, [*groups, FileGroup("dataa", ("c",))])
    assert str(one.value) == (
        "r.yaml: -i has the group 'dataa', whose rows are of no class: the classes are the groups "
        "of files 'data' and 'mc' (file_magic); did you mean 'data'?"
    )
    with pytest.raises(DataError, match="-l has files without a name, whose rows are of no class"):
        check_file_magic(BY_GROUP, groups, [*groups, FileGroup("_", ("c",))])
    # where paths have a say, or a selection may drop such rows, the rows themselves are looked at
    by_path = config(data={"data:": 1, "c": 1}, mc={"mc:": 1})
    check_file_magic(by_path, [*groups, FileGroup("other", ("c",))])
    selected = replace(BY_GROUP, selection=parse_expression("data + mc == 1", "r.yaml"))
    check_file_magic(selected, [*groups, FileGroup("other", ("c",))])


def test_a_pattern_that_is_found_in_the_folder_of_all_files_is_warned_of(caplog):
    by_path = config(data={"data": 1}, mc={"mc": 1})
    groups = [FileGroup("data", ("/x/data/a.root",)), FileGroup("mc", ("/x/data/mc.root",))]
    check_file_magic(by_path, groups)
    [warning] = caplog.messages
    assert "file_magic.data: 'data' is found in the folder /x/data, so that it is 1" in warning


@pytest.mark.parametrize(
    "paths",
    [
        ["/x/data/a.root"],
        ["/x/data/a.root", "/x/mc/a.root"],
        ["/x/data_1.root", "/x/mc_1.root"],
        ["data/a.root", "/x/data/mc.root"],
    ],
)
def test_a_pattern_that_tells_files_apart_is_not(caplog, paths):
    check_file_magic(config(data={"data": 1}), [FileGroup("_", tuple(paths))])
    assert caplog.messages == []


@pytest.mark.parametrize(
    "values",
    [
        {"top": 1, "x": 0},  # x is for the files that top is not for
        {"top:": 1, "x": 0},  # the same, of a group
        {".*": 1},  # of any file on purpose
        {"qcd$": 1},  # found in the folder alone
    ],
)
def test_a_pattern_that_decides_of_the_rest_or_of_all_on_purpose_is_none_to_warn_of(caplog, values):
    groups = [FileGroup("top", ("/x/qcd/top.root",)), FileGroup("qcd", ("/x/qcd/other.root",))]
    check_file_magic(config(data=values), groups)
    assert caplog.messages == []


def test_a_later_pattern_that_is_the_first_in_use_is_warned_of(caplog):
    groups = [FileGroup("_", ("/x/qcd/1.root", "/x/qcd/2.root"))]
    check_file_magic(config(data={"top": 2, "qcd": 3}), groups)
    [warning] = caplog.messages
    assert "'qcd' is found in the folder /x/qcd, so that it is 3 for all" in warning
