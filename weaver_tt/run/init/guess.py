"""What a data YAML for some files may say, from their columns alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from weaver_tt.errors import ConfigError, nearest
from weaver_tt.formats.file_groups import UNNAMED_GROUP, FileGroup
from weaver_tt.formats.row_objects import PLACE_COLUMNS, RowObjects
from weaver_tt.run.init.collections import (
    ColumnCollection,
    choose_objects,
    find_collections,
    link,
    with_ending,
)
from weaver_tt.run.init.columns import Column, Sample, read_sample
from weaver_tt.run.init.roles import (
    IDENTIFIERS,
    WEIGHT,
    GuessedLabels,
    find_labels,
    find_weight,
    generated_collections,
    is_count,
    reason_to_leave_out,
)

NO_OBJECTS = "none"  # of --objects: the rows of the files are rows
# endings of the columns that one looks at first; the others stay as the file has them
FIRST = ("pt", "eta", "phi", "mass")


@dataclass
class Guess:
    """The parts of a data YAML. ``left_out``: why -> columns that are no inputs."""

    sample: Sample
    objects: RowObjects | None
    row_values: list[Column] = field(default_factory=list)
    collections: list[ColumnCollection] = field(default_factory=list)
    labels: GuessedLabels | None = None
    weight: Column | None = None
    observers: list[str] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)


def guess(patterns: Sequence[str], treename: str | None, objects: str | None, rows: int) -> Guess:
    """Look at the first rows of the files, and guess.

    Raises:
        ConfigError: there is no such collection as ``objects``.
        DataError: a file cannot be read, or there is no row.
    """
    sample = read_sample(patterns, treename, rows)
    labels = _find_row_labels(sample)
    row_objects = _choose_rows(sample, objects, labels)
    if row_objects is not None:
        of_event = _columns_of_event(sample)
        sample = read_sample(patterns, sample.treename, rows, row_objects, of_event)
        labels = _find_row_labels(sample)
    found = Guess(sample, row_objects, labels=labels)
    _share_out(found)
    return found


def _columns_of_event(sample: Sample) -> set[str]:
    """Weights and names of an event, which hold for each of its objects."""
    of_event = [column for column in sample.columns.values() if column.counts is None]
    weights = {column.name for column in of_event if WEIGHT.match(column.name)}
    return weights | {each.name for each in of_event if IDENTIFIERS.fullmatch(each.name)}


def _find_row_labels(sample: Sample) -> GuessedLabels | None:
    """Labels of rows: of a column, else of the names of file groups."""
    of_rows = [column for column in sample.columns.values() if column.counts is None]
    # nJet_hadronFlavour is no flavour
    of_rows = [column for column in of_rows if not is_count(column, sample.counts)]
    return find_labels(of_rows) or _labels_of_files(sample.groups)


def _labels_of_files(groups: Sequence[FileGroup]) -> GuessedLabels | None:
    """Classes that are groups of files, where several names are given and no file is without."""
    names = [group.name for group in groups]
    if len(names) < 2 or UNNAMED_GROUP in names:
        return None
    patterns: dict[str, str] = {}
    for name in names:
        label = f"label_{re.sub(r'[^A-Za-z0-9]', '_', name)}"
        while label in patterns:
            # a-b and a_b
            label += "_"
        patterns[label] = f"{name}:"
    remark = "the classes are the groups of files, as -i NAME:FILES names them"
    return GuessedLabels((), tuple(patterns), remark, {}, file_values=patterns)


def _choose_rows(
    sample: Sample, objects: str | None, labels: GuessedLabels | None
) -> RowObjects | None:
    """The objects that are rows: those asked for, or where no row has a label those with a flavour.

    Raises:
        ConfigError: there is no such collection.
    """
    collections = find_collections(sample.columns.values())
    if objects is None:
        chosen = None if labels is not None else choose_objects(collections)
    elif objects == NO_OBJECTS:
        chosen = None
    else:
        by_name = {collection.name: collection for collection in collections}
        if objects not in by_name:
            raise ConfigError(
                f"--objects {objects}: no such collection; {nearest(objects, by_name)}"
            )
        chosen = by_name[objects]
    return None if chosen is None else link(chosen, collections)


def _share_out(found: Guess) -> None:
    """Each column becomes an input, an observer, the weight, or is left out for a reason."""
    columns = list(found.sample.columns.values())
    found.weight, weights = find_weight(columns)
    labels = () if found.labels is None else found.labels.columns
    generated = generated_collections(found.sample.columns.keys())
    inputs = []
    for column in columns:
        if column.name in PLACE_COLUMNS:
            continue
        reason = reason_to_leave_out(column, found.sample.counts, generated)
        if column.name in labels:
            found.observers.append(column.name)
        elif column.name in weights:
            found.left_out.setdefault("weights", []).append(column.name)
        elif IDENTIFIERS.fullmatch(column.name) and column.counts is None:
            found.observers.append(column.name)
        elif reason is not None:
            found.left_out.setdefault(reason, []).append(column.name)
        else:
            inputs.append(column)
    inputs.sort(key=_place_in_collection)
    if found.sample.unread:
        found.left_out["no numbers, or lists of lists"] = list(found.sample.unread)
    found.row_values = [column for column in inputs if column.counts is None]
    found.collections = find_collections(inputs)
    kinematics = with_ending(found.row_values, ["pt", "eta", "phi"])
    found.observers = [*(kinematics or []), *found.observers]


def _place_in_collection(column: Column) -> int:
    """0 for a pT, 1 for an eta, ..., and the same for all that is no momentum."""
    ending = column.name.rpartition("_")[2].lower()
    return FIRST.index(ending) if ending in FIRST else len(FIRST)
