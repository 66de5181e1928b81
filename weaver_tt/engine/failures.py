"""Why a training cannot go on, in words: NaN in it, or nothing to learn from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NoReturn

from weaver_tt.data.rows.batch import Batch
from weaver_tt.data.rows.table import describe_empty_selections
from weaver_tt.engine.progress import BatchLoader, describe_nonfinite, total_accounting
from weaver_tt.engine.training_parts import TrainingParts
from weaver_tt.engine.update import ENTRY_LOSS
from weaver_tt.errors import TrainingError


def check_finite(parts: TrainingParts, loader: BatchLoader, batch: Batch | None = None) -> None:
    """Stop with an explanation when a loss or weights are not finite; waits for the device.

    Raises:
        TrainingError: they are not.
    """
    update = parts.update
    found = update.find_nonfinite()
    if found is None:
        return
    output = "finite until then"
    if update.has_nonfinite_output(found.step):
        output = "NaN or infinite as well"
    raise TrainingError(
        f"NaN or infinite in training: {', '.join(found.terms)}, since step {found.step} "
        f"(epoch {parts.state.epoch}, learning rate {update.rate:.3g}). "
        f"The network's output was {output}. {describe_nonfinite(loader, batch)}. "
        "What may help: a smaller --start-lr, --clip-gradient 1, a run without --use-amp, "
        "inputs scaled to about -5 ... 5 (preprocess), labels and event weights without "
        f"extreme values. The weights before it are in {parts.files.prefix}_*.pt"
    )


def check_any_batch(parts: TrainingParts, loader: BatchLoader) -> None:
    """Stop where a pass over the training data gave nothing to learn from.

    Raises:
        TrainingError: nothing is selected, or there was no batch.
    """
    # one rank of several may have had none, but not all of them
    empty = describe_empty_selections(total_accounting(loader), parts.task.config)
    if empty:
        raise TrainingError(f"nothing to learn from in training: {'; '.join(empty)}")
    if not parts.update.steps:
        raise TrainingError(
            "the training data gave no batch: a single row is selected, and a batch has at least "
            "two, or batch norm had no variance (--batch-size 1 asks for batches of one)"
        )


def stop_without_entries(parts: TrainingParts, where: str, loader: BatchLoader) -> NoReturn:
    """Say why in ``where``, the latest pass over data, nothing was left that counts.

    Raises:
        TrainingError: always.
    """
    accounting = total_accounting(loader)
    reasons = describe_empty_selections(accounting, parts.task.config)
    if not reasons:
        reasons = [
            f"of {accounting.used.total():,} rows none has a labelled object or a target that "
            "is known and not masked"
        ]
        undefined = accounting.describe_places("undefined")
        if undefined:
            reasons.append(f"labels without a value: {', '.join(undefined)}")
    raise TrainingError(
        f"nothing to learn from in {where}, epoch {parts.state.epoch}: {'; '.join(reasons)}"
    )


def stop_at_nan(
    parts: TrainingParts, metrics: Mapping[str, float], where: str, loader: BatchLoader
) -> NoReturn:
    """Say that in ``where``, the latest pass over data, what is watched of ``metrics`` became NaN.

    Raises:
        TrainingError: always.
    """
    watched = parts.task.watched_names
    # a sum may be NaN of infinities alone
    bad = [name for name in watched if math.isnan(metrics[name])] or watched
    what = ", ".join(ENTRY_LOSS if name == "loss" else name for name in bad)
    raise TrainingError(
        f"NaN in {where}: {what}, after epoch {parts.state.epoch} (step {parts.update.steps}): "
        f"nothing is saved. {describe_nonfinite(loader)}. "
        "What may help: a smaller --start-lr, --clip-gradient 1"
    )
