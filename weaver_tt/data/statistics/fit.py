"""What the training data says: weight tables, edges of bins and input statistics, in one pass.

They are kept in ``PREFIX.auto.yaml``, each with a fingerprint of the configuration and the files
that it was computed from. Only those that are out of date are computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from weaver_tt.config.decorrelation import decorrelated_inputs
from weaver_tt.config.inputs import with_params
from weaver_tt.config.load import load_config, save_config
from weaver_tt.config.plan import make_plan, with_extra_selection
from weaver_tt.config.schema import (
    Bucketing,
    DataConfig,
    Decorrelation,
    RatioOptions,
    Target,
    Variable,
)
from weaver_tt.data.accounting import LostRows
from weaver_tt.data.chunks import Source
from weaver_tt.data.scan import Scan, scan_files
from weaver_tt.data.statistics.bucketing import BucketEdgesAccumulator
from weaver_tt.data.statistics.decorrelation import DecorrelationAccumulator
from weaver_tt.data.statistics.density_ratio import DensityRatioAccumulator
from weaver_tt.data.statistics.reweighting import (
    FittedWeights,
    WeightsAccumulator,
    describe_weights,
)
from weaver_tt.data.statistics.standardize import StatisticsAccumulator
from weaver_tt.data.statistics.targets import TargetsAccumulator
from weaver_tt.data.statistics.training_pass import Accumulator, accumulate, training_sources
from weaver_tt.formats.file_groups import parse_groups
from weaver_tt.log import log
from weaver_tt.options.train import DataOptions
from weaver_tt.run_files import RunFiles
from weaver_tt.system import distributed


@dataclass(frozen=True, slots=True)
class _Fitted:
    """What was computed or found in the file; None for what the configuration does not need."""

    weights: FittedWeights | None = None
    bucketing: Bucketing | None = None
    decorrelation: Decorrelation | None = None
    density_ratio: RatioOptions | None = None
    variables: Mapping[str, Variable] | None = None
    fingerprint: str | None = None  # of the variables' statistics
    targets: Mapping[str, Target] | None = None
    lost: tuple[LostRows, ...] = ()  # rows of bad files that the pass skipped


def fit_statistics(
    config: DataConfig,
    prefix: str,
    data: DataOptions,
    known: Scan | None = None,
    keep: bool = False,
) -> tuple[DataConfig, Scan]:
    """The configuration with all that the training data says, and the scan of its files.

    Numbers for every ``auto``, the tables of ``weights``, the edges of ``bins: NUMBER``, those of
    decorrelated variables and the sums of weights of a density ratio are those in
    ``PREFIX.auto.yaml`` if they are of this configuration and these files, else computed and
    written there. With ``keep`` those that are there are used whatever files they are of: a network
    that goes on training knows no others. On several ranks the first one does that. The scan,
    ``known`` if it is of these files, is for the loaders, which need not look at the files again.

    Raises:
        ConfigError: a column of ``weights`` is not in the files, or an ``auto`` variable has no
            finite value.
        DataError: nothing passes the selection, a class of ``weights`` has no events, a
            decorrelated variable is constant, a sample of a density ratio has no weight, or the
            files cannot be read.
    """
    path = str(RunFiles(prefix).auto_yaml)
    scan, fitted = distributed.run_on_main(lambda: _scan_and_fit(config, path, data, known, keep))
    # the other ranks take the scan of the first one, if their files lie at the same paths
    scan = scan_training_files(config, data, scan)
    fitted_config = _with_fitted(config, fitted)
    if fitted_config.weights is not None:
        log.info("%s", describe_weights(fitted_config.weights))
    for variable, name in decorrelated_inputs(config).items():
        log.warning(
            "%s: task.decorrelate.variable: the network is given %r by its input %r, and has to "
            "learn not to use it",
            config.source,
            variable,
            name,
        )
    return fitted_config, scan


def scan_training_files(config: DataConfig, data: DataOptions, known: Scan | None = None) -> Scan:
    """The scan of the training files for all columns of the training; ``known`` if it is that."""
    selected = with_extra_selection(config, "train", data.extra_selection_train)
    groups = parse_groups(data.data_train)
    return scan_files(groups, selected, make_plan(selected, "train"), data.on_bad_file, known)


def _scan_and_fit(
    config: DataConfig, path: str, data: DataOptions, known: Scan | None, keep: bool
) -> tuple[Scan, _Fitted]:
    """Scan the files, and bring ``path`` up to date."""
    scan = scan_training_files(config, data, known)
    fitted = _fit(config, path, data, scan, keep)
    is_computed = config.needs_statistics or config.needs_target_statistics
    has_tables = config.weights is not None or config.bucketing is not None
    of_task = config.decorrelation is not None or config.density_ratio is not None
    if is_computed or has_tables or of_task:
        # also where nothing was computed: the rest of the YAML may have changed
        full = _with_fitted(config, fitted)
        save_config(full, path, full.preprocess.params, full.preprocess.fingerprint)
    return replace(scan, lost_in_statistics=fitted.lost), fitted


def _fit(
    config: DataConfig, path: str, data: DataOptions, scan: Scan, keep: bool = False
) -> _Fitted:
    """What ``path`` has that is up to date, and the rest from a pass over the training rows.

    With ``keep`` what it has counts as up to date.
    """
    sources = training_sources(scan, data)
    accumulators = make_accumulators(config, data, sources)
    fitted: dict[str, Any] = {}
    if accumulators and Path(path).is_file():
        old = load_config(path, config.custom_functions)
        for name, accumulator in accumulators.items():
            found = accumulator.find_fitted(old, path, keep)
            if found is not None:
                fitted[name] = found
    outdated = {name: accumulators[name] for name in accumulators if name not in fitted}
    skip_bad = data.on_bad_file == "skip"
    lost = accumulate(list(outdated.values()), sources, skip_bad, scan.types)
    for name, accumulator in outdated.items():
        fitted[name] = accumulator.result()
    fingerprint = None
    if "variables" in outdated:
        fingerprint = outdated["variables"].fingerprint
    elif "variables" in accumulators:
        # that of the files that they are of
        fingerprint = old.preprocess.fingerprint
    return _Fitted(**fitted, fingerprint=fingerprint, lost=tuple(lost))


def make_accumulators(
    config: DataConfig, data: DataOptions, sources: Sequence[Source]
) -> dict[str, Accumulator]:
    """Field of :class:`_Fitted` -> what computes it, for all that the configuration needs."""
    accumulators: dict[str, Accumulator] = {}
    selected = with_extra_selection(config, "train", data.extra_selection_train)
    weights = config.weights
    if weights is not None:
        accumulators["weights"] = WeightsAccumulator(
            selected, weights, sources, remake=data.remake_weights
        )
    bucketing = config.bucketing
    if bucketing is not None and bucketing.inner_edges is None:
        accumulators["bucketing"] = BucketEdgesAccumulator(selected, bucketing, sources)
    if config.decorrelation is not None:
        accumulators["decorrelation"] = DecorrelationAccumulator(selected, sources)
    if config.density_ratio is not None:
        accumulators["density_ratio"] = DensityRatioAccumulator(selected, sources, data.batch_size)
    if config.needs_statistics:
        accumulators["variables"] = StatisticsAccumulator(
            config, sources, data.extra_selection_train
        )
    has_targets = config.labels is not None and bool(config.labels.targets)
    if has_targets or config.regressed_group is not None:
        accumulators["targets"] = TargetsAccumulator(selected, sources, data.extra_selection_train)
    return accumulators


def _with_fitted(config: DataConfig, fitted: _Fitted) -> DataConfig:
    """The configuration with what was fitted."""
    if fitted.weights is not None:
        assert config.weights is not None
        weights = replace(
            config.weights, tables=fitted.weights.tables, summary=fitted.weights.summary
        )
        config = replace(config, weights=weights)
    if fitted.bucketing is not None:
        config = replace(config, bucketing=fitted.bucketing)
    if fitted.decorrelation is not None:
        config = replace(config, decorrelation=fitted.decorrelation)
    if fitted.density_ratio is not None:
        config = replace(config, density_ratio=fitted.density_ratio)
    if fitted.variables is not None:
        config = with_params(config, fitted.variables, fitted.fingerprint)
    if fitted.targets is not None:
        config = replace(config, targets=fitted.targets)
    return config
