"""The one writer of JSON, which knows neither NaN nor infinity, and a reader that checks it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from weaver_tt.errors import ConfigError, DataError, OutputError
from weaver_tt.system.atomic_files import write_text
from weaver_tt.system.file_shapes import Shape, shape_problem
from weaver_tt.system.missing_files import no_such_file


def finite_or_none(content: Any) -> Any:
    """``content`` ready for JSON: None in place of numbers that are not finite, however deep.

    Numbers and arrays of numpy become Python's, tuples lists, paths text.
    """
    if isinstance(content, Mapping):
        return {key: finite_or_none(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite_or_none(value) for value in content]
    if isinstance(content, float):
        return float(content) if math.isfinite(content) else None
    if isinstance(content, Path):
        return str(content)
    # of numpy, without an import of it
    if hasattr(content, "tolist"):
        return finite_or_none(content.tolist())
    return content


def json_text(content: Any, indent: int | None = 1) -> str:
    """``content`` as JSON, with null in place of numbers that are not finite."""
    return json.dumps(finite_or_none(content), indent=indent, allow_nan=False)


def strict_json_text(content: Any, what: str, indent: int | None = 1) -> str:
    """``content`` as JSON for readers that take no null in place of a number.

    Raises:
        OutputError: a number is not finite; ``what`` says what is written.
    """
    try:
        return json.dumps(content, indent=indent, allow_nan=False)
    except ValueError as error:
        raise OutputError(f"{what}: a number is NaN or infinite, and readers take none") from error


def write_json(path: str | Path, content: Any) -> None:
    """Write :func:`json_text` of ``content``, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    write_text(path, json_text(content) + "\n")


def parse_json(text: str, shape: Shape, where: str) -> Any:
    """JSON of the given shape; ``where`` says in messages what it is of.

    Raises:
        DataError: it is no JSON, or of another shape; names the place.
    """
    try:
        content = json.loads(text)
    # RecursionError: lists inside of lists inside of lists ...
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not JSON: {error}") from None
    problem = shape_problem(content, shape)
    if problem is not None:
        raise DataError(f"{where}: {problem}")
    return content


def read_json(path: str | Path, shape: Shape) -> Any:
    """The content of a JSON file of the given shape.

    Raises:
        DataError: there is no such file, it is no JSON, or of another shape; names the place.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(no_such_file(path, ".json")) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    return parse_json(text, shape, str(path))


@contextmanager
def explaining_damage(path: str | Path, what: str, kind: str, command: str) -> Iterator[None]:
    """Inside, a document at ``path`` is read and taken apart: whatever is wrong becomes one error.

    ``what`` cannot be read, or is not ``kind`` as ``command`` writes it.

    Raises:
        ConfigError: there is no such file, or it is of another form.
    """
    try:
        yield
    except FileNotFoundError:
        raise ConfigError(no_such_file(path, ".json")) from None
    except OSError as problem:
        raise ConfigError(f"{path}: cannot read {what}: {problem}") from problem
    # RecursionError is a RuntimeError, a number that no float holds an ArithmeticError
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        ArithmeticError,
        RuntimeError,
    ) as problem:
        raise ConfigError(f"{path}: not {kind} as `{command}` writes it: {problem!r}") from problem
