"""Numbers stand beside words that fit them."""

import re
from pathlib import Path

from weaver_tt.system.wording import counted, listed, short_settings, size_text, value_with_error

PACKAGE = Path(__file__).parents[2] / "weaver_tt"


def test_one_is_one_and_others_are_several():
    assert [counted(number, "file") for number in (0, 1, 2)] == ["0 files", "1 file", "2 files"]
    assert counted(12345, "batch", "batches") == "12,345 batches"
    assert counted(1, "batch", "batches") == "1 batch"


def test_a_long_list_is_its_first_names_and_how_many_are_left():
    assert listed(["b", "c", "light"], 3) == "b, c, light"
    assert listed(["b", "c", "light"], 2) == "b, c and 1 more"
    assert listed([str(number) for number in range(1500)], 1) == "0 and 1,499 more"
    assert listed([]) == ""


def test_a_size_has_three_digits_and_the_unit_that_fits():
    assert [size_text(size) for size in (500, 19_840, 1e6)] == ["0.5 kB", "19.8 kB", "1 MB"]
    assert size_text(2_345_678_901) == "2.35 GB"


def test_a_number_has_as_many_digits_as_its_error():
    assert value_with_error(0.41432, 0.00321) == "0.4143 ± 0.0032"
    assert value_with_error(1.36, 0.01) == "1.360 ± 0.010"
    assert value_with_error(12345.6, 250.2) == "12,346 ± 250"
    assert value_with_error(-0.3, 28.0) == "0 ± 28"
    for unknown in (0.0, float("nan"), float("inf")):
        assert value_with_error(0.123456, unknown) == "0.1235"


def test_nobody_else_chooses_between_one_and_several():
    choice = re.compile(r"['\"][ \w]+['\"] if [^\n]*== 1 else ['\"]")
    found = {path.name for path in PACKAGE.rglob("*.py") if choice.search(path.read_text())}
    assert found <= {"wording.py"}


def test_no_message_counts_files_that_were_written_as_several():
    """``1 models, 1 figures`` was the last line of a report."""
    several = re.compile(r"%d (models|figures|trials|networks)\b")
    found = {path.name for path in PACKAGE.rglob("*.py") if several.search(path.read_text())}
    assert found == set()


def test_settings_of_a_range_are_shown_in_few_digits():
    drawn = {"--start-lr": 0.0031622776601683794, "-o hidden": 64, "--optimizer": "adam"}
    drawn |= {"--clip-gradient": float("inf"), "--use-amp": True}
    shown = "--start-lr 0.003162 -o hidden 64 --optimizer adam --clip-gradient inf --use-amp True"
    assert short_settings(drawn) == shown
