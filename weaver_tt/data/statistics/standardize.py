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
from weaver_tt.config.load import load_config
from weaver_tt.config.plan import with_extra_selection
from weaver_tt.config.schema import DataConfig, Variable
from weaver_tt.data.chunks import Source
from weaver_tt.data.rows.table import Table
from weaver_tt.data.statistics.fingerprint import pass_config_fingerprint, pass_fingerprint
from weaver_tt.data.statistics.reservoir import Reservoir
from weaver_tt.data.statistics.training_pass import restrict_to_inputs
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.expressions.elementwise import JaggedColumn, as_flat
from weaver_tt.log import log
from weaver_tt.run_files import RunFiles

SAMPLE_VALUES = 1_000_000  # values of a variable that quantiles are exact up to; of more, a random choice (quantiles good to 0.05 %)
SEED = 20_200_131  # of that choice: the same data gives the same numbers whatever --seed is


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
    return restrict_to_inputs(
        config, {name: group for name, group in groups.items() if group.variables}
    )


class StatisticsAccumulator:
    """Finds center = median and scale = 1 / max(p84 - p50, p50 - p16) of every ``auto`` variable.

    The scale is 1 where all values are equal. Values that are not finite do not count. Quantiles
    are exact up to ``capacity`` values of a variable, then those of a random choice of as many.
    """

    def __init__(
        self,
        config: DataConfig,
        sources: Sequence[Source],
        extra: str | None = None,
        capacity: int = SAMPLE_VALUES,
    ) -> None:
        """``sources``: the rows of the training; ``extra``: its extra selection."""
        self.needed = auto_part(with_extra_selection(config, "train", extra))
        self.fraction = config.preprocess.data_fraction
        self.fingerprint = statistics_fingerprint(config, sources, extra)
        self._config = config
        self._samples: dict[str, Reservoir] = {}
        for index, name in enumerate(auto_names(config)):
            self._samples[name] = Reservoir(capacity, SEED + index)
        self._rows = 0

    def find_fitted(self, old: DataConfig, path: str) -> dict[str, Variable] | None:
        """The statistics in ``old``, which an earlier run saved at ``path``, if up to date."""
        if old.preprocess.fingerprint != self.fingerprint:
            log.info(
                "%s: made from another configuration or other files; "
                "the statistics are computed anew",
                path,
            )
            return None
        log.info("%s: statistics are up to date", path)
        return with_fitted_numbers(self._config, old.preprocess.params)

    def add(self, table: Table, rows: int, path: str) -> None:
        """Add a table of ``rows`` selected rows of the file at ``path``.

        Raises:
            DataError: a variable is not made of numbers.
        """
        self._rows += rows
        for name, sample in self._samples.items():
            values = flat_values(table[name], name)
            sample.add(values[np.isfinite(values)])

    def result(self) -> dict[str, Variable]:
        """Name -> variable with its center and scale.

        Raises:
            ConfigError: a variable has no finite value.
            DataError: there was no row.
        """
        source = self._config.source
        if self._rows == 0:
            raise DataError(
                f"{source}: no row of the training data passes the selection; "
                "nothing to compute statistics from"
            )
        log.info("statistics of %d variables from %d rows", len(self._samples), self._rows)
        numbers = {}
        for name, sample in self._samples.items():
            numbers[name] = _fit_variable(name, sample, source)
        return with_fitted_numbers(self._config, numbers)


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
    return pass_fingerprint(auto_part(config), sources, _settings(config), extra)


def statistics_config_fingerprint(config: DataConfig) -> str:
    """The parts of a configuration that its statistics depend on, in short."""
    return pass_config_fingerprint(auto_part(config), _settings(config))


def _settings(config: DataConfig) -> list[Any]:
    return [auto_names(config), config.preprocess.data_fraction, SAMPLE_VALUES]
