"""What a data YAML that is made of columns says."""

import pytest
import yaml

from weaver_tt.run.init.data_yaml import quoted


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("tree", "tree"),
        ("Events;1", '"Events;1"'),
        (r"run\.3", r'"run\\.3"'),
        # words of YAML that are no text where they stand alone
        ("no", '"no"'),
        ("True", '"True"'),
        ("null", '"null"'),
    ],
)
def test_text_is_quoted_where_yaml_would_take_it_for_something_else(text, written):
    assert quoted(text) == written
    assert yaml.safe_load(f"{written}: 1") == {text: 1}
