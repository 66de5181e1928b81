"""The few metrics that say most of a network: on the terminal, and first in trackers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from weaver_tt.metrics.direction import metric_direction

LOSS = "loss"
# the most telling first; each stands for itself, or for what begins with it and `_`: `resolution`
# of several targets is `resolution_pt`, `resolution_mass`
HEADLINES = (
    "auc",
    "sculpting@0.5",
    "accuracy",
    "auc_ovo",
    "rejection@0.5",
    "brier",
    "calibration_error",
    "mean_ratio",
    "resolution",
    "bias",
)
MAX_HEADLINES = 3


def headline_metrics(measured: Sequence[str], watched: Iterable[str] = ()) -> list[str]:
    """At most ``MAX_HEADLINES`` of the ``measured`` metrics, the ``watched`` ones first.

    The loss is not among them: it is shown beside them anyway. Where too few are known here, as of
    a task of a user's own, others fill up, in their order, if a large or a small value is good.
    """
    candidates = list(watched)
    for headline in HEADLINES:
        candidates += _family(headline, measured)
    candidates += [name for name in measured if metric_direction(name) is not None]
    found = [name for name in dict.fromkeys(candidates) if name in measured and name != LOSS]
    return found[:MAX_HEADLINES]


def headline_values(values: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    """The loss and the metrics ``names`` of ``values``, for a line of a log.

    Without names, all of them; in the order in which they are measured, which programs that read
    logs know.
    """
    return {name: value for name, value in values.items() if not names or name in (LOSS, *names)}


def _family(headline: str, measured: Sequence[str]) -> list[str]:
    """The metric ``headline``, or those of single labels where there is none of all."""
    if headline in measured:
        return [headline]
    return [name for name in measured if name.startswith(f"{headline}_")]
