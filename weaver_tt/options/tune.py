"""The options of ``weaver-tt tune``."""

from __future__ import annotations

from dataclasses import dataclass, field

from weaver_tt.options.flags import COUNT, flag
from weaver_tt.options.train import RunOptions


@dataclass(kw_only=True)
class TuneOptions:
    """What to vary, what to compare trials by, and where the search is kept."""

    space: str = flag(
        "",
        "YAML of what is varied: options of the network (network:) and of the optimizer "
        "(optimizer:), and flags (flags:)",
        needed=True,
    )
    trials: int = flag(
        20,
        "number of trials in --storage, of all processes and of earlier calls together",
        bounds=COUNT,
        daily=True,
    )
    metric: list[str] = flag(
        [],
        "metric of the best epoch that trials are compared by, or ant, rejection@0.3 / parameters; "
        "--metric auc --metric ant gives a Pareto front (default: the loss)",
        action="append",
        daily=True,
    )
    storage: str = flag(
        "",
        "file of the search, Optuna's journal, which any number of processes may share; it is made "
        "where there is none, and continued otherwise",
        needed=True,
    )
    prune: bool = flag(
        True, "end a trial after an epoch where it is worse than the median of the other trials"
    )
    rungs: str | None = flag(
        None,
        "growing fractions of the data, such as 0.1,0.3,1: each trial is trained on the first, and "
        "on the next one where it is among the best third; instead of --prune",
    )


@dataclass(kw_only=True)
class TuneRun(RunOptions):
    """All options of ``weaver-tt tune``: those of a training, and its own."""

    tune: TuneOptions = field(default_factory=TuneOptions)
