"""The ``rows`` of a data YAML: which objects of an event are its rows, and what belongs to each."""

from __future__ import annotations

from weaver_tt.config.sections import Section
from weaver_tt.errors import ConfigError
from weaver_tt.formats.reader import identifier_of
from weaver_tt.formats.row_objects import LinkedObjects, RowObjects

ROWS = ("objects", "columns", "linked")
LINKED = ("columns", "owner", "index", "begin", "end", "identity")


def read_row_objects(top: Section) -> RowObjects | None:
    """``rows`` of a YAML; None where the rows are those of the files.

    Raises:
        ConfigError: no collection is named, or how another is linked to it cannot be meant.
    """
    if "rows" not in top:
        return None
    section = top.section("rows", ROWS)
    name = section.text("objects")
    if name is None:
        raise ConfigError(
            f"{section.at('objects')}: expected the name of a collection, such as Jet"
        )
    linked = section.section("linked")
    return RowObjects(
        name=name,
        columns=_columns(section, name),
        linked=tuple(_read_linked(linked.section(key, LINKED), key) for key in linked.values),
    )


def _columns(section: Section, name: str) -> tuple[str, ...]:
    """Patterns of the columns of a collection; those that begin with its name by default."""
    if "columns" in section:
        return section.names("columns")
    return (f"{identifier_of(name)}_*",)


def _read_linked(section: Section, name: str) -> LinkedObjects:
    texts = {key: section.text(key) for key in LINKED[1:]}
    ways = [key for key in ("owner", "begin") if texts[key] is not None]
    if (texts["begin"] is None) != (texts["end"] is None):
        raise ConfigError(f"{section.where}: begin and end belong together")
    if len(ways) > 1:
        raise ConfigError(f"{section.where}: owner, or begin and end; not both")
    if not ways and texts["index"] is None:
        raise ConfigError(
            f"{section.where}: what belongs to which of the objects? Expected owner, index, or "
            "begin and end: columns of the files"
        )
    if texts["identity"] is not None and texts["index"] is None:
        raise ConfigError(f"{section.at('identity')}: needs an index that names such values")
    return LinkedObjects(name=name, columns=_columns(section, name), **texts)
