"""Whether the patterns of ``file_magic`` tell the files of a training apart."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from weaver_tt.config.path_patterns import group_of, is_for_file, is_found
from weaver_tt.config.schema import DataConfig
from weaver_tt.errors import DataError, nearest
from weaver_tt.formats.file_groups import UNNAMED_GROUP, FileGroup
from weaver_tt.log import log


def check_file_magic(
    config: DataConfig, groups: Sequence[FileGroup], validation: Sequence[FileGroup] = ()
) -> None:
    """Check the patterns of groups, and warn of paths whose common folder decides.

    ``groups`` are those of ``-i``, ``validation`` those of ``-l``.

    Raises:
        DataError: a column of groups is 0 for all files, as ``-i`` names none of them, or ``-l``
            has no names at all; or groups of files are the classes, and one of them is none.
    """
    _check_is_given(config, _names(groups), "-i")
    if validation and not _names(validation):
        _check_is_given(config, [], "-l")
    _check_has_class(config, groups, "-i")
    _check_has_class(config, validation, "-l")
    _warn_of_common_folder(config, groups)


def _names(groups: Sequence[FileGroup]) -> list[str]:
    return [group.name for group in groups if group.name != UNNAMED_GROUP]


def _check_is_given(config: DataConfig, given: Sequence[str], flag: str) -> None:
    """Raise where a column is 0 for all files, as none of its groups is among the ``given``."""
    missing = []
    for values in config.file_magic.values():
        named = [group_of(pattern) for pattern in values]
        wanted = [name for name in named if name is not None]
        if len(wanted) == len(named) and not set(wanted) & set(given):
            missing += wanted
    if missing:
        names = list(dict.fromkeys(missing))
        found = ", ".join(given) or "files without a name alone"
        close = f"; {nearest(names[0], given)}" if given else ""
        raise DataError(
            f"{config.source}: file_magic: {flag} has no group of files "
            f"{' or '.join(map(repr, names))}, but {found}{close}; "
            f"write {flag} {' '.join(f'{name}:FILES' for name in names)}"
        )


def _check_has_class(config: DataConfig, groups: Sequence[FileGroup], flag: str) -> None:
    """Raise where the classes are groups of files, and one of ``groups`` is none of them."""
    classes = _groups_that_are_classes(config)
    if not classes:
        return
    for group in groups:
        if group.written_name in classes:
            continue
        is_named = group.name != UNNAMED_GROUP
        found = f"the group {group.name!r}" if is_named else "files without a name"
        close = f"; {nearest(group.name, classes)}" if is_named else ""
        raise DataError(
            f"{config.source}: {flag} has {found}, whose rows are of no class: the classes are the "
            f"groups of files {' and '.join(map(repr, classes))} (file_magic){close}"
        )


def _groups_that_are_classes(config: DataConfig) -> list[str]:
    """The groups of files that the classes are; none where anything else says what a row is of."""
    if config.labels is None or config.labels.class_number:
        return []
    columns = [expression.source for expression in config.labels.classes.values()]
    if config.selection is not None and config.selection.names & set(columns):
        # rows of no class may be what it is there for
        return []
    found: list[str] = []
    for column in columns:
        patterns = [group_of(pattern) for pattern in config.file_magic.get(column, ())]
        named = [pattern for pattern in patterns if pattern is not None]
        if not named or len(named) < len(patterns):
            return []
        found += named
    return list(dict.fromkeys(found))


def _warn_of_common_folder(config: DataConfig, groups: Sequence[FileGroup]) -> None:
    """Warn where the folder that all of several files are in gives them all the same value."""
    paths = [path for group in groups for path in group.paths]
    folders = {os.path.dirname(path) for path in paths}
    if len(paths) < 2 or len({os.path.isabs(folder) for folder in folders}) > 1:
        return
    folder = os.path.commonpath(folders)
    for column, values in config.file_magic.items():
        pattern = _first_in_use(values, groups)
        # behind one that tells files apart, it is for the rest of them; .* is for any on purpose
        if pattern is None or not is_found(pattern, folder) or is_found(pattern, ""):
            continue
        log.warning(
            "%s: file_magic.%s: %r is found in the folder %s, so that it is %g for all files "
            "there; a pattern of file names has [^/]*$ at its end, and a group of files "
            "(-i NAME:FILES) is the pattern 'NAME:'",
            config.source,
            column,
            pattern,
            folder,
            values[pattern],
        )


def _first_in_use(patterns: Iterable[str], groups: Sequence[FileGroup]) -> str | None:
    """The first pattern that is for any of the files; None where it is that of a group, or none."""
    for pattern in patterns:
        for group in groups:
            if any(is_for_file(pattern, path, group.name) for path in group.paths):
                return pattern if group_of(pattern) is None else None
    return None
