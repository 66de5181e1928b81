"""What a metric is in one line, with its unit and range: for those who look at its curve."""

from __future__ import annotations

from collections.abc import Mapping

from weaver_tt.metrics.direction import Direction, metric_direction, names_of

# A metric is one of these, or begins with one and `_` or `@`, as in DIRECTIONS; others, of a task
# of a user's own, are described by their names alone.
DESCRIPTIONS: Mapping[str, str] = {
    "loss": "mean of the loss, by weight; no unit",
    "accuracy": "share of rows whose own class has the highest score; 0 to 1",
    "auc": "area under the ROC curve; 0.5 (no separation) to 1",
    "auc_ovo": "mean over pairs of classes of the area under the ROC curve; 0.5 to 1",
    "auc_reweighted": "the area after reweighting; 0.5 where the ratio is right",
    "rejection": "1 / background efficiency at the signal efficiency behind @; 1 to infinity",
    "calibration_error": "mean distance of predicted from observed probability; 0 to 1",
    "efficiency": "mean predicted efficiency; 0 to 1",
    "tag_rate": "share of objects that are tagged; 0 to 1",
    "brier": "mean square of predicted efficiency minus tag (0 or 1); 0 to 1",
    "log_loss": "mean of -log(probability of what was observed); 0 to infinity",
    "mae": "mean of |predicted - true|, in the unit of the target",
    "rmse": "root of the mean of (predicted - true)^2, in the unit of the target",
    "bias": "mean of predicted - true, in the unit of the target",
    "resolution": "half the width of the central 68 % of predicted - true, in its unit",
    "coverage": "share of rows below the quantile behind @, or between two; 0 to 1",
    "coverage_error": "mean over quantiles of how far their coverage is off; 0 to 1",
    "sculpting": "divergence of the background's spectrum behind a cut at the signal efficiency "
    "behind @ from that without a cut; 0 to 1 bit",
    "mean_ratio": "mean of the ratio under the denominator; 1 for `normalise: unit`",
    "effective_size": "rows without weights that would be as precise",
    "learning_rate": "step size of the optimizer",
    "data_wait": "share of the time of an epoch in which the network waits for data; 0 to 1",
}

# of which neither a large nor a small value is good
_NOT_JUDGED = ("learning_rate", "data_wait", "mean_ratio", "effective_size", "auc_reweighted")

_BEST = {
    Direction.MIN: "smaller is better",
    Direction.MAX: "larger is better",
    Direction.ZERO: "0 is best",
}


def describe_metric(metric: str) -> str:
    """The line about ``metric``, by the longest name that it begins with; "" of what is unknown."""
    names = names_of(metric, DESCRIPTIONS)
    if not names:
        return ""
    name = max(names, key=len)
    text = DESCRIPTIONS[name]
    direction = metric_direction(metric) if name not in _NOT_JUDGED else None
    return text if direction is None else f"{text}; {_BEST[direction]}"
