"""Scale factors of a tagger, data over simulation, as a function of all that two networks see.

With r(theta) of densities normalised to 1, data over simulation, of tagged objects and of all, and
W the sums of weights,

    SF(theta) = r_tagged(theta) / r_all(theta) * [W_tagged / W_all](data) / [W_tagged / W_all](sim)

since the efficiency of a sample at theta is W_tagged p_tagged(theta) / (W_all p_all(theta)). It is
the scale factor of the flavours as they are mixed at theta, not of each.

Source: arXiv:2004.02665, section 7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

from weaver_tt.applications.density_ratio.entries import EntrySources, read_entries
from weaver_tt.errors import DataError
from weaver_tt.expressions.row_values import check_weights
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.formats.reader import Reader
from weaver_tt.formats.row_ranges import row_ranges
from weaver_tt.formats.writers import open_writer, read_notes, without_counters
from weaver_tt.output.about import ABOUT

QUANTILES = (0.01, 0.5, 0.99)


@dataclass(frozen=True, kw_only=True)
class TaggedShare:
    """The share of tagged objects of a sample, by weight, with its statistical error."""

    share: float
    error: float
    tagged: float
    all: float

    @property
    def relative_error(self) -> float:
        """The error over the share."""
        return self.error / self.share


@dataclass(frozen=True, kw_only=True)
class GlobalFactor:
    """The share of tagged objects in data over that in simulation, with its statistical error."""

    data: TaggedShare
    simulation: TaggedShare

    @property
    def value(self) -> float:
        """Data over simulation."""
        return self.data.share / self.simulation.share

    @property
    def error(self) -> float:
        """Of both samples, in quadrature."""
        relative = np.hypot(self.data.relative_error, self.simulation.relative_error)
        return float(self.value * relative)


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A prediction file of one of the two networks, and its column of ratios."""

    path: str
    ratio: str

    @property
    def columns(self) -> tuple[str, str]:
        """The ratio and its spread, if there is one."""
        return self.ratio, f"{self.ratio}_std"


@dataclass(frozen=True, kw_only=True)
class WrittenFactors:
    """The scale factors of a file: how many there are, how many have none, and what they are.

    ``quantiles`` by their shares; ``spread`` the mean relative spread, None without ensembles.
    """

    objects: int
    without: int
    mean: float
    quantiles: Mapping[str, float]
    spread: float | None


def measure_share(
    paths: Sequence[str], tag: str, weight: str | None, treename: str | None = None
) -> TaggedShare:
    """The tagged share of the objects, or rows, of files; ``tag`` is not 0 for tagged ones.

    Objects of a row are not independent: its error is that of the sums over rows.

    Raises:
        DataError: a file cannot be read, or there is no object, or no tagged one.
    """
    by_role = {"tag": tag}
    if weight is not None:
        by_role["weight"] = weight
    entries = read_entries(paths, EntrySources(by_role), treename)
    # objects without a tag do not count
    entries = entries.take(np.isfinite(entries["tag"]))
    is_tagged = entries["tag"] != 0
    weights = entries["weight"] if weight is not None else np.ones(len(entries))
    check_weights(weights, f"{', '.join(paths)}: {weight!r} (weight)")
    total = float(weights.sum())
    tagged = float(weights[is_tagged].sum())
    for name, found in (("all", total), ("tagged", tagged)):
        if not found > 0:
            raise DataError(
                f"{', '.join(paths)}: the weights of {name} objects ({tag!r}) add up to {found:g}; "
                "expected more than 0"
            )
    share = tagged / total
    deviations = np.bincount(entries.row, weights * (is_tagged - share))
    error = float(np.sqrt((deviations**2).sum()) / total)
    return TaggedShare(share=share, error=error, tagged=tagged, all=total)


def write_scale_factors(
    tagged: Prediction,
    all_objects: Prediction,
    output: str,
    column: str,
    factor: GlobalFactor,
    treename: str | None = None,
) -> WrittenFactors:
    """Copy the prediction ``tagged`` to ``output`` (.root or .parquet) with the ``column`` added.

    Both predictions are of the same rows, in the same order. Where one of them has a spread
    ``RATIO_std``, ``COLUMN_std`` is that of the scale factor: both relative spreads in quadrature.
    The error of the global factor, which all objects share, is not part of it. An object without a
    ratio has none: NaN. What a prediction says of itself is kept.

    Raises:
        DataError: a column is missing or already there, or the files are of different rows.
        OutputError: the output cannot be written.
    """
    found: list[Any] = []
    spreads: list[Any] = []
    with (
        open_reader(tagged.path, treename) as reader,
        open_reader(all_objects.path, treename) as other,
        open_writer(output, treename or "tree") as writer,
    ):
        _check_rows(reader, other)
        columns = without_counters(reader.columns())
        reader.resolve([tagged.ratio])
        other.resolve([all_objects.ratio])
        for name in (column, f"{column}_std"):
            if name in columns:
                raise DataError(f"{tagged.path}: already has the column {name!r}; --name another")
        of_other = without_counters(other.columns())
        differing = {*tagged.columns, *all_objects.columns}
        common = [name for name in columns if name in of_other and name not in differing]
        beside = [name for name in all_objects.columns if name in of_other]
        for first, last in list(row_ranges(reader.clusters(columns))) or [(0, 0)]:
            table = reader.read(columns, first, last)
            others = other.read([*common, *beside], first, last)
            files = f"{tagged.path} and {all_objects.path}"
            _check_lists(table[tagged.ratio], others[all_objects.ratio], files)
            for name in common:
                _check_same(table[name], others[name], name, files)
            ratios = _Ratio.of(table, tagged.ratio), _Ratio.of(others, all_objects.ratio)
            values, spread = _divided(*ratios, factor.value)
            added = {column: values}
            found.append(_flat(values))
            if spread is not None:
                added[f"{column}_std"] = spread
                spreads.append(_flat(spread))
            writer.write({**table, **added})
        for name, text in read_notes(tagged.path, (ABOUT,)).items():
            writer.annotate(name, text)
    return _summary(np.concatenate(found), np.concatenate(spreads) if spreads else None)


@dataclass(frozen=True)
class _Ratio:
    """Ratios of a chunk, and their spread where there is one."""

    values: Any
    spread: Any

    @classmethod
    def of(cls, table: Mapping[str, Any], name: str) -> _Ratio:
        return cls(table[name], table.get(f"{name}_std"))

    @property
    def relative_variance(self) -> Any:
        """The squared relative spread, 0 without one."""
        if self.spread is None:
            return 0.0
        return (self.spread / self.values) ** 2


def _divided(tagged: _Ratio, all_objects: _Ratio, factor: float) -> tuple[Any, Any]:
    """Scale factors, and their spread or None."""
    # objects that a network does not see have no ratio: NaN
    with np.errstate(invalid="ignore"):
        values = tagged.values / all_objects.values * factor
        if tagged.spread is None and all_objects.spread is None:
            return values, None
        return values, values * np.sqrt(tagged.relative_variance + all_objects.relative_variance)


def _check_rows(reader: Reader, other: Reader) -> None:
    if reader.rows() != other.rows():
        raise DataError(
            f"{reader.place} has {reader.rows():,} rows, {other.place} {other.rows():,}: expected "
            "predictions of both networks for the same rows"
        )


def _has_same_lists(values: Any, others: Any) -> bool:
    """Whether two columns are lists of the same lengths, or no lists both."""
    values, others = ak.Array(values), ak.Array(others)
    if values.ndim != others.ndim:
        return False
    return values.ndim == 1 or bool(ak.all(ak.num(values) == ak.num(others)))


def _check_lists(ratios: Any, others: Any, files: str) -> None:
    """Raise DataError where two columns of ratios are not of the same objects."""
    if not _has_same_lists(ratios, others):
        raise DataError(
            f"{files} have ratios of different numbers of objects: expected predictions of both "
            "networks for the same rows"
        )


def _check_same(values: Any, others: Any, name: str, files: str) -> None:
    """Raise DataError where a column that both files have is not the same.

    Labels may differ, as both networks were trained on other objects: columns of 0 and 1 alone.
    """
    is_same = _has_same_lists(values, others)
    if is_same:
        flat, other = _flat(values), _flat(others)
        is_label = bool(np.isin(flat, (0, 1)).all() and np.isin(other, (0, 1)).all())
        is_same = is_label or np.array_equal(flat, other, equal_nan=flat.dtype.kind == "f")
    if not is_same:
        raise DataError(
            f"{files} differ in the column {name!r}: expected predictions of both networks for the "
            "same rows, in the same order"
        )


def _flat(values: Any) -> Any:
    """(M,) values of all objects, or rows."""
    return ak.to_numpy(ak.flatten(ak.Array(values), axis=None))


def _summary(factors: Any, spreads: Any) -> WrittenFactors:
    known = np.isfinite(factors)
    chosen = factors[known]
    quantiles = {}
    if len(chosen):
        found = np.quantile(chosen, QUANTILES)
        quantiles = {
            f"{share:g}": float(value) for share, value in zip(QUANTILES, found, strict=True)
        }
    spread = None
    if spreads is not None and len(chosen):
        spread = float((spreads[known] / chosen).mean())
    return WrittenFactors(
        objects=len(factors),
        without=int((~known).sum()),
        mean=float(chosen.mean()) if len(chosen) else np.nan,
        quantiles=quantiles,
        spread=spread,
    )
