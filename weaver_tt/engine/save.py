"""What is kept of a training: the weights of its epochs, and what it is resumed from."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from weaver_tt.engine import checkpoint
from weaver_tt.engine.best_epoch import remake_best
from weaver_tt.engine.training_parts import TrainingParts
from weaver_tt.log import log
from weaver_tt.run_files import RunFiles
from weaver_tt.system import distributed


def save_weights(parts: TrainingParts, is_best: bool, auto_clean: bool) -> None:
    """Write the files of the epoch that has ended; with ``auto_clean``, remove earlier ones.

    Raises:
        OutputError: they cannot be written.
    """
    files = parts.files
    epoch = parts.state.epoch
    if parts.update.average is not None:
        # first: whoever finds an average finds the weights that belong to it
        _save_modules(parts, files.plain_epoch(epoch), files.plain_task_epoch(epoch))
        if is_best:
            checkpoint.save_checkpoint(parts.network.unwrapped.state_dict(), files.plain_best)
    else:
        # of before --load-epoch, with --ema
        _remove_plain(files, epoch, is_best)
    with parts.averaged_weights():
        _save_modules(parts, files.epoch(epoch), files.task_epoch(epoch))
        if is_best:
            checkpoint.save_checkpoint(parts.network.unwrapped.state_dict(), files.best)
    if not is_best:
        remake_best(parts)
    # only now, when the newer files are there
    kept = files.epochs()
    later = [number for number in kept if number > epoch]
    if later:
        # with --load-epoch: they are of another course of the training than this epoch
        log.info("epochs %s, of before --load-epoch, are removed", ", ".join(map(str, later)))
        checkpoint.remove_epochs(files, later)
    if auto_clean:
        earlier = [number for number in kept if number < epoch]
        checkpoint.remove_epochs(files, earlier)


def _remove_plain(files: RunFiles, epoch: int, is_best: bool) -> None:
    """Remove weights that belong to averages which are about to be overwritten."""
    files.plain_epoch(epoch).unlink(missing_ok=True)
    files.plain_task_epoch(epoch).unlink(missing_ok=True)
    if is_best:
        files.plain_best.unlink(missing_ok=True)


def _save_modules(parts: TrainingParts, path: Path, task_path: Path) -> None:
    """Write the weights of the network and, if it has any, of the task's modules."""
    checkpoint.save_checkpoint(parts.network.unwrapped.state_dict(), path)
    if parts.task.modules is not None:
        checkpoint.save_checkpoint(parts.task.modules.state_dict(), task_path)


def make_state(parts: TrainingParts, random_state: dict[str, Any]) -> dict[str, Any]:
    """All that a training is resumed from, with ``random_state``; all ranks call this.

    It is empty on other ranks than 0.
    """
    of_rank = {
        "meters": parts.state.meters,
        "terms": parts.state.terms,
        "random": random_state,
        "buffers": [
            {name: buffer.cpu() for name, buffer in distributed.saved_buffers(module).items()}
            for module in (parts.network.unwrapped, parts.task_modules)
        ],
    }
    _, *other_ranks = distributed.gather_on_main(of_rank) or [of_rank]
    if not distributed.is_main():
        return {}
    # not dataclasses.asdict, which would copy all tensors
    state = {item.name: getattr(parts.state, item.name) for item in fields(parts.state)}
    everything = {
        "format": checkpoint.CHECKPOINT_FORMAT,
        "settings": parts.settings | {"ranks": distributed.world_size()},
        "weights": parts.network.unwrapped.state_dict(),
        "task_weights": parts.task_modules.state_dict(),
        "optimizer": parts.update.optimizer.state_dict(),
        "schedule": parts.update.schedule.state_dict(),
        "scaler": parts.update.scaler.state_dict(),
        "steps": parts.update.steps,
        "done": parts.update.done,
        "state": state,
        "random": random_state,
        "other_ranks": other_ranks,
    }
    if parts.update.average is not None:
        everything["average"] = parts.update.average.state_dict()
    return everything
