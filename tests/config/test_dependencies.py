"""Each name comes after what it is made of, in one order whatever the order of the YAML."""

import pytest

from weaver_tt.config.dependencies import dependency_order
from weaver_tt.config.load import from_mapping
from weaver_tt.errors import ConfigError


def order(new_variables: dict[str, str], *names: str) -> list[str]:
    inputs = {"event": {"length": None, "vars": ["x"]}}
    config = from_mapping({"inputs": inputs, "new_variables": new_variables}, source="a.yaml")
    return dependency_order(config, names)


def test_parts_come_first_and_once() -> None:
    variables = {"c": "a + b", "b": "2 * a", "a": "x + y"}
    assert order(variables, "c", "b") == ["x", "y", "a", "b", "c"]
    assert order(dict(reversed(variables.items())), "c", "b") == ["x", "y", "a", "b", "c"]


def test_a_chain_may_be_longer_than_pythons_stack() -> None:
    chain = {f"v{number}": f"v{number + 1} + 1" for number in range(3000)}
    assert order(chain, "v0")[:2] == ["v3000", "v2999"]


def test_a_circle_is_named() -> None:
    with pytest.raises(ConfigError, match=r"a -> b -> a is a circle"):
        order({"a": "b + 1", "b": "a + 1"}, "a")
