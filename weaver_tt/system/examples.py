"""Worked examples that come with the package: ``weaver_tt:NAME`` in place of a path.

An installed wheel has them inside of the package (``weaver_tt/examples``, see pyproject.toml); in a
checkout, and in an editable install of one, they are the folders beside the package.
"""

from __future__ import annotations

from pathlib import Path

from weaver_tt.errors import ConfigError, nearest

PREFIX = "weaver_tt:"
PACKAGE = Path(__file__).parents[1]
SCHEMA = "schema.json"  # of the data YAML, for editors
PLACES = (PACKAGE / "examples", PACKAGE.parent)


def find_example(path: str | Path, folder: str, ending: str) -> Path:
    """The file that ``path`` names: the example NAME of ``folder`` for ``weaver_tt:NAME``.

    Any other path is returned as it is. ``ending`` (``.py``) need not be part of NAME.

    Raises:
        ConfigError: there is no such example; names the nearest.
    """
    text = str(path)
    if not text.startswith(PREFIX):
        return Path(path)
    name = text.removeprefix(PREFIX).removesuffix(ending)
    examples = list_examples(folder, ending)
    if name not in examples:
        raise ConfigError(f"{text}: no such example in {folder}; {nearest(name, examples)}")
    return examples[name]


def list_examples(folder: str, ending: str) -> dict[str, Path]:
    """Name -> file of all examples of a folder."""
    examples: dict[str, Path] = {}
    for place in PLACES:
        for file in sorted((place / folder).glob(f"*{ending}")):
            examples.setdefault(file.stem, file)
    return examples


def data_schema() -> Path:
    """The JSON schema of the data YAML, which editors read: it lies beside the examples."""
    files = [place / "data_configs" / SCHEMA for place in PLACES]
    return next(file for file in files if file.is_file())
