"""The YAML of further uncertainties, and what is said of a wrong one."""

import pytest

from weaver_tt.applications.calibration.systematics import Systematics, read_systematics
from weaver_tt.errors import ConfigError, DataError

CATEGORIES = ("top", "w", "other")


def read(folder, text):
    path = folder / "systematics.yaml"
    path.write_text(text)
    return read_systematics(str(path), CATEGORIES)


def test_nothing_is_said_without_a_file():
    assert read_systematics(None, CATEGORIES) == Systematics()


def test_templates_and_rates_are_read_by_category(tmp_path):
    for name in ("up_1.root", "up_2.root", "down.root"):
        (tmp_path / name).touch()
    found = read(
        tmp_path,
        f"""
templates:
  parton_shower:
    top: {{up: {tmp_path}/up_*.root, down: [{tmp_path}/down.root]}}
rates:
  cross_section: {{w: 1.2, other: 1.1}}
""",
    )
    files = found.templates_of("top")["parton_shower"]
    assert [path[-9:] for path in files.up] == ["up_1.root", "up_2.root"]
    assert files.down == (f"{tmp_path}/down.root",)
    assert found.templates_of("w") == {}
    assert found.rates_of("w") == {"cross_section": 1.2}
    assert found.rated == {"w", "other"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "expected names with values"),
        ("rate: {}", "unknown key 'rate'; did you mean 'rates'"),
        ("rates: {x: {tpo: 1.2}}", "rates.x: no category 'tpo'; did you mean 'top'"),
        ("rates: {x: {top: 0.9}}", "rates.x.top: expected a factor above 1 and below 10"),
        ("rates: {x: {top: true}}", "expected a factor above 1"),
        ("rates: {scale: {top: 1.2}}", "rates.scale: expected a name .* other than scale and"),
        ("templates: {x: {top: {up: 3, down: a}}}", "templates.x.top.up: expected files, found 3"),
        ("templates: {x: {top: {up: a}}}", "no such file|expected files"),
        ("rates: {", "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, text, message):
    with pytest.raises((ConfigError, DataError), match=message):
        read(tmp_path, text)


def test_a_parameter_has_one_meaning(tmp_path):
    (tmp_path / "a.root").touch()
    sides = f"{{up: {tmp_path}/a.root, down: {tmp_path}/a.root}}"
    with pytest.raises(ConfigError, match="x is in templates and in rates"):
        read(tmp_path, f"templates: {{x: {{top: {sides}}}}}\nrates: {{x: {{w: 1.2}}}}")
