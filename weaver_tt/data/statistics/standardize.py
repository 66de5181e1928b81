"""Center and scale of the ``auto`` variables, from the training data and never from any other; kept beside the model as ``PREFIX.auto.yaml``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from weaver_tt.config.inputs import with_fitted_numbers, with_params
from weaver_tt.config.load import load_config, save_config
from weaver_tt.config.plan import with_extra_selection
from weaver_tt.config.schema import DataConfig, Variable
from weaver_tt.data.chunks import Source
from weaver_tt.data.statistics import training_pass
from weaver_tt.data.statistics.reservoir import Reservoir
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.expressions.elementwise import JaggedColumn, as_flat
from weaver_tt.log import log
from weaver_tt.options.train import DataOptions
from weaver_tt.run_files import RunFiles

SAMPLE_VALUES = 1_000_000  # values of a variable that quantiles are exact up to; of more, a random choice (quantiles good to 0.05 %)
SEED = 20_200_131  # of that choice: the same data gives the same numbers whatever --seed is


def prepare_statistics(config: DataConfig, prefix: str, data: DataOptions) -> DataConfig:
    """The configuration with numbers for every ``auto``: those in ``PREFIX.auto.yaml`` if they are of this configuration and these files, else
    computed and written there, together with the weights and bucket edges that ``config`` has. On several ranks the first one does that.

    :raises ConfigError: a variable has no finite value.
    :raises DataError: nothing passes the selection, or the files cannot be read.
    """
    if not (config.needs_statistics or config.weights or config.bucketing):
        return config
    training_pass.run_on_main(lambda: _update_file(config, str(RunFiles(prefix).auto_yaml), data))
    return load_statistics(config, prefix)


def _update_file(config: DataConfig, path: str, data: DataOptions) -> None:
    """Make ``path`` hold the statistics of this configuration and these files."""
    if not config.needs_statistics:
        save_config(config, path, config.preprocess.params, config.preprocess.fingerprint)
        return
    selected = with_extra_selection(config, "train", data.extra_selection_train)
    sources = training_pass.training_sources(auto_part(selected), data)
    now = statistics_fingerprint(config, sources, data.extra_selection_train)
    params = _read_cached(config, path, now)
    if params is None:
        params = compute_statistics(selected, sources, skip_bad=data.on_bad_file == "skip")
    save_config(config, path, params, now)


def _read_cached(config: DataConfig, path: str, now: str) -> dict[str, Variable] | None:
    """The statistics in ``path``, if their fingerprint is ``now``."""
    if not Path(path).is_file():
        return None
    found = load_config(path, config.custom_functions).preprocess
    if found.fingerprint != now:
        log.info(
            "%s: made from another configuration or other files; the statistics are computed anew",
            path,
        )
        return None
    log.info("%s: statistics are up to date", path)
    return with_fitted_numbers(config, found.params)


def auto_names(config: DataConfig) -> list[str]:
    """Variables whose center is to be computed, each once."""
    return list(
        dict.fromkeys(
            variable.name
            for group in config.inputs.values()
            for variable in group.variables
            if variable.center == "auto"
        )
    )


def auto_part(config: DataConfig) -> DataConfig:
    """The part of a configuration that statistics depend on: ``auto`` variables and selections, no labels, weights or observers."""
    groups = {
        name: replace(
            group,
            variables=tuple(variable for variable in group.variables if variable.center == "auto"),
        )
        for name, group in config.inputs.items()
    }
    return training_pass.restrict_to_inputs(
        config, {name: group for name, group in groups.items() if group.variables}
    )


def compute_statistics(
    config: DataConfig,
    sources: Sequence[Source],
    *,
    skip_bad: bool = False,
    capacity: int = SAMPLE_VALUES,
) -> dict[str, Variable]:
    """Every ``auto`` variable with center = median and scale = 1 / max(p84 - p50, p50 - p16), or 1 where all values are equal.

    Streams the selected rows of ``sources``, of each stretch the first ``data_fraction``; non-finite values do not count. Quantiles are exact
    up to ``capacity`` values of a variable, then those of a random choice of that many.

    :raises ConfigError: a variable has no finite value.
    :raises DataError: nothing passes the selection.
    """
    needed = auto_part(config)
    names = auto_names(config)
    samples = {name: Reservoir(capacity, SEED + index) for index, name in enumerate(names)}
    rows = 0
    for table, selected, _ in training_pass.selected_tables(
        needed, sources, skip_bad, config.preprocess.data_fraction
    ):
        rows += selected
        for name in names if selected else ():
            values = flat_values(table[name], name)
            samples[name].add(values[np.isfinite(values)])
    if rows == 0:
        raise DataError(
            f"{config.source}: no row of the training data passes the selection; nothing to compute statistics from"
        )
    log.info("statistics of %d variables from %d rows", len(names), rows)
    return with_fitted_numbers(
        config,
        {name: _fit_variable(name, sample, config.source) for name, sample in samples.items()},
    )


def flat_values(values: Any, name: str) -> npt.NDArray[Any]:
    """All numbers of a column, whatever its nesting: (M,)."""
    found = as_flat(values)
    found = found.content if isinstance(found, JaggedColumn) else found
    if isinstance(found, ak.Array):
        found = ak.to_numpy(ak.drop_none(ak.flatten(found, axis=None)))
    found = np.asarray(found).reshape(-1)
    if found.dtype.kind not in "biuf":
        raise DataError(f"input variable {name!r}: expected numbers, found {found.dtype}")
    return found


def _fit_variable(name: str, sample: Reservoir, source: str) -> Variable:
    """Center and scale from a sample."""
    if sample.seen == 0:
        raise ConfigError(
            f"{source}: inputs: {name!r} has no finite value in the training data; nothing to compute its center from"
        )
    low, center, high = (float(value) for value in np.percentile(sample.values(), [16, 50, 84]))
    spread = max(high - center, center - low)
    log.info(
        "  %s: center %.6g, scale 1 / %.6g, from %d values",
        name,
        center,
        spread or 1.0,
        sample.seen,
    )
    return Variable(name=name, center=center, scale=1.0 if spread == 0 else 1.0 / spread)


def load_statistics(config: DataConfig, model: str) -> DataConfig:
    """The configuration with the statistics of a trained network, for prediction and export; nothing is ever computed from other data.

    :param model: any file of the run (``PREFIX_best_epoch_state.pt``, ``PREFIX_member-3_epoch-7_state.pt``), its PREFIX, or ``model.onnx``.
    :raises ConfigError: some variable is ``auto`` and no ``PREFIX.auto.yaml`` with its numbers is there.
    """
    if not config.needs_statistics:
        return config
    files = RunFiles.of(model)
    places = [str(path) for path in dict.fromkeys((files.auto_yaml, files.run.auto_yaml))]
    path = next((place for place in places if Path(place).is_file()), None)
    if path is None:
        names = ", ".join(auto_names(config))
        raise ConfigError(
            f"{config.source}: {names}: 'auto' needs the statistics of the training, and there is no {' or '.join(places)}"
        )
    found = load_config(path, config.custom_functions).preprocess
    if found.fingerprint is not None and found.fingerprint.split("-")[
        0
    ] != statistics_config_fingerprint(config):
        log.warning(
            "%s: the network was trained with other variables or selections than those of %s",
            path,
            config.source,
        )
    return with_params(config, with_fitted_numbers(config, found.params), found.fingerprint)


def statistics_fingerprint(
    config: DataConfig, sources: Sequence[Source], extra: str | None = None
) -> str:
    """What statistics depend on, in short: ``CONFIG-FILES`` (see :mod:`weaver_tt.data.statistics.training_pass`); the ``extra`` selection of the run, which
    prediction need not repeat, counts among the latter."""
    return training_pass.pass_fingerprint(auto_part(config), sources, _settings(config), extra)


def statistics_config_fingerprint(config: DataConfig) -> str:
    """The parts of a configuration that its statistics depend on, in short."""
    return training_pass.pass_config_fingerprint(auto_part(config), _settings(config))


def _settings(config: DataConfig) -> list[Any]:
    return [auto_names(config), config.preprocess.data_fraction, SAMPLE_VALUES]
