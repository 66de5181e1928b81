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
    lines += _provenance(metadata)
    return "\n".join(lines)


def _inputs(export: Export) -> Iterator[str]:
    config = export.config
    yield "## Inputs"
    yield ""
    for name in export.graph.inputs:
        group = config.batch_groups[name]
        objects = f"up to {group.length} objects of a row" if group.length else "one value a row"
        yield f"**{name}**: {objects}, in this order:"
        yield ""
        yield "| variable | made of | center | scale | range | pad |"
        yield "|---|---|---|---|---|---|"
        for variable in group.variables:
            expression = config.new_variables.get(variable.name)
            made_of = "a column" if expression is None else f"`{_cell(expression.source)}`"
            yield f"| {variable.name} | {made_of} | {_scaling(variable, group)} |"
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


def _provenance(metadata: Mapping[str, Any]) -> Iterator[str]:
    yield "## Training"
    yield ""
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
