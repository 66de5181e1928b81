"""Write the folder of an export target: complete, with the proof inside, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from weaver_tt.deploy.changed_rows import EMPTY
from weaver_tt.deploy.export import Export
from weaver_tt.deploy.golden import (
    Golden,
    GoldenMaker,
    GoldenRow,
    check_rows,
    column_types,
    columns_from_tensors,
    golden_text,
    numbers_for_json,
    row_for_json,
)
from weaver_tt.deploy.proof import GOLDEN
from weaver_tt.deploy.readme import readme_text
from weaver_tt.deploy.sample import SampleRows
from weaver_tt.deploy.targets.base import (
    Target,
    mask_refusals,
    wrap_refusals,
    wrapped_groups,
)
from weaver_tt.errors import ConfigError, OutputError
from weaver_tt.system.terminal import report_results
from weaver_tt.system.wording import counted

README = "README.md"

FROM_FILES = "columns of the files"
FROM_TENSORS = (
    "variables computed back from prepared tensors: the training kept no columns of its files"
)


def export_folder(
    target: Target,
    export: Export,
    sample: SampleRows,
    folder: Path,
    *,
    opset: int,
    metadata: Mapping[str, Any],
    commands: Sequence[Sequence[str]] = (),
) -> float:
    """Write ``export`` as ``target`` reads it to ``folder``; returns the largest difference.

    ``sample`` are rows of the data, ``metadata`` is what else the graph keeps, ``commands`` may
    come next. An earlier export in the folder is replaced.

    Raises:
        ConfigError: the folder holds something else, or the reader would refuse the network.
        OutputError: the graph cannot be written, or the reader's numbers differ from torch.
    """
    check_flags(target, folder, opset)
    found = target.refusals(export) + target.sample_refusals(export, sample)
    _refuse(target, export.config.source, found)
    golden = make_golden(export, sample)
    found = [] if target.wraps else list(wrap_refusals(target, export, golden))
    if target.replaces_masks:
        found += mask_refusals(target, export, golden)
    _refuse(target, export.config.source, found)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # on the same disk, so that the finished folder only has to be renamed
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as space:
            part = Path(space) / "export"
            part.mkdir()
            difference = target.write(part, folder, export, opset, metadata)
            text, of_rows = check_golden(target, export, golden, part, folder)
            (part / GOLDEN).write_text(text)
            (part / README).write_text(readme_text(target, export, golden, metadata))
            earlier = Path(space) / "earlier"
            if folder.exists():
                os.replace(folder, earlier)
            try:
                os.replace(part, folder)
            except OSError:
                if earlier.exists():
                    os.replace(earlier, folder)
                raise
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error
    largest = max(difference, of_rows)
    results = [
        ("folder", f"{folder}, for {target.title}, described in {folder / README}"),
        (
            "proof",
            f"{folder / GOLDEN}, {_count(golden)}, largest difference to torch {largest:.2g}",
        ),
    ]
    report_results("exported", results, commands)
    return largest


def _count(golden: Golden) -> str:
    return counted(len(golden.rows) + len(golden.empty), "row")


def check_flags(target: Target, folder: Path, opset: int) -> None:
    """Check what needs no network: the folder is not there, empty, or an earlier export.

    Raises:
        ConfigError: the folder holds something else, which would be lost, or the reader refuses
            the name or the operator set.
    """
    _refuse(target, "weaver-tt export", target.flag_refusals(opset))
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ConfigError(f"-o {folder}: is a file; expected a folder for the export")
    present = {path.name for path in folder.iterdir()}
    if present and not {GOLDEN, README} <= present:
        shown = ", ".join(sorted(present)[:5])
        raise ConfigError(
            f"-o {folder}: holds {shown}, and is no earlier export; an export replaces the whole "
            "folder: name one that is empty or not there"
        )


def _refuse(target: Target, where: str, reasons: Sequence[str]) -> None:
    """Raise ConfigError for what the reader of a target would refuse, all of it."""
    if reasons:
        listed = "".join(f"\n  {reason}" for reason in reasons)
        raise ConfigError(
            f"{where}: --target {target.name}: {target.title} cannot read it:{listed}"
        )


def make_golden(export: Export, sample: SampleRows) -> Golden:
    """The golden rows of an export, from raw columns or, without these, from the tensors.

    Raises:
        DataError: the columns are not those of the configuration.
    """
    raw = sample.raw
    config = export.config
    source = FROM_FILES
    if not raw:
        raw, config = columns_from_tensors(sample.tensors, config)
        source = FROM_TENSORS
    names = export.graph.values
    if export.graph.per_object:
        # without the spreads, which are outputs of their own
        names = list(export.task.value_names)
    return GoldenMaker(export.reference, config, names)(raw, source)


def check_golden(
    target: Target, export: Export, golden: Golden, part: Path, folder: Path
) -> tuple[str, float]:
    """Let the target compute the golden rows in ``part``.

    Returns the text of ``golden.json``, and the largest difference to torch.

    Raises:
        OutputError: it does not give torch's numbers; names row, output and column.
    """
    read = target.open_reader(part, export)
    variables = {name: group.names for name, group in export.config.batch_groups.items()}
    rows = list(golden.rows)
    if target.empty_outputs is None:
        rows += golden.empty
    rows = [as_target_reads(target, row) for row in rows]
    try:
        tensors, largest = check_rows(rows, read, variables, str(folder))
    except OutputError as error:
        wrapped = [group.name for group in wrapped_groups(export)]
        if not wrapped or target.wraps:
            raise
        raise OutputError(
            f"{error}; {', '.join(wrapped)}: trained with pad_mode wrap, {target.title} pads with "
            "constants"
        ) from error
    head: dict[str, Any] = {
        "format": 1,
        "target": target.name,
        "source": golden.source,
        "column_types": column_types(rows[0].columns),
        "missing": dict(golden.missing),
        "empty_row": _describe_empty(target, golden),
    }
    content = [row_for_json(row, made) for row, made in zip(rows, tensors, strict=True)]
    return golden_text(head, content), largest


def as_target_reads(target: Target, row: GoldenRow) -> GoldenRow:
    """The row with the columns that the target is given, and with its names of the outputs."""
    return replace(
        row,
        columns=target.columns_of(row),
        outputs={target.output_name(name): values for name, values in row.outputs.items()},
        scales={target.output_name(name): values for name, values in row.scales.items()},
    )


def _describe_empty(target: Target, golden: Golden) -> dict[str, Any]:
    """What the target gives for a row without objects."""
    if target.empty_outputs is not None:
        names = [target.output_name(name) for name in golden.rows[0].outputs]
        content: dict[str, Any] = {"outputs": dict.fromkeys(names, target.empty_outputs)}
        for row in golden.empty[:1]:
            content["columns"] = {name: numbers_for_json(one) for name, one in row.columns.items()}
        return {**content, "why": f"{target.title} does not call the network for it"}
    if golden.empty:
        return {"why": f"the network is called with padding alone: see the row of kind {EMPTY}"}
    return {"why": golden.missing.get(EMPTY, "")}
