"""What an export target is: a framework's reader, and a folder that it loads as it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from weaver_tt.config.schema import InputGroup
from weaver_tt.deploy.export import Export, GraphForm, write_sidecars
from weaver_tt.deploy.golden import Golden, GoldenRow, RowReader, Values
from weaver_tt.deploy.preprocess import clip_range
from weaver_tt.deploy.sample import SampleRows
from weaver_tt.deploy.signature import MASK

MODEL = "model.onnx"

# the newest operator set that the readers' versions of ONNX Runtime were tried with
NEWEST_OPSET = 17


class Target(ABC):
    """A reader: the form of its graph, what it refuses, and how it computes."""

    name: ClassVar[str]
    title: ClassVar[str]  # of the reader, for messages and the page
    form: ClassVar[GraphForm]
    replaces_masks: ClassVar[bool] = False  # variables with _mask in their name become 1
    wraps: ClassVar[bool] = False  # groups with pad_mode wrap are padded so
    # what the reader gives for a row without objects, where it does not call the network
    empty_outputs: ClassVar[float | None] = None

    def __init__(self, model_name: str) -> None:
        """``model_name``: what the reader calls the network."""
        self.model_name = model_name

    def flag_refusals(self, opset: int) -> list[str]:
        """What the reader refuses of the flags alone, each with the reason."""
        found = []
        if opset > NEWEST_OPSET:
            found.append(
                f"operator set {opset}: {self.title} reads {NEWEST_OPSET} and older (--onnx-opset)"
            )
        return found

    def refusals(self, export: Export) -> list[str]:
        """What the reader refuses or would silently change, each with its name and the reason."""
        return []

    def sample_refusals(self, export: Export, sample: SampleRows) -> list[str]:
        """What it refuses once there are rows of the data; it may keep what it needs of them."""
        return []

    def write(
        self, part: Path, folder: Path, export: Export, opset: int, metadata: Mapping[str, Any]
    ) -> float:
        """Write graph and sidecars to ``part``, which is to become ``folder``.

        Returns the largest difference to torch.

        Raises:
            OutputError: the graph cannot be written, or differs from torch.
        """
        model = part / MODEL
        sidecar = self.describe(export)
        # the file says of itself what lies beside it
        described = {**metadata, "target": self.name, "preprocess": sidecar}
        difference = export.write(model, folder / MODEL, opset, described)
        write_sidecars(model, sidecar, export.config)
        return difference

    def describe(self, export: Export) -> dict[str, Any]:
        """The content of ``preprocess.json``."""
        return export.sidecar

    @abstractmethod
    def open_reader(self, folder: Path, export: Export) -> RowReader:
        """What computes a row from its columns as the reader does."""

    def columns_of(self, row: GoldenRow) -> Values:
        """What the reader is given of a row: its variables, computed from the columns of a file."""
        return row.columns

    def output_name(self, value: str) -> str:
        """What the reader calls an output."""
        return value

    def is_read_by_tagger(self) -> bool:
        """Whether ``Tagger``, and so ``weaver-tt-apply``, reads the folder as well."""
        return True

    @abstractmethod
    def usage(self) -> str:
        """How the folder is used, for its README."""


def object_refusals(target: Target, export: Export) -> Iterator[str]:
    """Outputs of objects, for a reader that takes one output (N, K) and no other."""
    graph = export.graph
    if graph.per_object:
        yield (
            f"outputs {', '.join(graph.outputs)}: one for each object; {target.title} reads one "
            "output (N, K), with the values of the row"
        )


def pad_refusals(target: Target, export: Export) -> Iterator[str]:
    """Variables that pad with something that the reader throws at."""
    for group, variable in variables_of(export):
        low, high = clip_range(variable)
        if not low <= variable.pad <= high:
            yield (
                f"variable {variable.name!r} of {group.name!r}: pads with {variable.pad:g}, "
                f"outside of its range [{low:g}, {high:g}]; {target.title} throws at that"
            )


def wrapped_groups(export: Export) -> list[InputGroup]:
    """The groups of the graph that training padded by repeating objects."""
    groups = groups_of(export)
    return [group for group in groups if group.pad_mode == "wrap" and group.length is not None]


def wrap_refusals(target: Target, export: Export, golden: Golden) -> Iterator[str]:
    """Groups that are padded by wrapping, where no golden row can show that this is the same."""
    for group in wrapped_groups(export):
        if not any(_is_padded(row, group) for row in golden.rows):
            yield (
                f"input {group.name!r}: pad_mode wrap; {target.title} pads with constants, and no "
                "row of the sample has few enough objects to show that it makes no difference"
            )


def _is_padded(row: GoldenRow, group: InputGroup) -> bool:
    count = len(row.columns[group.names[0]])
    return group.length is not None and 0 < count < group.length


def mask_refusals(target: Target, export: Export, golden: Golden) -> Iterator[str]:
    """Variables with ``_mask`` in their name that are not 1 for each object."""
    for group, variable in variables_of(export):
        if MASK not in variable.name:
            continue
        for row in golden.rows:
            values = np.asarray(row.columns[variable.name])
            if not (values == 1).all():
                other = values.ravel()[np.argmax(values.ravel() != 1)]
                yield (
                    f"variable {variable.name!r} of {group.name!r}: is {other:g} for some object; "
                    f"{target.title} replaces what has {MASK} in its name by ones"
                )
                break


def groups_of(export: Export) -> list[InputGroup]:
    """Those that the graph takes, ``derived_inputs`` included: readers prepare no others."""
    return [export.config.batch_groups[name] for name in export.graph.inputs]


def variables_of(export: Export) -> Iterator[tuple[InputGroup, Any]]:
    """Each variable of each group that the graph takes."""
    for group in groups_of(export):
        for variable in group.variables:
            yield group, variable
