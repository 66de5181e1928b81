"""Where a training starts: afresh, where an interrupted one was, or after one of its epochs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from weaver_tt.engine import checkpoint
from weaver_tt.engine.batch_terms import add_terms
from weaver_tt.engine.best_epoch import judge_again, observe_again
from weaver_tt.engine.training_parts import TrainingParts, TrainingState
from weaver_tt.errors import TrainingError
from weaver_tt.log import log
from weaver_tt.network.normalisation import reset_normalisation
from weaver_tt.network.weights import set_weights
from weaver_tt.system import distributed

RANK_STRIDE = 7919  # between the seeds of ranks
STEP_STRIDE = 104_729  # between the seeds of resumed steps


@dataclass
class ResumedEpoch:
    """What belongs to an epoch in whose middle a training continues; empty in any other."""

    # what the training continues from
    where: Path | None = None
    # of how many ranks its shares are, where there are other ranks now
    shares: int | None = None
    # to be set once its first batch is there
    random: dict[str, Any] | None = None
    # of the network and of the task's modules, on this rank
    buffers: list[dict[str, Tensor]] | None = None


def resume(parts: TrainingParts, found: checkpoint.Found) -> ResumedEpoch:
    """``--resume``: continue from what was ``found`` as if the run had never stopped.

    Raises:
        TrainingError: it is damaged, or of another training.
    """
    where, saved = found
    # weights first: of all differences, those of another network say most
    problem = f"{where}: the weights of another network"
    set_weights(parts.network.unwrapped, saved["weights"], problem)
    # checkpoints from before tasks could train something have no such entry
    task_weights = saved.get("task_weights", {})
    problem = f"{where}: the weights of another task's modules"
    set_weights(parts.task_modules, task_weights, problem)
    checkpoint.check_settings(parts.settings, saved["settings"], where)
    update = parts.update
    with checkpoint.reading(where):
        checkpoint.load_optimizer(update.optimizer, saved["optimizer"], where)
        update.schedule.load_state_dict(saved["schedule"])
        update.scaler.load_state_dict(saved["scaler"])
        if update.average is not None:
            update.average.load_state_dict(saved["average"])
        update.steps = saved["steps"]
        update.done = saved["done"]
        parts.state = TrainingState(**saved["state"])
        judge_again(parts, saved["state"], parts.state.epoch)
    resumed = ResumedEpoch(where)
    _continue_on_rank(parts, saved, resumed)
    return resumed


def continue_after_epoch(
    parts: TrainingParts, number: int, found: checkpoint.Found | None
) -> ResumedEpoch:
    """``--load-epoch``: weights after epoch ``number``, and all the rest if it was saved just then.

    ``found`` is what could be resumed.

    Raises:
        TrainingError: the weights are missing, damaged, or of another network.
    """
    saved = None
    if found is not None:
        _, saved = found
        saved_state = saved["state"]
        is_of_that_moment = (saved_state["epoch"], saved_state["batches"]) == (number + 1, 0)
        # with other settings the weights go on, and the optimizer starts afresh
        changed = checkpoint.changed_settings(parts.settings, saved["settings"])
        if is_of_that_moment and not changed:
            return resume(parts, found)
    path = parts.files.epoch(number)
    if not path.exists():
        raise TrainingError(f"--load-epoch {number}: {path} does not exist")
    _load_modules(parts, number, path, parts.files.task_epoch(number))
    # the best epoch has one, once a training has ended with it
    reset_normalisation(parts.network.unwrapped)
    if parts.update.average is not None:
        # where there was no --ema before, it begins with the weights of the epoch
        parts.update.average.reset()
        path_plain = parts.files.plain_epoch(number)
        if path_plain.exists():
            _load_modules(parts, number, path_plain, parts.files.plain_task_epoch(number))
    parts.state.epoch = number + 1
    parts.update.done = float(number + 1)
    if saved is not None:
        # what came after that epoch is none of this run any more
        judge_again(parts, saved["state"], number)
        observe_again(parts)
    log.info("--load-epoch %d: weights from %s; the optimizer's moments start afresh", number, path)
    of_weaver = parts.files.weaver_optimizer(number)
    if of_weaver.exists():
        log.warning("%s: Weaver's file of the optimizer's moments is not read", of_weaver)
    return ResumedEpoch()


def restore_buffers(parts: TrainingParts, resumed: ResumedEpoch) -> None:
    """Continue with the buffers that this rank had in a resumed epoch."""
    if resumed.buffers is None:
        return
    modules = (parts.network.unwrapped, parts.task_modules)
    for module, saved in zip(modules, resumed.buffers, strict=True):
        for name, buffer in distributed.saved_buffers(module).items():
            buffer.copy_(saved[name])


def restore_random(parts: TrainingParts, resumed: ResumedEpoch) -> None:
    """Continue with the random state of the interrupted epoch, once.

    Not before its first batch is there: an iterator may draw random numbers when it is made.
    """
    if resumed.random is None:
        return
    with checkpoint.reading(parts.files.resume):
        checkpoint.set_random_state(resumed.random)
    resumed.random = None


def _continue_on_rank(
    parts: TrainingParts, saved: Mapping[str, Any], resumed: ResumedEpoch
) -> None:
    """Go on with the random state and the sums of this rank.

    With another number of ranks the rows that are left of the epoch stay shared as they were, and
    rank 0 goes on with the sums of all.
    """
    state = parts.state
    of_ranks = [
        {"meters": state.meters, "terms": state.terms, "random": saved["random"]},
        *saved.get("other_ranks", []),
    ]
    ranks = distributed.world_size()
    rank = distributed.rank()
    # checkpoints from before each rank's state was kept have that of rank 0 alone
    ranks_before = saved["settings"].get("ranks", len(of_ranks))
    if ranks_before != ranks:
        if state.batches:
            resumed.shares = ranks_before
        of_meters = zip(*(of_rank["meters"] for of_rank in of_ranks), strict=True)
        meters = [torch.stack(totals).sum(0) for totals in of_meters]
        terms = add_terms(of_rank["terms"] for of_rank in of_ranks)
        of_ranks = [of_rank | {"meters": [], "terms": {}} for of_rank in of_ranks]
        of_ranks[0] |= {"meters": meters, "terms": terms}
    state.meters = []
    state.terms = {}
    if rank >= len(of_ranks):
        offset = RANK_STRIDE * rank + STEP_STRIDE * parts.update.steps
        torch.manual_seed((parts.seed or 0) + offset)
        return
    state.meters = of_ranks[rank]["meters"]
    state.terms = of_ranks[rank]["terms"]
    # those of rank 0 are among its weights
    resumed.buffers = of_ranks[rank].get("buffers")
    resumed.random = of_ranks[rank]["random"]
    if not state.batches:
        # inside an epoch not yet: see restore_random
        restore_random(parts, resumed)


def _load_modules(parts: TrainingParts, number: int, path: Path, task_path: Path) -> None:
    """Weights of the network and of the task's modules, if it has any, after epoch ``number``."""
    weights = checkpoint.load_checkpoint(path)
    set_weights(parts.network.unwrapped, weights, f"{path}: the weights of another network")
    if parts.task.modules is None:
        return
    if not task_path.exists():
        raise TrainingError(
            f"--load-epoch {number}: {task_path} does not exist; it holds what {parts.task.name} "
            "trains beside the network"
        )
    weights = checkpoint.load_checkpoint(task_path)
    problem = f"{task_path}: the weights of another task's modules"
    set_weights(parts.task_modules, weights, problem)
