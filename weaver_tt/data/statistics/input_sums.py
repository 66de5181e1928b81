"""Spectra of the inputs of a network for each class, before and after scaling, from one pass.

Sums over rows in bins that are chosen beforehand, so that memory does not grow with the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from weaver_tt.config.plan import make_plan
from weaver_tt.config.schema import CLASS_LABEL, DataConfig, InputGroup, Labels, Variable
from weaver_tt.data.rows.rows import Rows
from weaver_tt.data.rows.table import Table, flat_column
from weaver_tt.data.rows.tensors import to_rows
from weaver_tt.data.statistics.standardize import flat_values
from weaver_tt.data.statistics.training_pass import restrict_to_inputs
from weaver_tt.expressions.elementwise import JaggedColumn

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

BINS = 50  # at most; of N values about sqrt(N), and no fewer than FEWEST
FEWEST = 10
# whole numbers with at most so many different values have a bin each
MOST_WHOLE = 40
# the bins of a variable hold this part of the first rows, in percent; the rest is counted beside
RANGE = (0.5, 99.5)
# from this ratio of its ends on, the range of a positive variable is divided in its logarithm
LOG_RATIO = 200.0
ALL = "all rows"
"""In place of classes, where none are learnt."""


def count_bins(values: int) -> int:
    """How many bins so many values fill."""
    return min(BINS, max(FEWEST, int(values**0.5)))


def choose_edges(values: Floats) -> Floats:
    """Edges of the bins for values like these (M,), which may be none."""
    finite = values[np.isfinite(values)]
    bins = count_bins(len(finite))
    if not len(finite):
        return np.linspace(-0.5, 0.5, bins + 1)
    if (finite == np.round(finite)).all():
        whole = np.unique(finite)
        if whole[-1] - whole[0] < MOST_WHOLE:
            return np.arange(whole[0] - 0.5, whole[-1] + 1)
    low, high = np.percentile(finite, RANGE)
    if low == high:
        half = 0.5 * (abs(low) or 1.0)
        low, high = low - half, high + half
    if low > 0 and high / low > LOG_RATIO:
        return np.geomspace(low, high, bins + 1)
    margin = 0.02 * (high - low)
    return np.linspace(low - margin, high + margin, bins + 1)


class InputSpectra:
    """Weighted entries of K classes in B bins, below them and above them: (K, B + 2)."""

    def __init__(self, edges: Floats, classes: int) -> None:
        self.edges = edges  # (B + 1,)
        self.sums = np.zeros((classes, len(edges) + 1))
        self.squares = np.zeros_like(self.sums)  # of the weights

    def add(self, values: Floats, classes: Integers, weights: Floats) -> None:
        """Add finite ``values`` (M,), each with its class and its weight."""
        # 0 is below the first edge; the last edge belongs to the last bin
        place = np.searchsorted(self.edges, values, side="right")
        place[values == self.edges[-1]] -= 1
        size = self.sums.shape[1]
        flat = classes * size + place
        length = self.sums.size
        self.sums += np.bincount(flat, weights, length).reshape(self.sums.shape)
        self.squares += np.bincount(flat, weights**2, length).reshape(self.sums.shape)


class VariableSums:
    """What is known of an input variable: spectra, moments and counts of each class, (K,) each.

    Counts are of entries without weights; ``total``, ``first`` and ``second`` are sums of w, w x
    and w x^2 of the finite entries before scaling. ``scaled`` is None where values are taken as
    they are.
    """

    def __init__(
        self, group: InputGroup, variable: Variable, edges: Floats, classes: int, bins: int = BINS
    ) -> None:
        """``edges`` are those before scaling, ``bins`` how many there are after it."""
        self.group = group
        self.variable = variable
        self.raw = InputSpectra(edges, classes)
        self.scaled: InputSpectra | None = None
        if variable.center is not None:
            self.scaled = InputSpectra(np.linspace(variable.low, variable.high, bins + 1), classes)
        self.entries = np.zeros(classes, dtype=np.int64)
        self.nonfinite = np.zeros(classes, dtype=np.int64)
        self.clipped = np.zeros(classes, dtype=np.int64)
        self.total = np.zeros(classes)
        self.first = np.zeros(classes)
        self.second = np.zeros(classes)
        self.low = np.full(classes, np.inf)
        self.high = np.full(classes, -np.inf)

    def add_raw(self, values: Floats, classes: Integers, weights: Floats) -> None:
        """Add ``values`` (M,) as they are before scaling."""
        number = len(self.entries)
        finite = np.isfinite(values)
        self.entries += np.bincount(classes, minlength=number)
        self.nonfinite += np.bincount(classes[~finite], minlength=number)
        values, classes, weights = values[finite], classes[finite], weights[finite]
        self.raw.add(values, classes, weights)
        self.total += np.bincount(classes, weights, number)
        self.first += np.bincount(classes, weights * values, number)
        self.second += np.bincount(classes, weights * values**2, number)
        np.minimum.at(self.low, classes, values)
        np.maximum.at(self.high, classes, values)
        if self.variable.center is not None:
            assert self.variable.center != "auto"
            scaled = (values - self.variable.center) * self.variable.scale
            beyond = (scaled < self.variable.low) | (scaled > self.variable.high)
            self.clipped += np.bincount(classes[beyond], minlength=number)

    def add_scaled(self, values: Floats, classes: Integers, weights: Floats) -> None:
        """Add ``values`` (M,) as the network is given them."""
        if self.scaled is not None:
            self.scaled.add(values, classes, weights)


@dataclass
class ObjectSums:
    """The objects of a group with a length, (K,) each: in the rows, and kept in its slots."""

    length: int
    objects: Integers
    kept: Integers


def inputs_and_classes(config: DataConfig) -> DataConfig:
    """The inputs, the classes and the event weight, without all else that is learnt."""
    labels = config.labels
    if labels is not None:
        classes = Labels(classes=labels.classes, class_number=labels.class_number)
        labels = classes if labels.classes else None
    bare = restrict_to_inputs(config, config.inputs)
    return replace(bare, labels=labels, event_weight=config.event_weight)


class InputSums:
    """Adds up the inputs over the rows of a pass (see ``training_pass.accumulate``).

    ``config`` has a number for every ``auto``; ``fraction`` of every stretch of rows is used.
    ``first`` are tables of some rows, by which the bins are chosen.
    """

    fingerprint = ""  # nothing of it is kept

    def __init__(self, config: DataConfig, first: Sequence[Table], fraction: float) -> None:
        self.needed = inputs_and_classes(config)
        self.fraction = fraction
        self._plan = make_plan(self.needed, "train")
        labels = config.labels
        self.classes = [ALL] if labels is None or not labels.classes else list(labels.classes)
        number = len(self.classes)
        self.rows = np.zeros(number, dtype=np.int64)
        self.weights = np.zeros(number)
        self.variables: list[VariableSums] = []
        for group, variable in self.needed.input_variables():
            parts = [flat_values(table[variable.name], variable.name) for table in first]
            values = np.concatenate([np.zeros(0), *parts]).astype(np.float64)
            bins = count_bins(len(values))
            sums = VariableSums(group, variable, choose_edges(values), number, bins)
            self.variables.append(sums)
        self.objects = {
            group.name: ObjectSums(
                group.length, np.zeros(number, dtype=np.int64), np.zeros(number, dtype=np.int64)
            )
            for group in self.needed.inputs.values()
            if group.length is not None
        }

    def find_fitted(self, old: DataConfig, path: str, keep: bool = False) -> None:
        """Nothing: it is always computed."""

    def add(self, table: Table, rows: int, path: str) -> None:
        """Add a table of ``rows`` > 0 selected rows of the file at ``path``.

        Raises:
            DataError: labels or weights are not what they should be.
        """
        ready, _ = to_rows(table, self.needed, self._plan, path)
        classes = np.zeros(ready.size, dtype=np.int64)
        if CLASS_LABEL in ready.labels:
            classes = np.asarray(ready.labels[CLASS_LABEL], dtype=np.int64)
        weights = np.ones(ready.size)
        if ready.weight is not None:
            weights = ready.weight.astype(np.float64)
        self.rows += np.bincount(classes, minlength=len(self.rows))
        self.weights += np.bincount(classes, weights, len(self.rows))
        for name, sums in self.objects.items():
            objects = ready.objects[name]
            for known, counts in ((sums.objects, objects.full_counts), (sums.kept, objects.counts)):
                # whole numbers below 2^53 are exact in doubles
                known += np.bincount(classes, counts, len(known)).astype(np.int64)
        for variable in self.variables:
            _add_raw(variable, table, classes, weights)
            _add_scaled(variable, ready, classes, weights)

    def result(self) -> InputSums:
        """Itself."""
        return self


def _add_raw(sums: VariableSums, table: Table, classes: Integers, weights: Floats) -> None:
    """The values of a variable as a table has them, of all objects."""
    found = flat_column(table[sums.variable.name])
    if isinstance(found, JaggedColumn):
        classes = np.repeat(classes, found.counts)
        weights = np.repeat(weights, found.counts)
        found = found.content
    sums.add_raw(np.asarray(found, dtype=np.float64), classes, weights)


def _add_scaled(sums: VariableSums, rows: Rows, classes: Integers, weights: Floats) -> None:
    """The values of a variable as the network is given them, of the objects that are kept."""
    group = sums.group
    place = group.names.index(sums.variable.name)
    values: npt.NDArray[Any]
    if group.length is None:
        values = rows.scalars[group.name][:, place]
    else:
        objects = rows.objects[group.name]
        values = objects.own[:, place]
        classes = np.repeat(classes, objects.counts)
        weights = np.repeat(weights, objects.counts)
    sums.add_scaled(values.astype(np.float64), classes, weights)
