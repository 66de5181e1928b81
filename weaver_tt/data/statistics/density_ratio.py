"""Two samples whose ratio is learnt: their sums of weights, and where one has no rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from weaver_tt.config.plan import make_plan
from weaver_tt.config.schema import CLASS_LABEL, DataConfig, InputGroup, RatioOptions, Variable
from weaver_tt.data.chunks import Source
from weaver_tt.data.rows.rows import Rows
from weaver_tt.data.rows.table import Table
from weaver_tt.data.rows.tensors import to_rows
from weaver_tt.data.statistics.fingerprint import pass_fingerprint
from weaver_tt.data.statistics.reservoir import Reservoir
from weaver_tt.data.statistics.training_pass import restrict_to_inputs
from weaver_tt.errors import DataError
from weaver_tt.log import log
from weaver_tt.system.wording import counted

Values = npt.NDArray[np.float64]

SAMPLE_VALUES = 100_000  # of a variable and a class, kept to compare where they are
SEED = 20_040_266
# so many of each class on average: a bin without any of the denominator is no accident
ENTRIES_A_BIN = 100
MAX_BINS = 50
# of the numerator, where the denominator has nothing: less is what the tails of one shape leave
TOLERATED_SHARE = 0.01
# ... and with K values of the denominator this / K: beyond their range lie 2 / K on average
TOLERATED_VALUES = 10
# standard deviations by which the sum of a batch should be above 0; dividing by it can bias the
# ratio by the inverse square of their number
SAFE_DEVIATIONS = 5


@dataclass(slots=True)
class _ClassSums:
    """Entries of a class: their number, the sum of their weights, and that of the squares."""

    entries: int = 0
    weight: float = 0.0
    squares: float = 0.0


class DensityRatioAccumulator:
    """Adds up the weights of numerator and denominator, and looks at where their inputs lie.

    Entries are rows, or the objects of the labelled group that the network sees.
    """

    fraction = 1.0

    def __init__(
        self, config: DataConfig, sources: Sequence[Source] = (), batch_size: int | None = None
    ) -> None:
        """``config``: with the extra selection of the training; ``sources``: its rows.

        ``batch_size``: rows of a batch of the training, where it is known.
        """
        assert config.density_ratio is not None
        assert config.labels is not None
        self._options = config.density_ratio
        self._batch_size = batch_size
        self._group = next(iter(config.labels.object_targets), None)
        self.needed = replace(
            restrict_to_inputs(config, _compared_inputs(config, self._group)),
            labels=config.labels,
            event_weight=config.event_weight,
        )
        self._plan = make_plan(self.needed, "train")
        described = [expression.source for expression in config.labels.expressions.values()]
        weight = None if config.event_weight is None else config.event_weight.source
        settings = ["density_ratio", list(self._options.classes), described, weight]
        self.fingerprint = pass_fingerprint(self.needed, sources, settings)
        self._rows = 0
        self._sums = {name: _ClassSums() for name in self._options.classes}
        self._samples: dict[str, dict[str, Reservoir]] = {}

    def find_fitted(self, old: DataConfig, path: str, keep: bool = False) -> RatioOptions | None:
        """The sums in ``old``, which an earlier run saved at ``path``, if up to date.

        With ``keep`` also if not.
        """
        before = old.density_ratio
        if before is None or set(before.sums) != set(self._options.classes):
            return None
        if not keep and before.fingerprint != self.fingerprint:
            return None
        return replace(
            self._options,
            sums=before.sums,
            sizes=before.sizes,
            fingerprint=before.fingerprint,
        )

    def add(self, table: Table, rows: int, path: str) -> None:
        """Add a table of ``rows`` selected rows of the file at ``path``.

        Raises:
            DataError: labels are not what they should be, or an object is of both classes.
        """
        self._rows += rows
        found, _ = to_rows(table, self.needed, self._plan, path)
        weight = np.ones(found.size) if found.weight is None else found.weight.astype(np.float64)
        if self._group is not None:
            weight = np.repeat(weight, found.objects[self._group].counts)
        variables = self._variables(found)
        for name, is_of_class in self._members(found, path).items():
            sums = self._sums[name]
            sums.entries += int(is_of_class.sum())
            sums.weight += float(weight[is_of_class].sum())
            sums.squares += float(np.square(weight[is_of_class]).sum())
            for variable, values in variables.items():
                self._sample(variable, name).add(values[is_of_class])

    def provisional(self) -> RatioOptions:
        """Sums from a few rows, to try the rest out with; 1 where they are no sum to divide by."""
        sums = {}
        for name, of_class in self._sums.items():
            sums[name] = of_class.weight if of_class.weight > 0 else 1.0
        return replace(self._options, sums=sums)

    def result(self) -> RatioOptions:
        """The sums of weights and the effective numbers of both classes.

        Raises:
            DataError: a class has no entry, or a sum of weights that is not above 0.
        """
        what = "row" if self._group is None else f"object of {self._group}"
        where = f"{self.needed.source}: task density_ratio"
        for name, sums in self._sums.items():
            if sums.entries == 0:
                [other] = [other for other in self._sums if other != name]
                number = self._sums[other].entries
                raise DataError(
                    f"{where}: no {what} of the training data is of {name!r}, and "
                    f"{number or 'none'} of {other!r}: a ratio needs two samples, such as -i "
                    f"{other}:FILES {name}:FILES with the patterns {other + ':'!r} and "
                    f"{name + ':'!r} in file_magic"
                )
            if sums.weight <= 0:
                raise DataError(
                    f"{where}: the weights of {name!r} add up to {sums.weight:.6g} over "
                    f"{counted(sums.entries, what)}: a sample needs a sum above 0; look at "
                    "event_weight"
                )
        for name, sums in self._sums.items():
            log.info(
                "%s: %s, sum of weights %.6g ± %.3g",
                name,
                counted(sums.entries, what),
                sums.weight,
                math.sqrt(sums.squares),
            )
        self._warn_of_support()
        self._warn_of_small_batches()
        weights = {name: sums.weight for name, sums in self._sums.items()}
        sizes = {name: sums.weight**2 / sums.squares for name, sums in self._sums.items()}
        return replace(self._options, sums=weights, sizes=sizes, fingerprint=self.fingerprint)

    def _members(self, rows: Rows, path: str) -> dict[str, npt.NDArray[np.bool_]]:
        """Which entries (M,) are of each class."""
        assert self.needed.labels is not None
        names = list(self.needed.labels.expressions)
        if self._group is None:
            return {name: rows.labels[CLASS_LABEL] == names.index(name) for name in self._sums}
        flags = rows.object_labels[self._group]  # (M, 2)
        both = (flags == 1).all(1)
        if both.any():
            raise DataError(
                f"{path}: labels {' and '.join(names)}: {counted(int(both.sum()), 'object')} of "
                f"{self._group} are of both samples; each is of one, or of none"
            )
        return {name: flags[:, names.index(name)] == 1 for name in self._sums}

    def _variables(self, rows: Rows) -> dict[str, Values]:
        """The inputs with one value for each entry, (M,) each."""
        found = {}
        for name, group in self.needed.inputs.items():
            columns = rows.scalars[name] if group.length is None else rows.objects[name].own
            for variable, values in zip(group.names, columns.T, strict=True):
                found[variable] = values.astype(np.float64)
        return found

    def _sample(self, variable: str, name: str) -> Reservoir:
        """The values of a variable that are kept for the class ``name``."""
        of_classes = self._samples.setdefault(variable, {})
        if name not in of_classes:
            of_classes[name] = Reservoir(SAMPLE_VALUES, SEED)
        return of_classes[name]

    def _warn_of_support(self) -> None:
        """Warn where a share of the numerator lies outside of what the denominator covers."""
        numerator, denominator = self._options.classes
        for variable, of_classes in self._samples.items():
            of_denominator = of_classes[denominator].values()
            share = uncovered_share(of_classes[numerator].values(), of_denominator)
            if share > max(TOLERATED_SHARE, TOLERATED_VALUES / len(of_denominator)):
                log.warning(
                    "%s: task density_ratio: %.1f %% of %s have a %r where %s has nothing: the "
                    "ratio has no value there, and what the network says is a guess; select what "
                    "both samples cover",
                    self.needed.source,
                    100 * share,
                    numerator,
                    variable,
                    denominator,
                )

    def _warn_of_small_batches(self) -> None:
        """Warn where the weights of a class in a batch may well add up to nearly 0 or less."""
        if self._batch_size is None:
            return
        for name, sums in self._sums.items():
            # of the rows that a batch draws at random, a Poisson number of this class
            share = self._batch_size / self._rows
            deviations = sums.weight * share / math.sqrt(sums.squares * share)
            if deviations < SAFE_DEVIATIONS:
                enough = self._rows * SAFE_DEVIATIONS**2 * sums.squares / sums.weight**2
                log.warning(
                    "%s: task density_ratio: in a batch of %d rows the weights of %s add up to "
                    "%.3g ± %.3g. The loss of a batch is divided by this sum, which biases the "
                    "ratio where it is near 0; a batch where it is not above 0 is left out; use "
                    "--batch-size %d",
                    self.needed.source,
                    self._batch_size,
                    name,
                    sums.weight * share,
                    math.sqrt(sums.squares * share),
                    math.ceil(enough),
                )


def _compared_inputs(config: DataConfig, labelled: str | None) -> dict[str, InputGroup]:
    """The inputs with one value for each entry, raw: those of rows, or of the labelled objects."""
    found = {}
    for name, group in config.inputs.items():
        is_of_entries = group.length is None if labelled is None else name == labelled
        if is_of_entries and not group.is_mask:
            raw = tuple(Variable(name=variable.name) for variable in group.variables)
            found[name] = replace(group, variables=raw)
    return found


def uncovered_share(numerator: Values, denominator: Values) -> float:
    """Share of the values ``numerator`` (M,) where there is none of ``denominator`` (K,).

    That is outside of their range, or in one of up to MAX_BINS bins of equal numbers of the
    numerator.
    """
    outside = (numerator < denominator.min()) | (numerator > denominator.max())
    bins = min(MAX_BINS, len(numerator) // ENTRIES_A_BIN, len(denominator) // ENTRIES_A_BIN)
    if bins > 1:
        edges = np.unique(np.quantile(numerator, np.linspace(0, 1, bins + 1)[1:-1]))
        of_denominator = np.searchsorted(edges, denominator, "right")
        filled = np.bincount(of_denominator, minlength=len(edges) + 1)
        outside |= filled[np.searchsorted(edges, numerator, "right")] == 0
    return float(outside.mean())


def provisional_sums(config: DataConfig, tables: Sequence[Table]) -> DataConfig:
    """``config`` with the sums of weights of a few rows, to try it out.

    Raises:
        DataError: labels are not what they should be.
    """
    if not config.needs_class_sums:
        return config
    accumulator = DensityRatioAccumulator(config)
    for table in tables:
        accumulator.add(table, len(next(iter(table.values()))), config.source)
    return replace(config, density_ratio=accumulator.provisional())


def with_fitted_sums(config: DataConfig, fitted: DataConfig) -> DataConfig:
    """``config`` with the sums of weights that ``fitted`` has of both samples, if it has them."""
    own, known = config.density_ratio, fitted.density_ratio
    if own is None or own.sums or known is None or set(known.sums) != set(own.classes):
        return config
    return replace(config, density_ratio=replace(own, sums=known.sums, sizes=known.sizes))
