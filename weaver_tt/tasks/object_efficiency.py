"""Efficiency of tagging each object of an event: truth tagging with a network.

Source: arXiv:2004.02665, section 4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from weaver_tt.config.schema import DataConfig
from weaver_tt.data.rows.batch import Batch
from weaver_tt.data.rows.labels import WantedLabels
from weaver_tt.errors import ConfigError
from weaver_tt.metrics.base import LossMeter, Meter, Scored
from weaver_tt.metrics.efficiency import EfficiencyMeter
from weaver_tt.nn.objects.real_objects import RealObjects, find_objects
from weaver_tt.nn.objects.sharing import made_once
from weaver_tt.tasks.base import Output, Task, check_shape, first_outputs, row_weight
from weaver_tt.tasks.entries import to_jagged

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class ObjectEfficiency(Task):
    """Network output (N, K, P) logits: efficiencies of each object for K labels (working points).

    The loss of an object is ``-tag log(p) - mu (1 - tag) log(1 - p)`` with the sigmoid p of its
    output. It is smallest at p = eff / (eff + mu (1 - eff)), so that the efficiency is the sigmoid
    of the output plus log(mu), also where mu is not 1. With reduction ``event``, each event counts
    once, for the mean over its objects, and events without objects do not count; with ``object``,
    each object counts once.

    Writes ``OBJECT_eff``, or ``OBJECT_eff_LABEL`` for several labels, with one entry for each
    object of the row; those beyond the input's length are NaN.

    Source: arXiv:2004.02665, Eq. 5.
    """

    name = "object_efficiency"

    def __init__(
        self,
        config: DataConfig,
        *,
        mu: float = 1.0,
        reduction: Literal["event", "object"] = "event",
        object: str | None = None,
        **common: Any,
    ) -> None:
        super().__init__(config, **common)
        if config.labels is None or len(config.labels.object_targets) != 1:
            raise ConfigError(
                f"{config.source}: task object_efficiency needs `labels.type: per_object` "
                "with the group that it labels"
            )
        if reduction not in ("event", "object"):
            raise ConfigError(
                f"{config.source}: task.reduction: {reduction!r}; expected event or object"
            )
        if not (isinstance(mu, int | float) and 0 < mu < math.inf):
            raise ConfigError(f"{config.source}: task.mu: {mu!r}; expected a number above 0")
        [(group, labels)] = config.labels.object_targets.items()
        self.labels = list(labels)
        self.group = config.inputs[group]
        self.object = object or self.group.name.removesuffix("s")
        self.mu = mu
        self.reduction = reduction
        # what the efficiencies are drawn against, as far as the network's input has it
        self.monitored: dict[str, int] = {}
        for channel, name in enumerate(self.group.names):
            if name.endswith("pt"):
                self.monitored.setdefault("pt", channel)
            if "flav" in name:
                self.monitored.setdefault("flavour", channel)

    @property
    def wanted_labels(self) -> WantedLabels:
        """Objects are tagged or not: labels of 0 and 1."""
        return WantedLabels(binary=frozenset(self.labels))

    def judge_command(self, name: str, predictions: Sequence[str]) -> list[str]:
        """Closure: the efficiencies against direct tagging and a map."""
        return ["closure", *predictions, *self.weight_words(), "-o", "closure"]

    @property
    def output_names(self) -> list[str]:
        """``OBJECT_eff``, or ``OBJECT_eff_LABEL`` of each label."""
        if len(self.labels) == 1:
            return [f"{self.object}_eff"]
        return [f"{self.object}_eff_{name}" for name in self.labels]

    def score(self, output: Output, batch: Batch) -> Scored:
        """(N, K, P) -> the M real objects, row after row."""
        value, spread = self.split_output(output)  # (N, K, P)
        mask = batch.masks[self.group.name]  # (N, P)
        names = self.output_names
        check_shape(value, (batch.size, len(names), mask.shape[1]), names)
        objects = find_objects(mask)
        event = row_weight(batch, value)  # (N,)
        weight = event
        if self.reduction == "event":
            # shared among the event's objects
            weight = event / objects.counts.clamp(min=1)  # (N,)
        monitors = {"weight": objects.spread_row(event)}
        if self.monitored:
            columns = gather_columns(objects, batch.inputs[self.group.name])  # (M, C)
            for name, channel in self.monitored.items():
                monitors[name] = self._raw(columns[:, channel], channel)
        target = None
        if all(name in batch.labels for name in self.labels):
            target = gather_targets(objects, *(batch.labels[name] for name in self.labels))
        if spread is not None:
            spread = objects.gather(spread)  # (M, K)
        return Scored(
            objects.gather(value),
            target,
            objects.spread_row(weight),
            batch.counts[self.group.name],
            spread,
            monitors,
        )

    def _raw(self, values: Tensor, channel: int) -> Tensor:
        """Input values before they were scaled (what was clipped stays clipped)."""
        variable = self.group.variables[channel]
        center = variable.center
        if center is None or isinstance(center, str) or variable.scale == 0:
            return values
        return values / variable.scale + center

    def losses(self, scored: Scored) -> Tensor:
        """Binary cross entropy, mu on the untagged, mean over labels, (M,)."""
        assert scored.target is not None
        if self.loss:
            return self.own_loss(scored)
        logits = first_outputs(scored.output, len(self.labels))  # (M, K)
        # finite for any logit, which log(sigmoid) is not
        tagged = F.softplus(-logits)  # -log(p)
        untagged = F.softplus(logits)  # -log(1 - p)
        loss = scored.target * tagged + self.mu * (1 - scored.target) * untagged  # (M, K)
        return loss.mean(1)

    def activate(self, output: Tensor) -> Tensor:
        """Sigmoid, with the weight of the untagged taken back: the efficiency."""
        if self.mu == 1 or self.loss:
            return output.sigmoid()
        return (output + math.log(self.mu)).sigmoid()

    def meters(self) -> list[Meter]:
        """Loss; efficiencies against tags."""
        return [LossMeter(), EfficiencyMeter(self.labels)]

    def figures(self, meters: Sequence[Meter], totals: Sequence[Tensor]) -> dict[str, Figure]:
        """For each label: calibration, and efficiency against pT by flavour."""
        # matplotlib takes a second to import: only where something is drawn
        from weaver_tt.figures.efficiency import efficiency_figures

        drawn: dict[str, Figure] = {}
        for meter, sums in zip(meters, totals, strict=True):
            if isinstance(meter, EfficiencyMeter):
                drawn |= efficiency_figures(meter, sums)
        return drawn

    def columns(self, scored: Scored) -> dict[str, Any]:
        """``OBJECT_eff`` jagged, ``OBJECT_eff_std`` with an ensemble, the labels where known."""
        names = self.output_names
        parts = dict(zip(names, scored.output.unbind(1), strict=True))  # (M,) each
        if scored.spread is not None:
            names_of_spread = [f"{name}_std" for name in names]
            parts |= zip(names_of_spread, scored.spread.unbind(1), strict=True)
        if scored.target is not None:
            parts |= zip(self.labels, scored.target.unbind(1), strict=True)
        counts = scored.counts.cpu().numpy()  # (N,)
        columns = {}
        for name, values in parts.items():
            flat = values.float().cpu().numpy()
            columns[name] = to_jagged(flat, counts, self.group.length)
        return columns


@made_once
def gather_columns(objects: RealObjects, padded: Tensor) -> Tensor:
    """The channels of the real objects: (N, C, P) -> (M, C)."""
    return objects.gather(padded)


@made_once
def gather_targets(objects: RealObjects, *labels: Tensor) -> Tensor:
    """K labels (N, P) of the real objects, (M, K)."""
    return torch.stack([objects.gather_values(label) for label in labels], 1).float()
