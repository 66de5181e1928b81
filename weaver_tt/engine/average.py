"""The average of the weights over the latest steps, which is validated and saved (``--ema``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from weaver_tt.system import distributed


class WeightAverage:
    """An exponential moving average of all that ``modules`` save, updated after each step.

    ``average = d * average + (1 - d) * weights``, where ``d`` is ``decay``, but no more than
    ``(1 + n) / (10 + n)`` after ``n`` steps: a short training, or the beginning of a long one, does
    not remember the initial weights. The running statistics of batch norm are averaged in the same
    way, so that they are of the same steps as the weights; whole numbers are those of the latest
    step. Weights of half precision have an average of single precision.

    The average can take the place of the weights in the modules, for a validation or to be saved,
    so that wrappers, compiled modules and hooks of theirs go on to work. This is why it is not
    torch's ``AveragedModel``, which calls a copy; the arithmetic is torch's.
    """

    def __init__(self, modules: Sequence[nn.Module], decay: float) -> None:
        """Begin with the weights that ``modules`` have."""
        self._modules = list(modules)
        self._decay = decay
        self._averages: list[dict[str, Tensor]] = []
        self._plain: list[dict[str, Tensor]] | None = None  # while the average takes their place
        self.count = 0  # steps
        self.reset()

    @property
    def decay(self) -> float:
        """The weight of the average in the next step."""
        return min(self._decay, (1 + self.count) / (10 + self.count))

    def reset(self) -> None:
        """Begin anew with the weights that the modules have now."""
        self._averages = []
        for weights in self._weights():
            copies = {name: _in_full_precision(part).clone() for name, part in weights.items()}
            self._averages.append(copies)
        self.count = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step; does not wait for the device."""
        averages: list[Tensor] = []
        weights: list[Tensor] = []
        for of_module, of_average in zip(self._weights(), self._averages, strict=True):
            for name, average in of_average.items():
                part = of_module[name]
                if average.is_floating_point() or average.is_complex():
                    averages.append(average)
                    weights.append(part.to(average.dtype))
                else:
                    average.copy_(part)
        if averages:
            get_ema_multi_avg_fn(self.decay)(averages, weights, self.count)
        self.count += 1

    @contextmanager
    def in_place_of_weights(self) -> Iterator[None]:
        """Inside, the modules have the average as their weights."""
        self._plain = []
        for weights, averages in zip(self._weights(), self._averages, strict=True):
            self._plain.append({name: part.clone() for name, part in weights.items()})
            _copy(averages, weights)
        try:
            yield
        finally:
            self.put_weights_back()

    def put_weights_back(self) -> None:
        """Leave the modules as they were trained; does nothing where they are."""
        if self._plain is None:
            return
        for weights, plain in zip(self._weights(), self._plain, strict=True):
            _copy(plain, weights)
        self._plain = None

    def copy_from_main(self) -> None:
        """Give every rank the average of rank 0."""
        for averages in self._averages:
            distributed.copy_tensors_from_main(averages.values())

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know."""
        return {"count": self.count, "averages": self._averages}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state_dict`.

        Raises:
            ValueError: it is of other weights.
        """
        for averages, saved in zip(self._averages, state["averages"], strict=True):
            for name, average in averages.items():
                if saved[name].shape != average.shape:
                    raise ValueError(f"the average of {name} has another shape")
            _copy(saved, averages)
        self.count = state["count"]

    def _weights(self) -> list[dict[str, Tensor]]:
        """What each module saves, by name; a tensor that has several names once."""
        found = []
        known: set[int] = set()
        for module in self._modules:
            of_module = {}
            # asked for each time: a module may put another tensor in the place of a buffer
            for name, part in module.state_dict(keep_vars=True).items():
                if isinstance(part, Tensor) and id(part) not in known:
                    known.add(id(part))
                    of_module[name] = part.detach()
            found.append(of_module)
        return found


def _in_full_precision(part: Tensor) -> Tensor:
    """Single precision in place of half; a small change would be lost in the average."""
    if part.is_floating_point():
        return part.to(torch.promote_types(part.dtype, torch.float32))
    return part


@torch.no_grad()
def _copy(values: dict[str, Tensor], into: dict[str, Tensor]) -> None:
    for name, part in into.items():
        part.copy_(values[name])
