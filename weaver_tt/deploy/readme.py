"""``README.md`` of an exported folder: what goes in, what comes out, where it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import weaver_tt
from weaver_tt.deploy.export import Export
from weaver_tt.deploy.golden import Golden
from weaver_tt.system.git import git_hash

if TYPE_CHECKING:
    from weaver_tt.config.schema import InputGroup, Variable
    from weaver_tt.deploy.targets.base import Target


def readme_text(target: Target, export: Export, golden: Golden, metadata: Mapping[str, Any]) -> str:
    """The page: inputs with order and meaning, outputs, metrics, provenance."""
    lines = [f"# {target.model_name}: an export for {target.title}", "", target.usage(), ""]
    lines += _inputs(export)
    lines += _outputs(target, export)
    lines += _proof(golden)
    lines += _provenance(export, metadata)
    return "\n".join(lines)


def _inputs(export: Export) -> Iterator[str]:
    config = export.config
    yield "## Inputs"
    yield ""
    for name in export.graph.inputs:
        group = config.batch_groups[name]
        yield f"**{name}**: {_objects(group)}, in this order:"
        yield ""
        yield "| variable | made of | center | scale | range | pad |"
        yield "|---|---|---|---|---|---|"
        for variable in group.variables:
            expression = config.new_variables.get(variable.name)
            made_of = "a column" if expression is None else f"`{_cell(expression.source)}`"
            yield f"| {variable.name} | {made_of} | {_scaling(variable, group)} |"
        yield ""
    yield from _before(export)


def _objects(group: InputGroup) -> str:
    if not group.length:
        return "one value a row"
    repeated = ", repeated until all places are filled" if group.pad_mode == "wrap" else ""
    return f"up to {group.length} objects of a row{repeated}"


def _before(export: Export) -> Iterator[str]:
    """What the columns of the tables are made of: objects that are left out, other variables."""
    config = export.config
    shown: set[str] = {
        name for group in export.graph.inputs for name in config.batch_groups[group].names
    }
    selections = list(config.objects.values())
    needed = set(shown)
    for selection in selections:
        needed |= selection.expression.names
    # each may be made of others
    waiting = list(needed)
    while waiting:
        expression = config.new_variables.get(waiting.pop())
        if expression is not None:
            waiting += expression.names - needed
            needed |= expression.names
    between = [name for name in config.new_variables if name in needed - shown]
    if config.rows is not None:
        yield (
            f"A row is one of `{config.rows.name}` of an event, with what `rows` of the data "
            "YAML links to it: `weaver-tt inspect model.onnx --data-config`."
        )
        yield ""
    if selections:
        yield "Before all else, only these objects stay, in all of their columns:"
        yield ""
        for selection in selections:
            yield f"- `{selection.group}`: those with `{_cell(selection.expression.source)}`"
        yield ""
    if between:
        yield "Names in these expressions that are no columns:"
        yield ""
        for name in between:
            yield f"- `{name}`: `{_cell(config.new_variables[name].source)}`"
        yield ""


def _scaling(variable: Variable, group: InputGroup) -> str:
    pad = f"{variable.pad:g}" if group.length else "-"
    if variable.center is None:
        return f"as it is | - | - | {pad}"
    center = float(variable.center)
    low, high = variable.low, variable.high
    return f"{center:.6g} | {variable.scale:.6g} | {low:g} to {high:g} | {pad}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _outputs(target: Target, export: Export) -> Iterator[str]:
    yield "## Outputs"
    yield ""
    labels = export.config.labels
    derived = export.config.derived_outputs
    for name in export.graph.values:
        meaning = "value"
        if name in derived:
            meaning = f"`{_cell(derived[name].source)}`"
        elif labels is not None and name in labels.classes:
            meaning = "probability of the class"
        elif export.graph.per_object:
            meaning = "of each object"
        yield f"- `{target.output_name(name)}`: {meaning}"
    yield ""


def _proof(golden: Golden) -> Iterator[str]:
    yield "## Proof"
    yield ""
    kinds: dict[str, int] = {}
    for row in [*golden.rows, *golden.empty]:
        kinds[row.kind] = kinds.get(row.kind, 0) + 1
    listed = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
    yield f"`golden.json` has rows with inputs and outputs ({listed}), from {golden.source}."
    for kind, reason in golden.missing.items():
        yield f"- no row of kind {kind}: {reason}"
    yield ""


def _provenance(export: Export, metadata: Mapping[str, Any]) -> Iterator[str]:
    yield "## Training"
    yield ""
    if export.config.selection is not None:
        yield f"- rows: those with `{_cell(export.config.selection.source)}`"
    training = metadata.get("training") or {}
    for number, best in enumerate(training.get("best") or []):
        member = f" of member {number}" if len(training["best"]) > 1 else ""
        shown = []
        for name, value in best.items():
            if isinstance(value, float | int):
                shown.append(f"{name} {value:.4g}")
        yield f"- metrics of the best epoch{member}: {', '.join(shown)}"
    for key in ("command", "started", "git", "seed"):
        if training.get(key) is not None:
            yield f"- {key}: `{training[key]}`"
    yield f"- exported by weaver_tt {weaver_tt.__version__}, git {git_hash() or 'unknown'}"
    yield ""
