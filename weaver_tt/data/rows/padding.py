"""Jagged rows -> padded tensors, in buffers that the next batch reuses, on the device where the batch is consumed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from weaver_tt.config.schema import DataConfig, InputGroup
from weaver_tt.data.rows.batch import Batch
from weaver_tt.data.rows.rows import Integers, JaggedObjects, Rows, index_runs


class PaddedBuffer:
    """A reused buffer of N x P slots with C features each; a slot without an object holds the pad vector (C,).

    Only the slots of the objects are written, and only those that held an object before and no longer do are padded again, so a batch costs what
    it holds rather than N x P x C. A batch of another length P than the one before is padded anew, as is one after a tensor that was handed out
    has been written into.
    """

    def __init__(self, pad: Tensor) -> None:
        self._pad = pad
        self._length = 0  # P of the latest batch
        self._slots = pad.new_empty((0, len(pad)))  # (N * P, C)
        self._filled = np.zeros(0, dtype=np.int64)  # objects in each of the N rows
        self._version = -1

    def _prepare(self, rows: int, length: int) -> None:
        """Room for ``rows`` rows of ``length`` slots, nothing in them but what ``_filled`` says."""
        if rows * length > len(self._slots):
            with torch.inference_mode(False):  # the buffer outlives the mode it is first used in
                self._slots = self._pad.new_empty((rows * length, len(self._pad)))
        elif length == self._length and self._slots._version == self._version:
            return
        self._slots.copy_(self._pad.expand_as(self._slots))
        self._length = length
        self._filled = np.zeros(len(self._slots) // length, dtype=np.int64)

    def fill(self, content: Tensor, places: Integers, counts: Integers, length: int) -> Tensor:
        """Objects ``content`` (M, C) into slots ``places`` (M,), ``counts`` (N,) <= P = ``length`` of them in each row -> (N, P, C)."""
        rows = len(counts)
        self._prepare(rows, length)
        stale = np.maximum(self._filled[:rows] - counts, 0)
        if stale.any():
            left = index_runs(np.arange(rows) * self._length + counts, stale)
            scatter_slots(self._slots, left, self._pad.view(1, -1))
        scatter_slots(self._slots, places, content)
        self._filled[:rows] = counts
        return self._done(rows)

    def fill_wrapped(self, content: Tensor, index: Integers) -> Tensor:
        """Every slot of N rows from the object ``index`` (N, P) of ``content`` (M, C), the pad vector where the index is M -> (N, P, C)."""
        rows = len(index)
        self._prepare(rows, index.shape[1])
        if (index == len(content)).any():
            content = torch.cat([content, self._pad.view(1, -1)])
        gather_slots(content, index.ravel(), self._slots[: rows * self._length])
        self._filled[:rows] = self._length
        return self._done(rows)

    def _done(self, rows: int) -> Tensor:
        self._version = self._slots._version
        return self._slots[: rows * self._length].view(rows, self._length, -1)


def gather_slots(values: Tensor, places: Integers, slots: Tensor) -> None:
    """``slots[:] = values[places]``: values (M, C), places (S,), slots (S, C)."""
    if slots.device.type != "cpu":
        torch.index_select(
            values, 0, torch.from_numpy(places).to(slots.device, non_blocking=True), out=slots
        )
        return
    values.numpy().take(
        places, axis=0, out=slots.numpy(), mode="clip"
    )  # places are right: with "clip" numpy writes to `out` directly


def scatter_slots(slots: Tensor, places: Integers, values: Tensor) -> None:
    """``slots[places] = values``: slots (S, C), places (M,) all different, values (M, C) or (1, C) for all of them."""
    if slots.device.type != "cpu":
        slots.index_copy_(
            0,
            torch.from_numpy(places).to(slots.device, non_blocking=True),
            values.expand(len(places), -1),
        )
        return
    # numpy moves a slot as one item, about three times as fast as index_copy_ and without waking torch's threads
    item = np.dtype((np.void, slots.element_size() * slots.shape[1]))
    np.put(slots.numpy().view(item), places, np.ascontiguousarray(values.numpy()).view(item))


class Padder:
    """Turns rows into batches for one consumer on ``device``; every batch overwrites the tensors of the one before.

    Constant padding puts a row's objects first and the pad values behind them; wrap padding repeats the row's objects, and gives pad values
    where there is none. With ``shorten``, a group has as many slots as the batch needs (see :func:`shortened_length`), P <= its length.
    """

    def __init__(
        self, config: DataConfig, device: torch.device | str = "cpu", shorten: bool = False
    ) -> None:
        self._shorten = shorten
        self._groups = config.inputs
        # labelled group -> names of its labels
        self._object_labels: dict[str, list[str]] = {}
        if config.labels is not None:
            for group, labels in config.labels.object_targets.items():
                self._object_labels[group] = list(labels)
        self._device = torch.device(device)
        self._canvases: dict[str, PaddedBuffer] = {}
        self._repeats: dict[int, Integers] = {}

    def __call__(self, rows: Rows) -> Batch:
        """N rows -> Batch of N rows; ``progress`` is left to the caller."""
        batch = Batch({}, {}, {}, {}, size=rows.size, observers=rows.observers)
        layouts: dict[
            tuple[int, int], tuple[Integers, Tensor, Tensor]
        ] = {}  # of groups with the same counts
        contents: dict[int, Tensor] = {}  # padded
        for name, group in self._groups.items():
            if group.length is None:
                batch.inputs[name] = self._move(rows.scalars[name])
                continue
            jagged = rows.objects[name]
            length = (
                shortened_length(jagged.counts, group.length) if self._shorten else group.length
            )
            key = id(jagged.counts), length
            if key not in layouts:
                layouts[key] = self._layout(jagged, length)
            places, batch.masks[name], batch.counts[name] = layouts[key]
            if id(jagged.content) not in contents:
                contents[id(jagged.content)] = self._objects(group, rows, places, length)
            batch.inputs[name] = contents[id(jagged.content)][:, :, jagged.columns].transpose(1, 2)
            self._add_beside(batch, name, length, rows, places)
        batch.labels |= {name: self._move(values) for name, values in rows.labels.items()}
        batch.monitors |= {name: self._move(values) for name, values in rows.monitors.items()}
        batch.weight = None if rows.weight is None else self._move(rows.weight)
        return batch

    def _move(self, values: np.ndarray[Any, Any]) -> Tensor:
        return torch.from_numpy(values).to(self._device, non_blocking=True)

    def _layout(self, jagged: JaggedObjects, length: int) -> tuple[Integers, Tensor, Tensor]:
        """Slot of each object (M,), mask (N, P), full counts (N,)."""
        places = index_runs(np.arange(len(jagged.counts)) * length, jagged.counts)
        mask = torch.from_numpy(np.arange(length) < jagged.counts[:, None]).to(self._device)
        return places, mask, self._move(jagged.full_counts)

    def _canvas(self, key: str, pad: list[float]) -> PaddedBuffer:
        if key not in self._canvases:
            with torch.inference_mode(False):
                self._canvases[key] = PaddedBuffer(
                    torch.tensor(pad, dtype=torch.float32, device=self._device)
                )
        return self._canvases[key]

    def _objects(self, group: InputGroup, rows: Rows, places: Integers, length: int) -> Tensor:
        """The content of ``group`` and of the groups that share it, padded: (N, P, W)."""
        jagged = rows.objects[group.name]
        content, counts = jagged.content, jagged.counts
        sharing = [
            other
            for name, other in self._groups.items()
            if name in rows.objects and rows.objects[name].content is jagged.content
        ]
        pad = [variable.pad for other in sharing for variable in other.variables]
        canvas = self._canvas(",".join(other.name for other in sharing), pad)
        if group.pad_mode == "constant":
            return canvas.fill(self._move(content), places, counts, length)
        return canvas.fill_wrapped(self._move(content), self._wrapped(counts, length))

    def _wrapped(self, counts: Integers, length: int) -> Integers:
        """The object in each slot (N, P) when a row's objects are repeated; the number of all objects where a row has none."""
        if length not in self._repeats:  # row n: 0 … n - 1, again and again
            self._repeats[length] = (
                np.arange(length) % np.maximum(np.arange(length + 1), 1)[:, None]
            )
        index = (np.cumsum(counts) - counts)[:, None] + self._repeats[length][counts]
        index[counts == 0] = counts.sum()
        return index

    def _add_beside(
        self, batch: Batch, name: str, length: int, rows: Rows, places: Integers
    ) -> None:
        """Labels and monitored columns of a group's objects: (N, P) each, 0 where there is no object."""
        counts = rows.objects[name].counts
        if name in rows.object_labels:
            values = rows.object_labels[name]
            padded = self._canvas(f"labels of {name}", [0.0] * values.shape[1]).fill(
                self._move(values), places, counts, length
            )
            batch.labels.update(
                {label: padded[:, :, i] for i, label in enumerate(self._object_labels[name])}
            )
        for (owner, monitor), values in rows.object_monitors.items():
            if owner == name:
                batch.monitors[monitor] = self._canvas(f"monitor {monitor}", [0.0]).fill(
                    self._move(values), places, counts, length
                )[:, :, 0]


MIN_SLOTS = 32  # slots of a shortened input: networks that look for 16 neighbours must find them


SLOT_STEP = 16  # lengths are multiples of it: few different shapes


def shortened_length(counts: Integers, length: int) -> int:
    """The slots that a batch with ``counts`` (N,) objects in its rows needs of ``length``: a multiple of STEP, at least LEAST."""
    longest = int(counts.max(initial=0))
    return min(length, max(MIN_SLOTS, -(-longest // SLOT_STEP) * SLOT_STEP))
