"""k-fold cross-validation: k trainings, each without a k-th of the rows, which it then predicts."""

from __future__ import annotations

from dataclasses import replace

from weaver_tt.errors import ConfigError
from weaver_tt.options.train import RunOptions
from weaver_tt.run.naming import with_tracker_subfolders
from weaver_tt.run_files import RunFiles, fold_name


def parse_folds(text: str) -> tuple[str, int]:
    """``--cross-validation event%5`` -> the variable and k; ConfigError where it is not such."""
    variable, percent, number = text.rpartition("%")
    if not (percent and variable.strip() and number.strip().isdigit() and int(number) >= 2):
        raise ConfigError(
            f"--cross-validation {text!r}: expected a column and the number of folds, at least 2, such as event_number%5"
        )
    return variable.strip(), int(number)


def fold_options(options: RunOptions) -> list[RunOptions]:
    """The options of each fold's run; of the only one without cross-validation.

    Fold i trains and validates on the rows with ``int(variable) % k != i`` and predicts the others: every row is predicted once, by a network that
    has not seen it. Its files are ``PREFIX_fold-i_*``; ``{fold}`` in ``--load-model-weights`` stands for ``fold-i``.
    """
    if options.train.cross_validation is None:
        return [options]
    variable, number = parse_folds(options.train.cross_validation)
    return [
        _options_of_fold(options, f"(np.floor({variable}) % {number})", fold)
        for fold in range(number)
    ]


def _options_of_fold(options: RunOptions, remainder: str, fold: int) -> RunOptions:
    """One fold's options."""
    data, train, network = options.data, options.train, options.network
    seen, held_out = f"{remainder} != {fold}", f"{remainder} == {fold}"
    return replace(
        options,
        data=replace(
            data,
            extra_selection_train=_combine_selections(data.extra_selection_train, seen),
            extra_selection_val=_combine_selections(data.extra_selection_val, seen),
            extra_selection_test=_combine_selections(data.extra_selection_test, held_out),
        ),
        network=replace(
            network,
            model_prefix=RunFiles(network.model_prefix).fold(fold).prefix,
            load_model_weights=network.load_model_weights
            and network.load_model_weights.replace("{fold}", fold_name(fold)),
        ),
        train=with_tracker_subfolders(train, fold_name(fold)),
    )


def _combine_selections(extra: str | None, condition: str) -> str:
    return condition if extra is None else f"({extra}) & ({condition})"
