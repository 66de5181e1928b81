"""The text of a data YAML, with comments, from what is guessed of some files."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import yaml

from weaver_tt.run.init.collections import ColumnCollection, padded_length, with_ending
from weaver_tt.run.init.columns import Column
from weaver_tt.run.init.guess import Guess
from weaver_tt.run.init.roles import GuessedLabels
from weaver_tt.system.examples import SCHEMA
from weaver_tt.system.json_files import json_text
from weaver_tt.system.wording import counted

DECIDE = "DECIDE:"
"""What begins a line that the user must look at, in the file and where it is printed."""

WIDTH = 100  # of lines
LOGARITHM = ("pt", "energy", "e", "et")  # endings of what spans orders of magnitude
LONG_TAILS = ("d0", "d0val", "dz", "dzval", "dxy", "z0")  # of distances from the vertex
MANY_CLASSES = 20  # from here on, names of classes are not listed
POINTS = (["deta", "dphi"],)
VECTORS = (["px", "py", "pz", "energy"], ["px", "py", "pz", "e"])


@dataclass
class _Inputs:
    """Lines of ``inputs``, and the new variables that they are made of."""

    lines: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)


def data_yaml(found: Guess, files: Sequence[str]) -> str:
    """The whole text; lines that need a decision have ``DECIDE``."""
    inputs = _Inputs()
    _row_values(found, inputs)
    for collection in found.collections:
        _objects(collection, found, inputs)
    variables = inputs.variables
    if found.labels is not None:
        variables = {**found.labels.variables, **variables}
    lines = [
        *_head(found, files),
        *_rows(found),
        *_file_magic(found.labels),
        *_new_variables(variables),
        "# center and scale of each input come from the training data",
        "preprocess:",
        "  method: auto",
        "",
        *_input_section(inputs),
        *_labels(found.labels),
        *_weight(found),
        *_observers(found),
        *_left_out(found),
    ]
    return "\n".join(lines) + "\n"


def decisions(text: str) -> list[str]:
    """What a data YAML leaves to decide, in a sentence each, with the number of its line."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if DECIDE in line:
            sentence, _, _ = line.strip(" #").partition(". ")
            found.append(f"line {number}: {sentence}")
    return found


def _head(found: Guess, files: Sequence[str]) -> Iterator[str]:
    yield f"# yaml-language-server: $schema={SCHEMA}"
    what = counted(found.sample.rows, "row")
    yield from _comment(
        f"Made by `weaver-tt init` from {what} of {' '.join(files)}. What is in this file is a "
        "guess from the names and the values of the columns: read it, and change it. "
        "docs/data-yaml.md explains each key."
    )
    if found.sample.treename is not None:
        yield f"treename: {quoted(found.sample.treename)}"
    yield ""


def _rows(found: Guess) -> Iterator[str]:
    objects = found.objects
    if objects is None:
        yield from _comment("selection: an expression that is true for the rows to be used")
        yield ""
        return
    yield from _comment(
        f"A row is one of {objects.name}; with `weaver-tt init --objects none` it is one of the "
        "file."
    )
    yield "rows:"
    yield f"  objects: {objects.name}"
    if objects.linked:
        yield "  linked:"
    for each in objects.linked:
        keys = {"owner": each.owner, "index": each.index}
        shown = ", ".join(f"{key}: {name}" for key, name in keys.items() if name is not None)
        yield f"    {each.name}: {{{shown}}}"
    yield ""
    kinematics = with_ending(found.row_values, ["pt", "eta"])
    if kinematics is not None:
        pt, eta = kinematics
        yield f"# selection: ({pt} > 30) & (abs({eta}) < 2.5)"
        yield ""


def _file_magic(labels: GuessedLabels | None) -> Iterator[str]:
    if labels is None or labels.file_values is None:
        return
    yield "# 1 for the files of the group with that name, as in -i NAME:FILES, else 0"
    yield "file_magic:"
    for name, pattern in labels.file_values.items():
        yield f"  {name}: {{{quoted(pattern)}: 1}}"
    yield ""


def _new_variables(variables: Mapping[str, str]) -> Iterator[str]:
    if not variables:
        return
    yield "new_variables:"
    for name, expression in variables.items():
        yield f"  {name}: {expression}"
    yield ""


def _input_section(inputs: _Inputs) -> Iterator[str]:
    yield from _comment(
        "NAME or [NAME, center, scale, min, max, pad]; null takes the values as they are. Beside "
        "each is what it is like in the rows looked at."
    )
    yield "inputs:"
    if inputs.lines:
        yield from inputs.lines
    else:
        yield f"  # {DECIDE} no column can be an input; below is why each is left out"
    yield ""


def _row_values(found: Guess, inputs: _Inputs) -> None:
    """The group of the values of a row."""
    if not found.row_values:
        return
    inputs.lines += ["  row:", "    length: null", "    vars:"]
    for column in found.row_values:
        inputs.lines.append(_variable(column, found, inputs))


def _objects(collection: ColumnCollection, found: Guess, inputs: _Inputs) -> None:
    """The groups of a collection: what the network learns from, and which slots are real.

    ``NAME_points`` and ``NAME_vectors`` are there for the networks that take them.
    """
    columns = collection.columns
    points = _first_complete(columns, POINTS)
    vectors = _first_complete(columns, VECTORS)
    # the name that networks for jets know
    is_only = len(found.collections) == 1 and (points or vectors)
    name = "pf" if is_only else collection.name
    length, beyond = padded_length(collection.counts)
    counts = collection.counts
    remark = f"of {counts.min()} to {counts.max()} in a row, {counts.mean():.1f} on average"
    if beyond:
        remark += f"; {beyond:.1%} beyond"
    mask = _free_name(f"{name}_mask", found)
    inputs.variables[mask] = f"ak.ones_like({columns[0].name})"
    inputs.lines += [
        f"  {name}_features:",
        _with_remark(f"    length: {length}", remark),
        "    vars:",
    ]
    momenta = vectors[:3] if vectors else []
    if momenta and with_ending(columns, ["pt"]) is None:
        pt = _free_name(f"{name}_pt_log", found)
        inputs.variables[pt] = f"np.log(np.hypot({momenta[0]}, {momenta[1]}))"
        inputs.lines.append(f"      - {pt}")
    for column in columns:
        # a variable in two groups is scaled in the same way in both
        if column.name in (points or []):
            inputs.lines.append(_with_remark(f"      - [{column.name}, null]", _range(column)))
        elif column.name not in momenta:
            inputs.lines.append(_variable(column, found, inputs))
    others = {f"{name}_points": points, f"{name}_vectors": vectors, f"{name}_mask": [mask]}
    for group, names in others.items():
        if names:
            inputs.lines += [f"  {group}:", f"    length: {length}", "    vars:"]
            inputs.lines += [f"      - [{each}, null]" for each in names]


def _first_complete(
    columns: Sequence[Column], choices: Iterable[Sequence[str]]
) -> list[str] | None:
    for endings in choices:
        names = with_ending(columns, endings)
        if names is not None:
            return names
    return None


def _variable(column: Column, found: Guess, inputs: _Inputs) -> str:
    """The line of a variable: 0/1 as it is, a function of what has no scale of its own."""
    if column.is_flag:
        return _with_remark(f"      - [{column.name}, null]", "0 or 1")
    name = column.name
    ending = name.rpartition("_")[2].lower()
    if ending in LOGARITHM and column.low is not None and column.low > 0:
        name = _free_name(f"{column.name}_log", found)
        inputs.variables[name] = f"np.log({column.name})"
    elif ending in LONG_TAILS:
        name = _free_name(f"{column.name}_tanh", found)
        inputs.variables[name] = f"np.tanh({column.name})"
        return _with_remark(f"      - [{name}, null]", f"of {_range(column)}")
    remark = _range(column)
    if name != column.name:
        remark = f"of {remark}"
    if column.nonfinite:
        remark += f"; {column.nonfinite:.1%} NaN or infinite, taken as 0"
    if column.sentinel is not None:
        remark += f"; {column.sentinel:g} seems to stand for a missing one"
    return _with_remark(f"      - {name}", remark)


def _range(column: Column) -> str:
    return f"{column.low:.4g} to {column.high:.4g}, median {column.median:.4g}"


def _free_name(name: str, found: Guess) -> str:
    """A name of a new variable, which no column has."""
    while name in found.sample.columns or name in found.sample.unread:
        name += "_"
    return name


def _labels(labels: GuessedLabels | None) -> Iterator[str]:
    if labels is None:
        yield from _comment(
            f"{DECIDE} no column says what is to be learnt. Write the labels: 0/1 columns or new "
            "variables, one for each class, or with `type: custom` NAME: EXPRESSION for targets. "
            "Nothing is trained before that."
        )
        yield "# labels:"
        yield "#   type: simple"
        yield "#   value: [label_a, label_b]"
        yield ""
        return
    yield from _comment(labels.remark)
    yield "labels:"
    if labels.number is not None:
        yield "  type: custom"
        yield f"  value: [{labels.number}]"
        yield f"  classes: {_class_names(labels)}"
    else:
        yield "  type: simple"
        yield "  value:"
        yield from (f"    - {name}" for name in labels.classes)
    yield ""


def _class_names(labels: GuessedLabels) -> str:
    """Their list, to be renamed; of many classes their number."""
    if len(labels.classes) > MANY_CLASSES:
        return str(len(labels.classes))
    return f"[{', '.join(labels.classes)}]"


def _weight(found: Guess) -> Iterator[str]:
    weight = found.weight
    if weight is None or weight.low is None:
        return
    if weight.is_constant:
        yield f"# {weight.name} is {weight.low:g} in all rows looked at:"
        yield f"# event_weight: {weight.name}"
    elif weight.low < 0:
        yield from _comment(
            f"{weight.name} has either sign. It counts in loss and metrics; without this line all "
            "rows count alike."
        )
        yield f"event_weight: {weight.name}"
    else:
        yield from _comment(f"{weight.low:.4g} to {weight.high:.4g}, in loss and metrics")
        yield f"event_weight: {weight.name}"
    yield ""


def _observers(found: Guess) -> Iterator[str]:
    # what data do not have
    optional = [] if found.labels is None else list(found.labels.columns)
    observers = list(found.observers)
    if found.weight is not None and not found.weight.is_constant:
        # for the --weight-column of a report
        optional.append(found.weight.name)
        observers.append(found.weight.name)
    if not observers:
        return
    yield "# copied to the prediction file; those with `?` where a file has them"
    yield "observers:"
    for name in observers:
        yield f"  - {name}?" if name in optional else f"  - {name}"
    yield ""


def _left_out(found: Guess) -> Iterator[str]:
    """Columns that are no inputs, by the reason."""
    if not found.left_out:
        return
    yield "# Left out of the inputs:"
    for reason, names in found.left_out.items():
        shown = names if len(names) <= MANY_CLASSES else [*names[:MANY_CLASSES], "..."]
        text = f"- {counted(len(names), 'column')}, {reason}: {', '.join(shown)}"
        yield from _comment(text, indent="  ")


def _comment(text: str, indent: str = "") -> Iterator[str]:
    """Lines of a comment; those behind the first begin with ``indent``."""
    yield from textwrap.wrap(
        text,
        WIDTH,
        initial_indent="# ",
        subsequent_indent=f"# {indent}",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _with_remark(line: str, remark: str) -> str:
    return f"{line:<46}  # {remark}"


def quoted(text: str) -> str:
    """Text that YAML takes as it is: ``no`` alone would be a truth value."""
    is_plain = text.isidentifier() and yaml.safe_load(text) == text
    return text if is_plain else json_text(text, indent=None)
