"""What a column or new variable is made of, down to the columns of the files."""

from __future__ import annotations

from collections.abc import Iterable

from weaver_tt.config.schema import DataConfig
from weaver_tt.errors import ConfigError


def dependency_order(config: DataConfig, names: Iterable[str]) -> list[str]:
    """``names`` and all that they need, each after what it is made of, without repetition.

    Raises:
        ConfigError: new variables use each other in a circle, which the message names.
    """
    # a dictionary keeps the order in which names were added
    done: dict[str, None] = {}
    for name in names:
        _add_dependencies(config, name, done, ())
    return list(done)


def _add_dependencies(
    config: DataConfig, name: str, done: dict[str, None], path: tuple[str, ...]
) -> None:
    """Add to ``done`` all that ``name`` needs, then itself; ``path``: the names that need it."""
    if name in done:
        return
    if name in path:
        circle = " -> ".join((*path[path.index(name) :], name))
        raise ConfigError(
            f"{config.source}: new_variables: {circle} is a circle; "
            "a new variable cannot be made of itself"
        )
    if name in config.new_variables:
        # sorted, as sets of names have another order in each process
        for part in sorted(config.new_variables[name].names):
            _add_dependencies(config, part, done, (*path, name))
    done[name] = None
