"""FCC's, key4hep's and CMSSW's arithmetic: one row a call, as their C++ computes it.

Written from the behaviour of the readers, apart from the code that it is compared with.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from weaver_tt.deploy.golden import Numbers, ReaderResult, Values
from weaver_tt.deploy.session import open_session
from weaver_tt.deploy.sidecar import Channel, Floats, read_sidecar
from weaver_tt.errors import OutputError


class FrameworkReader:
    """Reads output 0 of ``model.onnx`` for one row at a time, prepared as ``preprocess.json`` says.

    ``masks_are_ones``: variables with ``_mask`` in their name are 1, whatever the columns say.
    ``largest``: beyond, the reader takes a number for infinite.
    """

    def __init__(
        self, folder: Path, *, masks_are_ones: bool = False, largest: float = math.inf
    ) -> None:
        self.folder = folder
        self.masks_are_ones = masks_are_ones
        self.largest = largest
        self.session = open_session(folder / "model.onnx", 1)
        self.content = json.loads((folder / "preprocess.json").read_text())
        self.sidecar = read_sidecar(folder / "preprocess.json")

    def __call__(self, columns: Values) -> ReaderResult:
        """The outputs of a row with these variables, () or (n,) each.

        Raises:
            OutputError: the reader would throw.
        """
        tensors = {
            item.name: self._tensor(item.name, columns) for item in self.session.get_inputs()
        }
        first = self.session.get_outputs()[0].name
        try:
            (values,) = self.session.run([first], tensors)
        # errors of ONNX Runtime have no common base
        except Exception as error:
            raise OutputError(f"{self.folder}: ONNX Runtime cannot run a row: {error}") from error
        names = self.sidecar.output_names
        if values.shape != (1, len(names)):
            raise OutputError(
                f"{self.folder}: output {first!r} has the shape {values.shape}; expected one value "
                f"for each of {', '.join(names)}"
            )
        outputs: Values = dict(zip(names, values[0], strict=True))
        return ReaderResult(outputs, dict(tensors))

    def _tensor(self, name: str, columns: Values) -> Floats:
        """(1, C, P), with P between the lengths of the group; the scalars of a row are a list."""
        group = self.sidecar.groups[name]
        given = [np.atleast_1d(columns[channel.name]) for channel in group.channels]
        count = len(given[0])
        described = self.content[name]
        # where it stands, var_length wins
        shortest = described.get("var_length", described.get("min_length"))
        longest = described.get("var_length", described.get("max_length"))
        length = min(max(count, shortest), longest)
        tensor = np.empty((1, len(given), length), np.float32)
        for c, (channel, values) in enumerate(zip(group.channels, given, strict=True)):
            if not channel.low <= channel.pad <= channel.high:
                raise OutputError(f"{self.folder}: {channel.name!r} pads outside of its bounds")
            kept = self._prepare(channel, values)[:length]
            tensor[0, c] = channel.pad
            tensor[0, c, : len(kept)] = kept
        return tensor

    def _prepare(self, channel: Channel, values: Numbers) -> Floats:
        if self.masks_are_ones and "_mask" in channel.name:
            values = np.ones(len(values))
        with np.errstate(over="ignore"):
            values = values.astype(np.float32)
        values = np.where(np.abs(values) > self.largest, np.float32(channel.replacement), values)
        return channel.prepare(values)
