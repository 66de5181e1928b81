"""The schema says of a data YAML what the loader says of its keys.

``python tests/run/test_yaml_schema.py`` writes ``data_configs/schema.json`` anew.
"""

import ast
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from weaver_tt.config.load import KEYS, from_mapping, load_config
from weaver_tt.config.yaml_loader import BoundedLoader
from weaver_tt.errors import ConfigError
from weaver_tt.run.yaml_schema import data_yaml_schema
from weaver_tt.system.json_files import json_text

ROOT = Path(__file__).parents[2]
FILE = ROOT / "data_configs" / "schema.json"
EXAMPLES = sorted((ROOT / "data_configs").glob("*.yaml"))
IS_YAML = re.compile(rf"^({'|'.join(KEYS)}):", flags=re.M)
VALIDATOR = jsonschema.Draft7Validator(data_yaml_schema())


def problems(values):
    return [error.message for error in VALIDATOR.iter_errors(values)]


def parsed(text):
    """What YAML holds; None for a text that is none."""
    try:
        return yaml.load(text, BoundedLoader)
    except (yaml.YAMLError, ValueError):
        return None


def literal(node):
    """The value of a mapping in a test; None where it is made of names."""
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        return None


def candidates():
    """Whatever in the tests and the docs might be a data YAML or some sections of one."""
    tests = [*(ROOT / "tests/config").glob("*.py"), *(ROOT / "tests/tasks").glob("*.py")]
    for path in sorted(tests):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and IS_YAML.search(str(node.value)):
                yield path, parsed(node.value)
            elif isinstance(node, ast.Dict) and node.keys:
                yield path, literal(node)
    for path in sorted((ROOT / "docs").glob("*.md")):
        for text in re.findall(r"```yaml\n(.*?)```", path.read_text(), flags=re.S):
            yield path, parsed(text)


def data_yamls():
    """Those that the loader takes; sections get an input to stand beside."""
    for path, values in candidates():
        if isinstance(values, dict) and values and values.keys() <= set(KEYS):
            whole = {"inputs": {"jets": {"length": 4, "vars": ["pt"]}}, **values}
            try:
                from_mapping(whole)
            except ConfigError:
                continue
            yield path, whole


def test_the_committed_file_is_up_to_date():
    assert FILE.read_text() == json_text(data_yaml_schema()) + "\n"


def test_it_is_a_schema():
    jsonschema.Draft7Validator.check_schema(data_yaml_schema())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_keeps_to_the_schema_that_its_first_line_names(path):
    first, *_ = path.read_text().splitlines()
    assert first == f"# yaml-language-server: $schema={FILE.name}"
    assert problems(yaml.load(path.read_text(), BoundedLoader)) == []
    assert load_config(str(path)).input_names


def test_what_the_loader_takes_keeps_to_the_schema():
    number = 0
    for path, values in data_yamls():
        number += 1
        assert problems(values) == [], (path, values)
    assert number > 25


CLASSES = {"inputs": {"jets": {"length": 4, "vars": ["pt"]}}}
WRONG = {
    "a key of the file": {"lables": {}},
    "a key of an input group": {"inputs": {"jets": {"lenght": 4, "vars": ["pt"]}}},
    "no length": {"inputs": {"jets": {"length": 0, "vars": ["pt"]}}},
    "too many numbers": {"inputs": {"jets": {"vars": [["pt", 0, 1, -5, 5, 0, 9]]}}},
    "a type of labels": {"labels": {"type": "class", "value": ["a"]}},
    "a key of the second labels": {"labels": [{"type": "simple"}, {"typ": "custom"}]},
    "a key of weights": {"weights": {"reweight_method": "flat", "reweight_var": {}}},
    "a column of a report": {"report": {"corected_pt": "pt"}},
    "an option of a task": {"task": {"name": "classification", "mu": 1}},
    "a loss": {"task": {"name": "regression", "loss_function": "hubert"}},
    "an option of a loss": {"task": {"name": "regression", "loss_function": {"mse": {"delta": 1}}}},
    "a key of another method": {
        "task": {"name": "classification", "decorrelate": {"method": "disco", "layers": [8]}}
    },
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_key_or_word_does_not_keep_to_it(wrong):
    assert problems({**CLASSES, **wrong}) != []


def test_a_task_of_a_network_file_may_have_any_options():
    assert problems({**CLASSES, "task": {"name": "mine", "anything": 3}}) == []


if __name__ == "__main__":
    FILE.write_text(json_text(data_yaml_schema()) + "\n")
