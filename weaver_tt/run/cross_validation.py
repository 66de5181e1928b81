"""k-fold cross-validation: k trainings, each without the k-th of the rows that it predicts."""

from __future__ import annotations

from dataclasses import replace

from weaver_tt.errors import ConfigError
from weaver_tt.options.train import DataOptions, NetworkOptions, RunOptions
from weaver_tt.run.naming import with_tracker_subfolders
from weaver_tt.run_files import RunFiles, fold_name

MAX_FOLDS = 1000  # each is a training


def parse_folds(text: str) -> tuple[str, int]:
    """``--cross-validation event%5`` as its column and the number of folds.

    Raises:
        ConfigError: that is not what it says.
    """
    column, percent, number = text.rpartition("%")
    column = column.strip()
    number = number.strip()
    if not (percent and column and number.isdigit() and 2 <= int(number) <= MAX_FOLDS):
        raise ConfigError(
            f"--cross-validation {text!r}: expected a column and the number of folds, "
            f"at least 2 and at most {MAX_FOLDS}, such as event_number%5"
        )
    return column, int(number)


def fold_options(options: RunOptions) -> list[RunOptions]:
    """The options of the run of each fold; without cross-validation those of the only run.

    Fold i trains and validates on the rows with ``int(column) % k != i`` and predicts the others:
    every row is predicted once, by a network that has not seen it. The files of a fold are
    ``PREFIX_fold-i_*``; ``{fold}`` in ``--load-model-weights`` stands for ``fold-i``.
    """
    if options.train.cross_validation is None:
        return [options]
    column, number = parse_folds(options.train.cross_validation)
    # whole numbers stay whole: as floating-point numbers, event numbers from 2^53 on would share
    # folds with their neighbours (numpy before 2.1 makes such of them in np.floor)
    remainder = f"(({column}) // 1 % {number})"
    return [_options_of_fold(options, remainder, fold) for fold in range(number)]


def _options_of_fold(options: RunOptions, remainder: str, fold: int) -> RunOptions:
    """The options of one fold; ``remainder`` is an expression for the fold that a row is in."""
    name = fold_name(fold)
    return replace(
        options,
        data=_data_of_fold(options.data, f"{remainder} != {fold}", f"{remainder} == {fold}"),
        network=_network_of_fold(options.network, fold),
        # folds must not write over each other
        train=with_tracker_subfolders(options.train, name),
    )


def _data_of_fold(data: DataOptions, training: str, prediction: str) -> DataOptions:
    """The data with the selections of the rows that a fold trains on, and of those it predicts."""
    return replace(
        data,
        extra_selection_train=_combine_selections(data.extra_selection_train, training),
        extra_selection_val=_combine_selections(data.extra_selection_val, training),
        extra_selection_test=_combine_selections(data.extra_selection_test, prediction),
    )


def _network_of_fold(network: NetworkOptions, fold: int) -> NetworkOptions:
    """The network with the prefix of a fold, and the weights that it starts from."""
    weights = network.load_model_weights
    if weights is not None:
        weights = weights.replace("{fold}", fold_name(fold))
    prefix = RunFiles(network.model_prefix).fold(fold).prefix
    return replace(network, model_prefix=prefix, load_model_weights=weights)


def _combine_selections(extra: str | None, condition: str) -> str:
    """Both selections, the first where there is one."""
    if extra is None:
        return condition
    return f"({extra}) & ({condition})"
