"""The weights of a run: computed once from the training data, kept in ``PREFIX.auto.yaml``, taken from there as long as they are still right."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from weaver_tt.config.load import load_config
from weaver_tt.config.plan import dependency_order, make_plan, with_extra_selection
from weaver_tt.config.schema import DataConfig, Weights, WeightSummary
from weaver_tt.data.rows.table import file_name
from weaver_tt.data.statistics import training_pass
from weaver_tt.data.statistics.sampling import repeats_per_row
from weaver_tt.data.statistics.spectra import Numbers, Spectra, bin_rows
from weaver_tt.data.statistics.weight_tables import (
    WeightSums,
    make_weight_tables,
    row_weights,
    summarize_weights,
)
from weaver_tt.errors import BadFileError, ConfigError, DataError
from weaver_tt.formats.file_groups import parse_groups
from weaver_tt.formats.open_reader import open_reader
from weaver_tt.log import log
from weaver_tt.options.train import DataOptions
from weaver_tt.run_files import RunFiles

FoundWeights = tuple[dict[str, Numbers] | None, WeightSummary]


def prepare_weights(config: DataConfig, prefix: str, data: DataOptions) -> DataConfig:
    """The configuration with the tables of ``weights``: those in ``PREFIX.auto.yaml`` if they are of this configuration and these files (or anyway,
    with ``--no-remake-weights``), else computed. On several ranks the first one does that. To be called before ``prepare_statistics``, which
    writes them to that file.

    :raises ConfigError: a column of ``weights`` is not in the files.
    :raises DataError: a class has no events, classes overlap, a variable is not one number for each row, or all weights are 0.
    """
    if config.weights is None:
        return config
    tables, measured = training_pass.run_on_main(
        lambda: _find_weights(config, str(RunFiles(prefix).auto_yaml), data)
    )
    weights = replace(config.weights, tables=tables, summary=measured)
    log.info("%s", describe_weights(weights))
    return replace(config, weights=weights)


def describe_weights(weights: Weights) -> str:
    """What the weights mean for an epoch, in words."""
    measured = weights.summary
    assert measured is not None
    if weights.mode == "loss":
        return f"weights: the loss of a row counts weight / {measured.mean:.4g}, the mean weight of {measured.rows:,} rows (mode loss)"
    times = repeats_per_row(measured)
    much = f"an epoch has about {measured.rows * measured.kept * times:,.0f} rows drawn from {measured.rows:,} selected ones"
    return f"weights: a row is drawn {times} x min(weight, 1) times, the mean of which is {times * measured.kept:.4g}: {much} (mode sampling)"


def _find_weights(config: DataConfig, path: str, data: DataOptions) -> FoundWeights:
    """Tables and means for this configuration and these files."""
    weights = config.weights
    assert weights is not None
    old = load_config(path, config.custom_functions).weights if Path(path).is_file() else None
    if not data.remake_weights and old is not None and old.summary is not None:
        log.info("%s: its weights are used as they are (--no-remake-weights)", path)
        return _matching_tables(old, weights, path), old.summary
    needed = _weights_part(with_extra_selection(config, "train", data.extra_selection_train))
    _check_columns(needed, data)
    sources = training_pass.training_sources(needed, data)
    now = training_pass.pass_fingerprint(needed, sources, _weight_settings(weights))
    if old is not None and old.summary is not None and old.summary.fingerprint == now:
        log.info("%s: weights are up to date", path)
        return _matching_tables(old, weights, path), old.summary
    given = None if data.remake_weights else weights.tables
    tables, measured = _compute_weights(needed, sources, given, skip_bad=data.on_bad_file == "skip")
    return tables, replace(measured, fingerprint=now)


def _matching_tables(old: Weights, weights: Weights, path: str) -> dict[str, Numbers] | None:
    """The tables of ``old``, if they are of the bins and classes of ``weights``."""
    if (old.variables, list(old.classes), len(old.branches)) != (
        weights.variables,
        list(weights.classes),
        len(weights.branches),
    ):
        raise ConfigError(
            f"{path}: its weights are of other variables, bins or classes; run without --no-remake-weights"
        )
    return None if old.tables is None else dict(old.tables)


def _weights_part(config: DataConfig) -> DataConfig:
    """The part of a configuration that weights depend on."""
    needed = replace(training_pass.restrict_to_inputs(config, {}), weights=config.weights)
    if make_plan(needed, "train").columns:
        return needed
    # file_magic alone: a column must be read to know the rows
    group = next(iter(config.inputs.values()))
    return replace(needed, inputs={group.name: replace(group, variables=group.variables[:1])})


def _check_columns(config: DataConfig, data: DataOptions) -> None:
    """Raise ConfigError that names the key where a column is not in the first file."""
    weights = config.weights
    assert weights is not None
    keys: dict[str, list[str]] = {
        "reweight_classes": list(weights.classes),
        "reweight_vars": list(weights.variables),
    }
    with (
        suppress(BadFileError),
        open_reader(parse_groups(data.data_train)[0].paths[0], config.treename) as reader,
    ):
        for key, names in keys.items():
            raw = [
                name
                for name in dependency_order(config, names)
                if name not in config.new_variables and name not in config.file_magic
            ]
            try:
                reader.resolve([file_name(name, config) for name in raw])
            except BadFileError:
                raise
            except DataError as error:
                raise ConfigError(f"{config.source}: weights.{key}: {error}") from error


def _weight_settings(weights: Weights) -> list[Any]:
    """What tables are computed with, beside columns."""
    branches = [branch.source for branch in weights.branches]
    base = None if weights.base is None else weights.base.source
    lists = [list(weights.variables.items()), list(weights.classes.items())]
    return [
        "weights",
        branches,
        base,
        *lists,
        weights.method,
        weights.threshold,
        weights.discard_outside,
    ]


def _compute_weights(
    config: DataConfig, sources: Any, given: Any, *, skip_bad: bool
) -> FoundWeights:
    """Tables (``given`` ones as they are) and means from a pass over the rows of ``sources``."""
    weights = config.weights
    assert weights is not None
    if weights.branches:
        sums = WeightSums()
        for table, rows, path in training_pass.selected_tables(config, sources, skip_bad):
            if rows:
                sums.add(row_weights(table, None, weights, path))
        return None, sums.summary(config)
    spectra = Spectra(weights)
    for table, rows, path in training_pass.selected_tables(config, sources, skip_bad):
        if rows:
            spectra.add(bin_rows(table, weights, config, path))
    tables = make_weight_tables(spectra, config.source) if given is None else dict(given)
    _log_weights(spectra, tables)
    return tables, summarize_weights(spectra, tables, config)


def _log_weights(spectra: Spectra, tables: dict[str, Numbers]) -> None:
    """Log what becomes of each class, and of the rows that are of none."""
    raw = spectra.values
    log.info("weights of %d classes from %d rows", len(tables), spectra.rows)
    for name, table in tables.items():
        have, inside, total = (
            spectra.of_class[name],
            spectra.inside[name],
            float((raw[name] * table).sum()),
        )
        log.info(
            "  %s: %d rows, %d inside the bins, weights up to %.4g, sum %.6g",
            name,
            have,
            inside,
            table.max(),
            total,
        )
    if lost := spectra.rows - spectra.inside.total():
        log.warning(
            "weights: %d of %d rows have weight 0: they are of none of reweight_classes or outside the bins",
            lost,
            spectra.rows,
        )
