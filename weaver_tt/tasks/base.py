"""What every task is: loss, meters and output columns of one thing to learn, and the entries they are computed on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from torch import Tensor

from weaver_tt.config.schema import DataConfig
from weaver_tt.data.batch import Batch


@dataclass(frozen=True, slots=True)
class Scored:
    """The M entries of a batch that count (rows, or real objects), K outputs each; padding is gone.

    ``counts`` (N,) entries of each row, so that per-object columns become jagged again.
    """

    output: Tensor  # (M, K) as the network gave it, or activated (probabilities, efficiencies, values)
    target: Tensor | None  # (M,) classes or (M, K) values; None in prediction on data without labels
    weight: Tensor  # (M,) what an entry counts for in loss and meters
    counts: Tensor  # (N,) entries per row
    spread: Tensor | None = None  # (M, K) standard deviation over an ensemble's members
    monitors: dict[str, Tensor] | None = None  # (M,) quantities that figures need, such as pT

    def detach(self) -> Scored:
        """The same entries, cut from the graph."""
        return replace(self, output=self.output.detach())


class Meter(ABC):
    """Adds up sums and counts on the device; divides once, when read."""

    @abstractmethod
    def update(self, scored: Scored, losses: Tensor | None) -> None:
        """Add a batch: activated entries and, in training and validation, their losses (M,)."""

    @abstractmethod
    def totals(self) -> Tensor:
        """All sums in one flat float64 tensor, to be added over ranks."""

    @abstractmethod
    def values(self, totals: Tensor) -> dict[str, float]:
        """Named scalars from (summed) totals."""

    def figures(self, totals: Tensor) -> dict[str, Any]:
        """Named matplotlib figures from (summed) totals; none by default."""
        return {}


class Task(ABC):
    """What is learnt. Nothing outside a task asks which task it is."""

    name: ClassVar[str]
    watch: tuple[str, Literal["min", "max"]] = ("loss", "min")  # the metric that makes the best epoch, and its direction

    def __init__(self, config: DataConfig) -> None:
        self.config = config

    @abstractmethod
    def score(self, output: Tensor | tuple[Tensor, Tensor | None], batch: Batch) -> Scored:
        """Network output -> the entries that count. An (output, spread) pair comes from activated networks (ensembles, ONNX)."""

    @abstractmethod
    def losses(self, scored: Scored) -> Tensor:
        """Loss of each entry from raw outputs, (M,)."""

    @abstractmethod
    def activate(self, output: Tensor) -> Tensor:
        """Raw network output -> what is written and exported (sigmoid, softmax, physical units); shape kept, dimension 1 is K."""

    @abstractmethod
    def meters(self) -> list[Meter]:
        """Fresh meters for an epoch."""

    @abstractmethod
    def columns(self, scored: Scored) -> dict[str, Any]:
        """Activated entries -> output columns: (N,) arrays or, for objects, awkward arrays of N lists."""

    @property
    @abstractmethod
    def output_names(self) -> list[str]:
        """Names of the K outputs."""
