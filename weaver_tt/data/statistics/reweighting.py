"""The weights of a run: computed once from its training data, then read from its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from weaver_tt.config.plan import make_plan
from weaver_tt.config.schema import DataConfig, Weights, WeightSummary
from weaver_tt.config.target_density import target_shares
from weaver_tt.data.chunks import Source
from weaver_tt.data.rows.table import Table
from weaver_tt.data.statistics.fingerprint import pass_fingerprint
from weaver_tt.data.statistics.sampling import repeats_per_row
from weaver_tt.data.statistics.spectra import Numbers, Spectra, bin_rows
from weaver_tt.data.statistics.training_pass import restrict_to_inputs
from weaver_tt.data.statistics.weight_tables import (
    WeightSums,
    distance_to,
    make_weight_tables,
    row_weights,
    summarize_weights,
)
from weaver_tt.errors import ConfigError
from weaver_tt.log import log
from weaver_tt.system.wording import counted


@dataclass(frozen=True, slots=True)
class FittedWeights:
    """What weights come to on the training data; ``tables``: class -> weight of each bin."""

    tables: Mapping[str, Numbers] | None  # None where weights are precomputed columns
    summary: WeightSummary


def describe_weights(weights: Weights) -> str:
    """One line on what the weights mean for an epoch."""
    summary = weights.summary
    assert summary is not None
    if weights.mode == "loss":
        return (
            f"weights: the loss of a row counts weight / {summary.mean:.4g}, "
            f"the mean weight of {summary.rows:,} rows (mode loss)"
        )
    repeats = repeats_per_row(summary)
    epoch_rows = summary.rows * summary.kept * repeats
    size = "abs(weight)" if weights.signed else "weight"
    return (
        f"weights: a row is drawn {repeats} x min({size}, 1) times, "
        f"the mean of which is {repeats * summary.kept:.4g}: an epoch has about "
        f"{epoch_rows:,.0f} rows drawn from {summary.rows:,} selected ones (mode sampling)"
    )


class WeightsAccumulator:
    """Computes weight tables, and the means of row weights, from the training rows."""

    fraction = 1.0

    def __init__(
        self, config: DataConfig, weights: Weights, sources: Sequence[Source], remake: bool
    ) -> None:
        """``config``: with the extra selection of the training; ``sources``: its rows.

        ``remake`` False: tables that the YAML or the run's files have are kept as they are.
        """
        self.needed = _weights_part(config)
        self.fingerprint = pass_fingerprint(self.needed, sources, _weight_settings(weights))
        self._weights = weights
        self._remake = remake
        self._sums = WeightSums()
        self._spectra = None if weights.branches else Spectra(weights)

    def find_fitted(self, old: DataConfig, path: str, keep: bool = False) -> FittedWeights | None:
        """The weights in ``old``, which an earlier run saved at ``path``, if they may be used.

        With ``keep`` they may, whatever files they are of.

        Raises:
            ConfigError: they are to be used as they are, but have other bins or classes.
        """
        if old.weights is None or old.weights.summary is None:
            return None
        if not self._remake:
            log.info("%s: its weights are used as they are (--no-remake-weights)", path)
        elif old.weights.summary.fingerprint == self.fingerprint:
            log.info("%s: weights are up to date", path)
        elif keep:
            log.info("%s: the network goes on with the weights of its first files", path)
        else:
            return None
        tables = _matching_tables(old.weights, self._weights, path)
        return FittedWeights(tables, old.weights.summary)

    def add(self, table: Table, rows: int, path: str) -> None:
        """Add a table of selected rows of the file at ``path``.

        Raises:
            DataError: classes overlap, or a variable or weight is not one number for each row.
        """
        if self._spectra is None:
            self._sums.add(row_weights(table, None, self._weights, path))
        else:
            self._spectra.add(bin_rows(table, self._weights, self.needed, path))

    def result(self) -> FittedWeights:
        """Tables and means.

        Raises:
            DataError: a class has no events, or all weights are 0.
        """
        if self._spectra is None:
            tables = None
            summary = self._sums.summary(self.needed)
        else:
            if self._weights.tables is None or self._remake:
                tables = make_weight_tables(self._spectra, self.needed.source)
            else:
                tables = dict(self._weights.tables)
            _log_weights(self._spectra, tables)
            summary = summarize_weights(self._spectra, tables, self.needed)
        return FittedWeights(tables, replace(summary, fingerprint=self.fingerprint))


def _matching_tables(old: Weights, weights: Weights, path: str) -> Mapping[str, Numbers] | None:
    """The tables of ``old``, if they are of the bins and classes of ``weights``."""
    found = (old.variables, list(old.classes), len(old.branches))
    expected = (weights.variables, list(weights.classes), len(weights.branches))
    if found != expected:
        raise ConfigError(
            f"{path}: its weights are of other variables, bins or classes; "
            "run without --no-remake-weights"
        )
    return old.tables


def _weights_part(config: DataConfig) -> DataConfig:
    """The part of a configuration that weights depend on."""
    needed = replace(restrict_to_inputs(config, {}), weights=config.weights)
    if make_plan(needed, "train").columns:
        return needed
    # weights of file_magic alone: some column must be read to know the number of rows
    group = next(iter(config.inputs.values()))
    group = replace(group, variables=group.variables[:1])
    return replace(needed, inputs={group.name: group})


def _weight_settings(weights: Weights) -> list[Any]:
    """What tables are computed with, beside columns."""
    branches = [branch.source for branch in weights.branches]
    base = None if weights.base is None else weights.base.source
    variables = list(weights.variables.items())
    classes = list(weights.classes.items())
    settings: list[Any] = ["weights", branches, base, variables, classes]
    settings += [weights.method, weights.threshold, weights.discard_outside]
    if weights.target is not None:
        settings.append(weights.target.source)
    return settings


def _log_weights(spectra: Spectra, tables: Mapping[str, Numbers]) -> None:
    """Log what becomes of each class, and of the rows that are of none."""
    weights = spectra.weights
    raw = spectra.values
    classes = counted(len(tables), "class", "classes")
    log.info("weights of %s from %s", classes, counted(spectra.rows, "row"))
    shares = None
    if weights.target is not None:
        shares = target_shares(weights.target, weights.variables, "weights.target")
    for name, table in tables.items():
        total = float((raw[name] * table).sum())
        log.info(
            "  %s: %d rows, %d inside the bins, weights up to %.4g, sum %.6g",
            name,
            spectra.of_class[name],
            spectra.inside[name],
            table.max(),
            total,
        )
        if shares is not None:
            log.info(
                "  %s: %.1f %% of it is not where the target density has it",
                name,
                100 * distance_to(shares, raw[name], table),
            )
        cancelled = int((raw[name] < 0).sum())
        if cancelled:
            log.warning(
                "weights: %s: the base weights add up to less than 0 in %s: rows there have "
                "weight 0",
                name,
                counted(cancelled, "bin"),
            )
    lost = spectra.rows - spectra.inside.total()
    if lost:
        log.warning(
            "weights: %d of %d rows have weight 0: they are %soutside the bins",
            lost,
            spectra.rows,
            "of none of reweight_classes or " if weights.class_columns else "",
        )
