"""What a column or new variable is made of, down to the columns of the files."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable

from weaver_tt.config.schema import DataConfig
from weaver_tt.errors import ConfigError


def dependency_order(config: DataConfig, names: Iterable[str]) -> list[str]:
    """``names`` and all that they need, each after what it is made of, without repetition.

    Raises:
        ConfigError: new variables use each other in a circle, which the message names.
    """
    # dictionaries keep the order in which names were added
    done: dict[str, None] = {}
    path: dict[str, None] = {}  # each name is needed by the one before it
    waiting = list(reversed(list(names)))
    # not by recursion, as chains of new variables may be longer than Python's stack
    while waiting:
        name = waiting.pop()
        if name in path:
            # all that it needs is done
            del path[name]
            done[name] = None
        elif name not in done:
            path[name] = None
            waiting.append(name)
            waiting += _missing_parts(config, name, done, path)
    return list(done)


def _missing_parts(
    config: DataConfig, name: str, done: Container[str], path: Collection[str]
) -> list[str]:
    """What ``name`` is made of and is not ``done``, last in the alphabet first.

    Raises:
        ConfigError: some part is on the ``path`` to ``name``, so that it is made of itself.
    """
    if name not in config.new_variables:
        return []
    # sorted, as sets of names have another order in each process
    parts = sorted(config.new_variables[name].names, reverse=True)
    for part in parts:
        if part in path:
            names = list(path)
            circle = " -> ".join([*names[names.index(part) :], part])
            raise ConfigError(
                f"{config.source}: new_variables: {circle} is a circle; "
                "a new variable cannot be made of itself"
            )
    return [part for part in parts if part not in done]
