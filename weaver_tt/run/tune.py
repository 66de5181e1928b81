"""``weaver-tt tune``: a search for the best settings, trial by trial, each an ordinary training.

Optuna keeps the search in a journal file and proposes the trials (TPE). Any number of processes
share the file: each takes the next trial until there are enough. A worker signs its trial with a
sign of life every minute; where that stops, or its process is gone, the next worker that asks for
a trial continues the training from its last checkpoint.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from weaver_tt.config.load import load_config
from weaver_tt.data.accounting import BadFile
from weaver_tt.engine.fit import Pruned
from weaver_tt.errors import ConfigError, OutputError, WeaverError
from weaver_tt.log import SHOWN_OTHERWISE, configure_log, format_metrics, log, quiet_terminal
from weaver_tt.metrics.direction import Direction
from weaver_tt.network.network import build_network
from weaver_tt.options.flags import check_bounds
from weaver_tt.options.train import RunOptions
from weaver_tt.options.tune import TuneOptions, TuneRun
from weaver_tt.run.bad_files import unite_bad_files
from weaver_tt.run.checks import check_config, check_options, is_continuation
from weaver_tt.run.launch import needs_ranks
from weaver_tt.run.naming import AUTO, seed_of_member, with_tracker_subfolders
from weaver_tt.run.preflight import check_training, thrown_away
from weaver_tt.run.run import run_on_this_process
from weaver_tt.run.run_card import recorded_parameters
from weaver_tt.run.screen import has_screen
from weaver_tt.run.task import make_run_task
from weaver_tt.run.training import TrainingResult
from weaver_tt.run.tune_goals import Goals, find_goals, goal_values, measured_metric
from weaver_tt.run.tune_space import Space, flags_of, load_space
from weaver_tt.run.unused_flags import kind_of_run
from weaver_tt.run_files import RunFiles
from weaver_tt.system.signals import end_early, interruption
from weaver_tt.system.study_file import STUDY_NAME, open_journal, taking_turns
from weaver_tt.system.user_code import user_errors
from weaver_tt.system.wording import counted

if TYPE_CHECKING:
    from weaver_tt.run.tune_screen import SearchScreen

SIGN_OF_LIFE_SECONDS = 60.0
LOST_AFTER_SECONDS = 300.0
# a trial that kills its worker each time, such as by its memory, is not tried for ever
MOST_ATTEMPTS = 3
# of the trials that reach a rung, the best one in so many goes on to the next
RUNG_REDUCTION = 3

# what is kept of a trial beside its parameters and its metric
WORKER = "worker"
SIGN_OF_LIFE = "sign_of_life"  # seconds since 1970
PREFIX = "prefix"
CONTINUES = "continues"  # the number of the trial that a lost worker has left
ATTEMPT = "attempt"
BEST = "best"
PARAMETERS = "parameters"  # trainable ones of a network
MESSAGE = "message"
# and of the search
SEARCH = "search"


@dataclass(frozen=True, slots=True)
class TuneResult:
    """What this process has done: its trials, and the bad files that rows were left out of."""

    trials: list[int]
    bad_files: Sequence[BadFile] = ()


@dataclass(frozen=True)
class Search:
    """What all trials have in common: the options of a training, and what is varied and judged."""

    options: RunOptions
    space: Space
    goals: Goals
    rungs: Sequence[float]  # fractions of the data; empty without
    prunes_epochs: bool

    def describe(self) -> dict[str, Any]:
        """What must be the same in all processes."""
        # by their names: a folder may be moved, or lie elsewhere on another machine
        return {
            "space": self.space.describe(),
            "metric": list(self.goals),
            "rungs": list(self.rungs),
            "network": Path(self.options.network.network_config).name,
            "data": Path(self.options.data.data_config).name,
        }


def run_tune(options: TuneRun) -> TuneResult:
    """Run trials until the search has as many as ``--trials``.

    Raises:
        ConfigError: flags, space or metrics do not fit, or no trial could be trained.
        Interrupted: a signal or ``--max-time`` has asked for the end; the next call goes on.
    """
    check_tune_options(options)
    # each trial has a log of its own beside it
    configure_log(file=options.train.log)
    space = load_space(options.tune.space)
    search = prepare_search(trial_template(options), space, options.tune)
    study = open_study(options.tune.storage, search)
    check_prefixes(study, search)
    done: list[int] = []
    bad_files: list[Sequence[BadFile]] = []
    screen = make_screen(options, search, study)
    while True:
        asked_by = interruption()
        if asked_by is not None:
            end_early(asked_by)
        trial = next_trial(study, options, search)
        if trial is None:
            break
        done.append(trial.number)
        began = time.monotonic()
        try:
            # a screen has a row for each trial, and not the screen of each training
            with quiet_terminal() if screen is not None else nullcontext():
                bad_files.append(run_trial(study, trial, search))
        finally:
            # the training's log is closed
            configure_log(file=options.train.log)
        if screen is not None:
            show_trial(screen, study, trial.number, time.monotonic() - began)
    report_best(study, search, screen)
    return TuneResult(done, unite_bad_files(bad_files))


# --- on a terminal


def make_screen(options: TuneRun, search: Search, study: Any) -> SearchScreen | None:
    """The screen of this process, which shows what is searched for; None without a terminal."""
    if not has_screen():
        return None
    # only where there is a terminal
    from weaver_tt.run.tune_screen import SearchScreen

    screen = SearchScreen(options, search.space, search.goals)
    screen.show_header(len(study.get_trials(deepcopy=False)))
    return screen


def show_trial(screen: SearchScreen, study: Any, number: int, seconds: float) -> None:
    """Show how a trial of this process has ended."""
    trials = study.get_trials(deepcopy=False)
    best = {trial.number for trial in best_trials(study)}
    screen.show_trial(trials[number], seconds, number in best)


def best_trials(study: Any) -> list[Any]:
    """The best trial, or those of the Pareto front; none before one is complete."""
    from optuna.trial import TrialState

    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        return []
    return list(study.best_trials)


# --- before the first trial


def check_tune_options(options: TuneRun) -> None:
    """Check what needs no file.

    Raises:
        ConfigError: a flag is missing, or does not fit a search.
    """
    tune = options.tune
    needed = {"--space": tune.space, "--storage": tune.storage}
    missing = [flag for flag, value in needed.items() if not value]
    if missing:
        raise ConfigError(f"{' and '.join(missing)} must be given (see --help)")
    check_bounds(tune)
    kind = kind_of_run(options)
    if kind != "a training" or is_continuation(options):
        flag = kind if kind != "a training" else "--resume and --load-epoch"
        raise ConfigError(f"{flag}: the trials of tune are trainings that start afresh")
    if options.train.overwrite:
        raise ConfigError("--overwrite: a new search has another --storage")
    if needs_ranks(options) or options.train.backend:
        raise ConfigError(
            "a trial is trained by one process on one GPU; start weaver-tt tune several times with "
            "the same --storage, each with a --gpus of its own"
        )
    parse_rungs(tune.rungs)
    if tune.rungs and len(tune.metric) > 1:
        raise ConfigError("--rungs: trials can be compared on the way by a single --metric only")


def parse_rungs(text: str | None) -> list[float]:
    """The fractions of ``--rungs``.

    Raises:
        ConfigError: they are no growing fractions.
    """
    if text is None:
        return []
    try:
        rungs = [float(rung) for rung in text.split(",")]
    except ValueError:
        rungs = []
    grow = all(low < high for low, high in pairwise(rungs))
    if len(rungs) < 2 or not grow or not (rungs[0] > 0 and rungs[-1] <= 1):
        raise ConfigError(
            f"--rungs {text}: expected two or more growing fractions of the data, such as 0.1,0.3,1"
        )
    return rungs


def trial_template(options: TuneRun) -> RunOptions:
    """The options of a training that all trials start from.

    Trials predict nothing. ``{auto}`` in the prefix stands for the name of the file of the search.
    """
    if options.data.data_test:
        log.warning("no effect (trials predict nothing): --data-test")
    prefix = options.network.model_prefix.replace(AUTO, Path(options.tune.storage).stem)
    return RunOptions(
        data=replace(options.data, data_test=[]),
        network=replace(options.network, model_prefix=prefix),
        # each trial has a log beside its weights
        train=replace(options.train, log=None),
        output=replace(options.output, run_mode="train,val"),
    )


def prepare_search(template: RunOptions, space: Space, tune: TuneOptions) -> Search:
    """Try out what can be tried before the first trial.

    The best epoch is chosen by the first ``--metric``, unless ``--watch`` says otherwise. Each
    choice and end of a range is checked as its flag is; a training with the first of them goes
    through the pre-flight, and the network is made with all others.

    Raises:
        WeaverError: something is wrong.
    """
    rungs = parse_rungs(tune.rungs)
    if rungs and "--data-fraction" in space.dimensions:
        raise ConfigError(f"{space.path}: --data-fraction is what --rungs vary; leave one of them")
    first = space.apply(template, space.first_values())
    for name, dimension in space.dimensions.items():
        for value in dimension.extremes():
            try:
                check_options(space.apply(first, {name: value}))
            except ConfigError as error:
                raise ConfigError(f"{dimension.where}: {error}") from None
    if rungs:
        # the fewest rows that any trial has
        first = with_fraction(first, rungs[0])
    config = load_config(first.data.data_config, first.data.custom_functions)
    check_config(config, first)
    try:
        with user_errors():
            scans = check_training(config, first)
    except ConfigError as error:
        # perhaps of the space: then its file has to be named
        values = flags_of(space.first_values().items())
        raise ConfigError(f"{space.path}: a training with {values}: {error}") from None
    config = replace(config, labels=scans.labels)
    for name, dimension in space.dimensions.items():
        if dimension.section != "network":
            continue
        for value in dimension.extremes():
            try:
                with thrown_away(), user_errors():
                    build_network(config, space.apply(first, {name: value}).network, seed=0)
            except ConfigError as error:
                raise ConfigError(f"{dimension.where}: {value!r}: {error}") from None
            except WeaverError as error:
                # together with other values it may be possible
                log.warning("%s: %r: such trials may fail: %s", dimension.where, value, error)
    task = make_run_task(config, first)
    goals = find_goals(tune.metric or ["loss"], task)
    if template.train.watch is None:
        watch = measured_metric(next(iter(goals)))
        template = replace(template, train=replace(template.train, watch=watch))
    alone = template.network.ensemble == 1 and template.train.cross_validation is None
    prunes = tune.prune and not rungs
    if prunes and len(goals) > 1:
        log.info("several --metric: no trial is pruned; the result is a Pareto front")
    elif prunes and not alone:
        log.info("trials of several networks are not pruned")
    return Search(template, space, goals, rungs, prunes and alone and len(goals) == 1)


def open_study(storage: str, search: Search) -> Any:
    """The search in the file ``storage``: a new one, or that of other processes.

    Raises:
        ConfigError: it is a search of another space, metric, network file or data YAML, or a study
            of another program.
        DataError: the file is something else.
    """
    journal = open_journal(storage, "tune")
    import optuna

    pruner: optuna.pruners.BasePruner = optuna.pruners.MedianPruner()
    if search.rungs:
        pruner = optuna.pruners.SuccessiveHalvingPruner(1, reduction_factor=RUNG_REDUCTION)
    directions = []
    for direction in search.goals.values():
        # a metric that is best at zero is compared by its size
        is_larger_better = direction is Direction.MAX
        kinds = optuna.study.StudyDirection
        directions.append(kinds.MAXIMIZE if is_larger_better else kinds.MINIMIZE)
    with taking_turns(storage):
        _refuse_other_studies(storage, journal)
        study = optuna.create_study(
            study_name=STUDY_NAME,
            storage=journal,
            pruner=pruner,
            directions=directions,
            load_if_exists=True,
        )
        now = search.describe()
        before = study.user_attrs.get(SEARCH)
        if before is None:
            study.set_user_attr(SEARCH, now)
            return study
    for key, value in now.items():
        if before.get(key) != value:
            raise ConfigError(
                f"--storage {storage}: it is a search with another {key} ({before.get(key)}, now "
                f"{value}); give it the same, or another --storage"
            )
    return study


def _refuse_other_studies(storage: str, journal: Any) -> None:
    """Raise ConfigError for a journal of Optuna that is not a search of ours."""
    names = [study.study_name for study in journal.get_all_studies()]
    if names and STUDY_NAME not in names:
        raise ConfigError(
            f"--storage {storage}: holds the study {names[0]!r} of another program; a search has a "
            "file of its own"
        )


def check_prefixes(study: Any, search: Search) -> None:
    """Check that a new search does not meet the trials of an earlier one.

    Raises:
        ConfigError: trials of another search lie at the prefix.
    """
    if study.get_trials(deepcopy=False):
        return
    prefix = search.options.network.model_prefix
    trained = RunFiles.trained(Path(prefix).parent)
    earlier = [one for one in trained if one.startswith(f"{prefix}_trial-")]
    if earlier:
        raise ConfigError(
            f"--model-prefix {prefix}: trials of another search lie there ({earlier[0]}); its "
            "--storage continues it, and any other --model-prefix leaves it as it is"
        )


# --- who takes which trial


def next_trial(study: Any, options: TuneRun, search: Search) -> Any:
    """The next trial for this process; None where the search has as many as it shall have."""
    import optuna

    with taking_turns(options.tune.storage):
        hand_on_lost_trials(study)
        trials = study.get_trials(deepcopy=False)
        handed_on = {trial.user_attrs.get(CONTINUES) for trial in trials}
        waiting = optuna.trial.TrialState.WAITING
        counted = [
            trial for trial in trials if trial.state != waiting and trial.number not in handed_on
        ]
        if len(counted) >= options.tune.trials:
            return None
        seed = options.train.seed
        if seed is not None:
            # processes that share a seed would draw the same trials
            seed = seed_of_member(seed, len(trials))
        # others that are running count as bad ones, so that no two processes try the same
        study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        trial = study.ask(search.space.distributions())
        if PREFIX not in trial.user_attrs:
            trial.set_user_attr(
                PREFIX, f"{search.options.network.model_prefix}_trial-{trial.number}"
            )
        trial.set_user_attr(WORKER, this_worker())
        trial.set_user_attr(SIGN_OF_LIFE, time.time())
        return trial


def hand_on_lost_trials(study: Any) -> None:
    """Queue the trials of workers that are gone, to be continued by whoever asks next."""
    from optuna.trial import TrialState

    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if is_lost(trial.user_attrs):
            hand_on(study, trial.number, trial.params, trial.user_attrs)


def hand_on(study: Any, number: int, params: Mapping[str, Any], kept: Mapping[str, Any]) -> None:
    """End a trial here, and queue another one that continues it."""
    from optuna.trial import TrialState

    attempt = kept.get(ATTEMPT, 1)
    queued = {trial.user_attrs.get(CONTINUES) for trial in study.get_trials(deepcopy=False)}
    if number not in queued and attempt < MOST_ATTEMPTS:
        log.info("trial %d was interrupted: it is continued by the next one", number)
        attributes = {CONTINUES: number, ATTEMPT: attempt + 1}
        if PREFIX in kept:
            attributes[PREFIX] = kept[PREFIX]
        study.enqueue_trial(dict(params), user_attrs=attributes)
    # only now: a process that is killed between the two leaves a trial that is still lost
    study.tell(number, state=TrialState.FAIL, skip_if_finished=True)


def this_worker() -> dict[str, Any]:
    """Who trains a trial: machine and process."""
    try:
        # containers of one machine may have the same process numbers
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return {"machine": f"{socket.gethostname()} {space}".strip(), "process": os.getpid()}


def is_lost(kept: Mapping[str, Any]) -> bool:
    """Whether the worker of a running trial is gone: no such process, or no sign of life."""
    worker = kept.get(WORKER)
    me = this_worker()
    # killed before it signed; or another process had this one's number
    if worker is None or worker == me:
        return True
    if worker["machine"] == me["machine"] and not _exists(worker["process"]):
        return True
    return time.time() - kept[SIGN_OF_LIFE] > LOST_AFTER_SECONDS


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # of another user
        return True
    return True


class SignsOfLife:
    """While it is entered, a thread signs a trial every minute."""

    def __init__(self, trial: Any) -> None:
        self._trial = trial
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sign, daemon=True)

    def _sign(self) -> None:
        from optuna.exceptions import UpdateFinishedTrialError

        while not self._end.wait(SIGN_OF_LIFE_SECONDS):
            try:
                self._trial.set_user_attr(SIGN_OF_LIFE, time.time())
            except UpdateFinishedTrialError:
                # another worker has taken it; the training is told so at its next word
                return
            except OSError as error:
                log.warning("trial %d: no sign of life: %s", self._trial.number, error)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self._thread.join()


# --- a trial


def run_trial(study: Any, trial: Any, search: Search) -> Sequence[BadFile]:
    """Train one trial and tell the study how it went; returns its bad files.

    What fails ends the trial and not the search, unless nothing can be written. An interruption
    (Ctrl-C, a signal, --max-time) leaves the trial to the next call.
    """
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import TrialState

    settings = flags_of(trial.params.items())
    log.info("trial %d: %s", trial.number, settings, extra=SHOWN_OTHERWISE)
    try:
        with SignsOfLife(trial):
            values, bad_files = train_trial(trial, search)
        study.tell(trial, values)
    except Pruned:
        study.tell(trial, state=TrialState.PRUNED)
        log.info("trial %d: pruned", trial.number)
        return []
    except UpdateFinishedTrialError:
        log.warning(
            "trial %d: another worker has taken it, as this one gave no sign of life", trial.number
        )
        return []
    except OutputError as error:
        _fail(study, trial, error)
        raise
    # torch.OutOfMemoryError: of a GPU, the next trial may be smaller
    except (WeaverError, torch.OutOfMemoryError) as error:
        _fail(study, trial, error)
        return []
    except OSError as error:
        # of the file of the search: whoever comes next finds the trial without sign of life
        problem = f"cannot be written: {error.strerror or error}"
        raise OutputError(f"the file of the search {problem}") from error
    except Exception as error:
        # a fault of ours
        _fail(study, trial, error)
        raise
    except BaseException:
        hand_on(study, trial.number, trial.params, trial.user_attrs)
        raise
    shown = zip(search.goals, values, strict=True)
    log.info(
        "trial %d: %s", trial.number, ", ".join(f"{name} {value:.5g}" for name, value in shown)
    )
    return bad_files


def _fail(study: Any, trial: Any, error: Exception) -> None:
    """Mark a trial as failed, with the message of the error."""
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import TrialState

    log.error("trial %d failed: %s", trial.number, error)
    try:
        trial.set_user_attr(MESSAGE, str(error) or type(error).__name__)
    except UpdateFinishedTrialError:
        return
    study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)


def train_trial(trial: Any, search: Search) -> tuple[list[float], Sequence[BadFile]]:
    """Train a trial, on each rung in turn; the values of its metrics, and its bad files.

    Raises:
        Pruned: it is worse than others.
        WeaverError: the training fails.
    """
    drawn = trial.params
    values = {name: one.value(drawn[name]) for name, one in search.space.dimensions.items()}
    options = search.space.apply(search.options, values)
    prefix = trial.user_attrs[PREFIX]
    name = Path(prefix).name
    options = replace(
        options,
        network=replace(options.network, model_prefix=prefix),
        # of a trial that another worker began; afresh where it had not yet saved anything
        train=replace(
            with_tracker_subfolders(options.train, name), resume=CONTINUES in trial.user_attrs
        ),
    )
    bad_files: list[Sequence[BadFile]] = []
    for number, rung in enumerate(search.rungs[:-1]):
        result = train_once(with_fraction(options, rung, f"_fraction-{rung:g}"), None)
        bad_files.append(result.bad_files)
        (value,) = goal_values(result.best, search.goals, result.parameters)
        # steps of the rungs of successive halving
        prune_worse(trial, value, RUNG_REDUCTION**number)
    if search.rungs:
        options = with_fraction(options, search.rungs[-1])
    result = train_once(options, _epoch_judge(trial, search, options))
    bad_files.append(result.bad_files)
    trial.set_user_attr(BEST, result.best)
    trial.set_user_attr(PARAMETERS, result.parameters)
    values_of_goals = goal_values(result.best, search.goals, result.parameters)
    return values_of_goals, unite_bad_files(bad_files)


def train_once(options: RunOptions, after_epoch: Any) -> TrainingResult:
    """One training, as ``train.py`` does it."""
    check_options(options)
    with user_errors():
        result = run_on_this_process(options, after_epoch)
    assert isinstance(result, TrainingResult)
    return result


def with_fraction(options: RunOptions, fraction: float, ending: str = "") -> RunOptions:
    """``options`` with a fraction of their rows, and ``ending`` behind their prefix."""
    prefix = options.network.model_prefix + ending
    return replace(
        options,
        data=replace(options.data, data_fraction=fraction * options.data.data_fraction),
        network=replace(options.network, model_prefix=prefix),
    )


def _epoch_judge(trial: Any, search: Search, options: RunOptions) -> Any:
    """What is called after each epoch of a trial's training with ``options``.

    It ends a trial that is worse than others; None where nothing is to be called.
    """
    if not search.prunes_epochs:
        return None

    def judge(number: int, metrics: Mapping[str, float]) -> None:
        parameters = recorded_parameters(options.network.model_prefix)
        (value,) = goal_values([metrics], search.goals, parameters)
        # after the last epoch there is nothing to spare
        if number + 1 < options.train.num_epochs:
            prune_worse(trial, value, number)

    return judge


def prune_worse(trial: Any, value: float, step: int) -> None:
    """Report the value of a trial so far.

    Raises:
        Pruned: other trials were better at this step.
    """
    trial.report(value, step)
    if trial.should_prune():
        raise Pruned


# --- the end


def report_best(study: Any, search: Search, screen: SearchScreen | None = None) -> None:
    """Log the best trial, or the trials of the Pareto front, and show it on a ``screen``.

    Raises:
        ConfigError: no trial has been completed.
    """
    from optuna.trial import TrialState

    trials = study.get_trials(deepcopy=False)
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    running = [trial for trial in trials if trial.state == TrialState.RUNNING]
    if running:
        log.info(
            "%s still running in other processes", counted(len(running), "trial is", "trials are")
        )
    if not complete:
        messages = [trial.user_attrs.get(MESSAGE) for trial in trials]
        known = [message for message in messages if message]
        if known and not running:
            raise ConfigError(f"no trial has been completed; the latest failed with: {known[-1]}")
        return
    best = best_trials(study)
    for trial in best:
        log.info(
            "best: trial %d, %s: %s (%s_*)",
            trial.number,
            format_metrics(dict(zip(search.goals, trial.values, strict=True))),
            flags_of(trial.params.items()),
            trial.user_attrs[PREFIX],
            extra=SHOWN_OTHERWISE,
        )
    if screen is not None:
        screen.show_best(best, [trial.user_attrs[PREFIX] for trial in best])
