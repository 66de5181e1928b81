"""Jagged rows -> padded tensors, on the device where the batch is consumed.

They lie in buffers that the next batch reuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weaver_tt.config.schema import (
    CLASS_LABEL,
    NO_CLASS,
    DataConfig,
    InputGroup,
    window_label,
)
from weaver_tt.data.rows.batch import Batch
from weaver_tt.data.rows.host_counts import with_host_counts
from weaver_tt.data.rows.rows import Floats, Integers, JaggedObjects, Rows, index_runs
from weaver_tt.system.stage_times import Stage, count_bytes_moved, stage

MIN_SLOTS = 32  # slots of a shortened input: networks that look for 16 neighbours must find them
SLOT_STEP = 16  # lengths are multiples of it: few different shapes


class PaddedBuffer:
    """A reused buffer of N x P slots with C features each.

    A slot without an object holds the pad vector (C,). Only the slots of the objects are written,
    and only those that held an object before and no longer do are padded again, so a batch costs
    what it holds rather than N x P x C. A batch of another length P than the one before is padded
    anew, as is one after a tensor that was handed out has been written into.
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
            # the buffer outlives the mode it is first used in
            with torch.inference_mode(False):
                self._slots = self._pad.new_empty((rows * length, len(self._pad)))
        elif length == self._length and self._slots._version == self._version:
            return
        self._slots.copy_(self._pad.expand_as(self._slots))
        self._length = length
        self._filled = np.zeros(len(self._slots) // length, dtype=np.int64)

    def fill(self, content: Tensor, places: Integers, counts: Integers, length: int) -> Tensor:
        """Objects ``content`` (M, C) into slots ``places`` (M,) -> (N, P, C).

        ``counts`` (N,) <= P = ``length`` of them are in each row.
        """
        rows = len(counts)
        self._prepare(rows, length)
        # slots that an object of the batch before has left
        stale = np.maximum(self._filled[:rows] - counts, 0)
        if stale.any():
            left = index_runs(np.arange(rows) * self._length + counts, stale)
            scatter_slots(self._slots, left, self._pad.view(1, -1))
        scatter_slots(self._slots, places, content)
        self._filled[:rows] = counts
        return self._done(rows)

    def fill_wrapped(self, content: Tensor, index: Integers) -> Tensor:
        """Every slot of N rows from an object of ``content`` (M, C) -> (N, P, C).

        ``index`` (N, P) is the object of each slot, M for the pad vector.
        """
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


def move(values: np.ndarray[Any, Any], device: torch.device) -> Tensor:
    """``values`` on ``device``; on the CPU, in the same memory."""
    on_host = torch.from_numpy(values)
    if device.type == "cpu":
        return on_host
    with stage(Stage.TRANSFER):
        count_bytes_moved(values.nbytes)
        return on_host.to(device, non_blocking=True)


def gather_slots(values: Tensor, places: Integers, slots: Tensor) -> None:
    """``slots[:] = values[places]``: values (M, C), places (S,), slots (S, C)."""
    if slots.device.type != "cpu":
        index = move(places, slots.device)
        torch.index_select(values, 0, index, out=slots)
        return
    # places are right: with "clip" numpy writes to `out` directly
    values.numpy().take(places, axis=0, out=slots.numpy(), mode="clip")


def scatter_slots(slots: Tensor, places: Integers, values: Tensor) -> None:
    """``slots[places] = values``: slots (S, C), places (M,) all different, values (M or 1, C)."""
    if slots.device.type != "cpu":
        index = move(places, slots.device)
        slots.index_copy_(0, index, values.expand(len(places), -1))
        return
    # numpy moves a slot as one item, about three times as fast as index_copy_ and without waking
    # torch's threads
    item = np.dtype((np.void, slots.element_size() * slots.shape[1]))
    items = np.ascontiguousarray(values.numpy()).view(item)
    np.put(slots.numpy().view(item), places, items)


@dataclass(frozen=True, slots=True)
class _Slots:
    """Where the objects of groups with the same counts and length go."""

    places: Integers  # (M,) slot of each object
    host_counts: Integers  # (N,) objects of each row
    mask: Tensor  # (N, P)
    full_counts: Tensor  # (N,) objects before the cut at the length
    length: int  # P


class Padder:
    """Turns rows into batches for one consumer on ``device``.

    Every batch overwrites the tensors of the one before.

    Constant padding puts a row's objects first and the pad values behind them; wrap padding repeats
    the row's objects, and gives pad values where there is none. With ``shorten``, a group has as
    many slots as the batch needs (see :func:`shortened_length`), P <= its length.

    ``Batch.masks`` carry the number of real objects in each row
    (:func:`~weaver_tt.data.rows.host_counts.host_counts`). On a GPU, so do inputs that tell a
    network which slots hold one: masks, and where there is no mask, groups whose first variable is
    raw and padded with 0, such as a transverse momentum.
    """

    def __init__(
        self, config: DataConfig, device: torch.device | str = "cpu", shorten: bool = False
    ) -> None:
        self._shorten = shorten
        self._groups = config.batch_groups
        # labelled group -> names of its labels
        self._object_labels = config.object_label_names
        self._masks = config.target_masks
        self._marking = _marking_groups(config)
        self._device = torch.device(device)
        self._buffers: dict[str, PaddedBuffer] = {}
        self._repeats: dict[int, Integers] = {}

    def __call__(self, rows: Rows) -> Batch:
        """N rows -> Batch of N rows; ``progress`` is left to the caller."""
        batch = Batch({}, {}, {}, {}, size=rows.size, observers=rows.observers)
        # groups with the same counts share their slots, those with one content are padded together
        known_slots: dict[tuple[int, int], _Slots] = {}
        padded: dict[int, Tensor] = {}  # (N, P, W) each
        for name, group in self._groups.items():
            if group.length is None:
                batch.inputs[name] = self._move(rows.scalars[name])
                continue
            jagged = rows.objects[name]
            length = group.length
            if self._shorten:
                length = shortened_length(jagged.counts, length)
            key = id(jagged.counts), length
            if key not in known_slots:
                known_slots[key] = self._make_slots(jagged, length)
            slots = known_slots[key]
            content = id(jagged.content)
            if content not in padded:
                padded[content] = self._pad_content(group, rows, slots)
            inputs = padded[content][:, :, jagged.columns].transpose(1, 2)  # (N, C, P)
            # on a CPU, counting again is as quick as looking up
            if name in self._marking and self._device.type != "cpu":
                with_host_counts(inputs, _count_marked(jagged))
            batch.inputs[name] = inputs
            batch.masks[name] = slots.mask
            batch.counts[name] = slots.full_counts
            batch.host_counts[name] = slots.host_counts
            batch.real[name] = len(slots.places)
            self._add_beside(batch, name, rows, slots)
        batch.labels |= {name: self._move(values) for name, values in rows.labels.items()}
        batch.monitors |= {name: self._move(values) for name, values in rows.monitors.items()}
        batch.undefined = self._count_undefined(rows)
        batch.identity = rows.identity
        batch.weight = None if rows.weight is None else self._move(rows.weight)
        return batch

    def _count_undefined(self, rows: Rows) -> dict[str, int]:
        """Label -> rows or objects of which it is undefined or masked, where there are some.

        What is outside of the window of a target counts as masked.
        """
        counts = self._undefined_of(rows.labels)
        for group, labels in rows.object_labels.items():
            by_name = dict(zip(self._object_labels[group], labels.T, strict=True))  # (M,) each
            counts |= self._undefined_of(by_name)
        return {name: number for name, number in counts.items() if number}

    def _undefined_of(self, labels: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, int]:
        """Label -> how many of its values, of rows or objects, are undefined or masked."""
        counts: dict[str, int] = {}
        for name, values in labels.items():
            if name == CLASS_LABEL:
                is_undefined = values == NO_CLASS
            else:
                is_undefined = np.isnan(values)
            for which in (self._masks.get(name), window_label(name)):
                if which is not None and which in labels:
                    is_undefined = is_undefined | (labels[which] == 0)
            counts[name] = int(is_undefined.sum())
        return counts

    def _move(self, values: np.ndarray[Any, Any]) -> Tensor:
        return move(values, self._device)

    def _make_slots(self, jagged: JaggedObjects, length: int) -> _Slots:
        # the array may lie in memory that a later batch of a worker process is put into
        counts = jagged.counts.copy()
        row_starts = np.arange(len(counts)) * length
        is_real = np.arange(length) < counts[:, None]  # (N, P)
        return _Slots(
            places=index_runs(row_starts, counts),
            host_counts=counts,
            mask=with_host_counts(self._move(is_real), counts),
            full_counts=self._move(jagged.full_counts),
            length=length,
        )

    def _buffer(self, key: str, pad: list[float]) -> PaddedBuffer:
        if key not in self._buffers:
            with torch.inference_mode(False):
                vector = torch.tensor(pad, dtype=torch.float32, device=self._device)
                self._buffers[key] = PaddedBuffer(vector)
        return self._buffers[key]

    def _pad_content(self, group: InputGroup, rows: Rows, slots: _Slots) -> Tensor:
        """The content of ``group`` and of the groups that share it, padded: (N, P, W)."""
        content = rows.objects[group.name].content
        sharing = []
        pad = []
        for name, jagged in rows.objects.items():
            if jagged.content is content:
                sharing.append(name)
                pad += [variable.pad for variable in self._groups[name].variables]
        buffer = self._buffer(",".join(sharing), pad)
        if group.pad_mode == "constant":
            return buffer.fill(self._move(content), slots.places, slots.host_counts, slots.length)
        index = self._wrapped_objects(slots.host_counts, slots.length)
        return buffer.fill_wrapped(self._move(content), index)

    def _wrapped_objects(self, counts: Integers, length: int) -> Integers:
        """The object in each slot (N, P) when a row's objects are repeated.

        The number of all objects where a row has none.
        """
        if length not in self._repeats:
            # row n: 0 … n - 1, again and again
            number = np.maximum(np.arange(length + 1), 1)
            self._repeats[length] = np.arange(length) % number[:, None]
        first = np.cumsum(counts) - counts  # (N,) object of each row
        index = first[:, None] + self._repeats[length][counts]
        index[counts == 0] = counts.sum()
        return index

    def _add_beside(self, batch: Batch, name: str, rows: Rows, slots: _Slots) -> None:
        """Labels and monitored columns of a group's objects: (N, P) each, 0 without an object."""
        if name in rows.object_labels:
            padded = self._pad_beside(f"labels of {name}", rows.object_labels[name], slots)
            for channel, label in enumerate(self._object_labels[name]):
                batch.labels[label] = padded[:, :, channel]
        for (owner, monitor), values in rows.object_monitors.items():
            if owner == name:
                padded = self._pad_beside(f"monitor {monitor}", values, slots)
                batch.monitors[monitor] = padded[:, :, 0]

    def _pad_beside(self, key: str, values: Floats, slots: _Slots) -> Tensor:
        """(M, C) -> (N, P, C), 0 where there is no object."""
        buffer = self._buffer(key, [0.0] * values.shape[1])
        return buffer.fill(self._move(values), slots.places, slots.host_counts, slots.length)


def _marking_groups(config: DataConfig) -> set[str]:
    """Input groups whose first channel tells a network which slots are real; it is 0 on padding."""
    candidates = []
    for group in config.inputs.values():
        if group.length is None or group.pad_mode == "wrap" or group.variables[0].pad != 0:
            continue
        candidates.append(group)
    masks = {group.name for group in candidates if group.is_mask}
    if masks:
        return masks
    return {group.name for group in candidates if group.variables[0].center is None}


def _count_marked(jagged: JaggedObjects) -> Integers | None:
    """How many objects of each row have a first channel that is not 0: (N,).

    None where one is negative: "not 0", as masks are read, and "above 0", as transverse momenta
    are, would be different objects.
    """
    first = jagged.own[:, 0]  # (M,)
    is_marked = first > 0  # (M,)
    if is_marked.all():
        return jagged.counts.copy()
    if (first < 0).any():
        return None
    row = np.repeat(np.arange(len(jagged.counts)), jagged.counts)  # (M,)
    return np.bincount(row[is_marked], minlength=len(jagged.counts))


def shortened_length(counts: Integers, length: int) -> int:
    """The slots that a batch with ``counts`` (N,) objects in its rows needs of ``length``.

    A multiple of ``SLOT_STEP``, and at least ``MIN_SLOTS``.
    """
    longest = int(counts.max(initial=0))
    whole_steps = -(-longest // SLOT_STEP) * SLOT_STEP
    return min(length, max(MIN_SLOTS, whole_steps))
