"""The few metrics that say most of a network: on the terminal, and first in trackers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from weaver_tt.metrics.base import Meter
from weaver_tt.metrics.direction import DIRECTIONS, metric_direction, names_of

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
# of a user's own: one who measures a hundred bins reads them in the history
MAX_OWN = 6
# modules whose meters are not a user's own
OURS = "weaver_tt."


def headline_metrics(
    measured: Sequence[str], watched: Iterable[str] = (), own: Sequence[str] = ()
) -> list[str]:
    """The ``MAX_HEADLINES`` most telling of the ``measured`` metrics, the ``watched`` ones first.

    Then come the user's ``own``, up to ``MAX_OWN`` of them even where that is more: who measures
    something wants to see it. The loss is not among them: it is shown beside them anyway. Where too
    few are known here, others fill up, in their order, if a large or a small value is good.
    """
    first = _measured_once([*watched, *own[:MAX_OWN]], measured)
    candidates = list(first)
    for headline in HEADLINES:
        candidates += _family(headline, measured)
    candidates += [name for name in measured if metric_direction(name) is not None]
    found = _measured_once(candidates, measured)
    return found[: max(MAX_HEADLINES, len(first))]


def own_metrics(meter: Meter, measured: Sequence[str]) -> list[str]:
    """Those ``measured`` by a ``meter`` that are a user's own, as of a class in a network file.

    Of a class that adds to one of ours, they are those that no name of ours stands for.
    """
    if type(meter).__module__.startswith(OURS):
        return []
    bases = [kind for kind in type(meter).__mro__ if issubclass(kind, Meter)]
    ours = next(kind for kind in bases if kind.__module__.startswith(OURS))
    # an abstract one measures nothing itself
    if getattr(ours.values, "__isabstractmethod__", False):
        return list(measured)
    return [name for name in measured if not names_of(name, DIRECTIONS)]


def _measured_once(names: Iterable[str], measured: Sequence[str]) -> list[str]:
    """Those of ``names`` that are measured, each once, without the loss."""
    return [name for name in dict.fromkeys(names) if name in measured and name != LOSS]


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
