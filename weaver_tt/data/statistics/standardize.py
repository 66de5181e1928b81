"""Center and scale of the ``auto`` variables, from the training data and never from any other.

They are kept beside the model, in ``PREFIX.auto.yaml``.
"""

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
from weaver_tt.data.statistics.decorrelation import provisional_bins, with_fitted_bins
from weaver_tt.data.statistics.density_ratio import provisional_sums, with_fitted_sums
from weaver_tt.data.statistics.fingerprint import pass_config_fingerprint, pass_fingerprint
from weaver_tt.data.statistics.reservoir import Reservoir
from weaver_tt.data.statistics.targets import provisional_targets, with_fitted_targets
from weaver_tt.data.statistics.training_pass import restrict_to_inputs
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.expressions.elementwise import JaggedColumn, as_flat, fill_missing
from weaver_tt.log import SHOWN_OTHERWISE, log
from weaver_tt.run_files import RunFiles
from weaver_tt.system.wording import counted

# relative to its center: a width of a few roundings of float32
UNRESOLVED = 4 * float(np.finfo(np.float32).eps)
# values of a variable that quantiles are exact up to; of more, a random choice (good to 0.05 %)
SAMPLE_VALUES = 1_000_000
SEED = 20_200_131  # of that choice: the same data gives the same numbers whatever --seed is


def auto_names(config: DataConfig) -> list[str]:
    """Variables whose center is to be computed, each once."""
    names: dict[str, None] = {}
    for group in config.inputs.values():
        for variable in group.variables:
            if variable.center == "auto":
                names[variable.name] = None
    return list(names)


def auto_part(config: DataConfig) -> DataConfig:
    """The part of a configuration that statistics depend on: ``auto`` variables and selections."""
    groups = {}
    for name, group in config.inputs.items():
        variables = tuple(variable for variable in group.variables if variable.center == "auto")
        if variables:
            groups[name] = replace(group, variables=variables)
    return restrict_to_inputs(config, groups)


class StatisticsAccumulator:
    """Finds center = median and scale = 1 / max(p84 - p50, p50 - p16) of every ``auto`` variable.

    The scale is 1 where these quantiles are equal, to single precision. Values that are not finite
    do not count. Quantiles are exact up to ``capacity`` values of a variable, then those of a
    random choice of as many.
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

    def find_fitted(
        self, old: DataConfig, path: str, keep: bool = False
    ) -> dict[str, Variable] | None:
        """The statistics in ``old``, which an earlier run saved at ``path``, if up to date.

        With ``keep`` also if not.
        """
        up_to_date = old.preprocess.fingerprint == self.fingerprint
        if not up_to_date and not keep:
            log.info(
                "%s: made from another configuration or other files; "
                "the statistics are computed anew",
                path,
            )
            return None
        if up_to_date:
            log.info("%s: statistics are up to date", path)
        else:
            log.info("%s: the network goes on with the statistics of its first files", path)
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
        log.info(
            "statistics of %s from %s",
            counted(len(self._samples), "variable"),
            counted(self._rows, "row"),
        )
        numbers = {}
        for name, sample in self._samples.items():
            numbers[name] = _fit_variable(name, sample, source)
        return with_fitted_numbers(self._config, numbers)


def provisional_statistics(config: DataConfig, tables: Sequence[Table]) -> DataConfig:
    """``config`` with a number for every ``auto``, from a few rows, to try the rest out with.

    A variable without a finite value in ``tables`` is left unscaled.

    Raises:
        DataError: a variable is not made of numbers.
    """
    numbers = {}
    for name in auto_names(config):
        parts = [flat_values(table[name], name) for table in tables]
        values = np.concatenate([np.zeros(0), *parts])
        finite = values[np.isfinite(values)]
        if len(finite):
            center, spread = center_and_spread(finite)
        else:
            center, spread = 0.0, 1.0
        numbers[name] = Variable(name=name, center=center, scale=1.0 / spread)
    config = provisional_targets(config, tables)
    config = provisional_bins(config, tables)
    config = provisional_sums(config, tables)
    return with_params(config, with_fitted_numbers(config, numbers), None)


def flat_values(values: Any, name: str) -> npt.NDArray[Any]:
    """All numbers of a column, whatever its nesting: (M,); NaN for a missing one."""
    found = as_flat(fill_missing(values))
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
            f"{source}: inputs: {name!r} has no finite value in the training data; "
            "nothing to compute its center from"
        )
    center, spread = center_and_spread(sample.values())
    text = "  %s: center %.6g, scale 1 / %.6g, from %d values"
    # files of NanoAOD have a hundred: on a terminal nothing else would be seen
    log.info(text, name, center, spread, sample.seen, extra=SHOWN_OTHERWISE)
    return Variable(name=name, center=center, scale=1.0 / spread)


def center_and_spread(values: npt.NDArray[Any]) -> tuple[float, float]:
    """Median and half the width of the central 68 % of finite ``values`` (M,), M > 0.

    The width counts as 1 where values are equal, or as close as single precision rounds them.
    """
    low, center, high = np.percentile(values, [16, 50, 84]).tolist()
    # of the wider side, so that the central 68 % of the values lie between -1 and 1
    spread = max(high - center, center - low)
    # what is scaled is float32: a spread that it does not resolve would scale rounding to order one
    if spread <= UNRESOLVED * abs(center):
        return center, 1.0
    return center, spread


def load_statistics(config: DataConfig, model: str) -> DataConfig:
    """The configuration with the statistics of a trained network, for prediction and export.

    Nothing is ever computed from other data. ``model`` is any file of the run
    (``PREFIX_best_epoch_state.pt``, ``PREFIX_member-3_epoch-7_state.pt``), its PREFIX, or
    ``model.onnx``.

    Raises:
        ConfigError: a variable is ``auto``, and no ``PREFIX.auto.yaml`` with its numbers is there.
    """
    needs_numbers = config.needs_statistics or config.needs_target_statistics
    needs_numbers = needs_numbers or config.needs_class_sums
    if not needs_numbers and not config.needs_bins:
        return config
    files = RunFiles.of(model)
    # the members of an ensemble share the statistics of their run
    candidates = [str(files.auto_yaml), str(files.run.auto_yaml)]
    places = list(dict.fromkeys(candidates))
    present = [place for place in places if Path(place).is_file()]
    if not present:
        if not needs_numbers:
            # bins are for metrics alone, which can be done without
            return config
        names = auto_names(config)
        names += [f"task.targets.{name}" for name in config.targets if not names]
        if not names:
            names = ["the sums of weights of task density_ratio"]
        raise ConfigError(
            f"{config.source}: {', '.join(names)}: 'auto' needs the statistics of the training, "
            f"and there is no {' or '.join(places)}"
        )
    path = present[0]
    of_training = load_config(path, config.custom_functions)
    config = replace(config, targets=with_fitted_targets(config.targets, of_training.targets))
    config = with_fitted_bins(config, of_training)
    config = with_fitted_sums(config, of_training)
    if config.needs_class_sums:
        raise ConfigError(
            f"{path}: has no sums of weights of the two samples of {config.source}; it is of a "
            "network that was trained for something else"
        )
    if config.needs_target_statistics:
        raise ConfigError(
            f"{path}: has no mean and deviation of targets that {config.source} standardises; it "
            "is of a network that was trained without"
        )
    if not config.needs_statistics:
        return config
    found = of_training.preprocess
    if not _is_of_config(found.fingerprint, config):
        log.warning(
            "%s: the network was trained with other variables or selections than those of %s",
            path,
            config.source,
        )
    return with_params(config, with_fitted_numbers(config, found.params), found.fingerprint)


def _is_of_config(fingerprint: str | None, config: DataConfig) -> bool:
    """Whether statistics of this fingerprint are of ``config``, as far as is known."""
    if fingerprint is None:
        # written by Weaver
        return True
    of_config, *_ = fingerprint.split("-")
    return of_config == statistics_config_fingerprint(config)


def statistics_fingerprint(
    config: DataConfig, sources: Sequence[Source], extra: str | None = None
) -> str:
    """Short hashes ``CONFIG-FILES`` of what statistics depend on.

    The ``extra`` selection of the training, which prediction need not repeat, is hashed with the
    files.
    """
    return pass_fingerprint(auto_part(config), sources, _settings(config), extra)


def statistics_config_fingerprint(config: DataConfig) -> str:
    """Short hash of the parts of a configuration that its statistics depend on."""
    return pass_config_fingerprint(auto_part(config), _settings(config))


def _settings(config: DataConfig) -> list[Any]:
    """What statistics are computed with, beside columns."""
    return [auto_names(config), config.preprocess.data_fraction, SAMPLE_VALUES]
