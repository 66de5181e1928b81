"""Scores that are independent of other variables: the part of a task that ``decorrelate`` asks for.

M rows, K outputs, S signals, V variables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from weaver_tt.config.schema import DataConfig, Decorrelation, spectator
from weaver_tt.data.rows.batch import Batch
from weaver_tt.metrics.base import Meter, Scored, label_endings
from weaver_tt.metrics.sculpting import SculptingMeter
from weaver_tt.tasks.decorrelation_terms import squared_distance_correlation, standardised


class Decorrelator:
    """Keeps scores of signals independent of variables, among the rows of some classes."""

    def __init__(self, config: DataConfig, classes: Sequence[str]) -> None:
        """``classes``: those of the first outputs of the network."""
        assert config.decorrelation is not None
        self.options: Decorrelation = config.decorrelation
        self.classes = list(classes)
        self._signals = [self.classes.index(name) for name in self.options.signals]
        self._background = [self.classes.index(name) for name in self.options.classes]

    def monitors(self, batch: Batch) -> dict[str, Tensor]:
        """The raw values (M,) of the variables, where the batch has them."""
        names = [spectator(name) for name in self.options.variables]
        return {name: batch.monitors[name] for name in names if name in batch.monitors}

    def strength(self, epochs: float) -> float:
        """What the term is multiplied by when so many epochs of the training are done."""
        if epochs >= self.options.warmup:
            return self.options.strength
        return self.options.strength * epochs / self.options.warmup

    def terms(self, scored: Scored, epochs: float) -> Mapping[str, Tensor | None]:
        """The term of a batch by its name, multiplied by its strength."""
        scores, variables, weight = self._decorrelated(scored)
        if len(scores) < 2:
            # nothing can be said of one row
            return {self.options.method: None}
        value = squared_distance_correlation(scores, standardised(variables, weight), weight)
        return {self.options.method: self.strength(epochs) * value}

    def _decorrelated(self, scored: Scored) -> tuple[Tensor, Tensor, Tensor]:
        """Scores (M, S), variables (M, V) and weights (M,) of rows of which some have weight 0."""
        assert scored.target is not None
        numbers = torch.tensor(self._background, device=scored.target.device)
        counts = torch.isin(scored.target, numbers)  # (M,)
        if scored.target.device.type == "cpu":
            # on a GPU, to leave rows out would wait for the device
            scored = scored.take(counts)
            counts = torch.ones_like(scored.weight, dtype=torch.bool)
        assert scored.monitors is not None
        columns = [scored.monitors[spectator(name)] for name in self.options.variables]
        variables = torch.stack(columns, 1).float()  # (M, V)
        # in rows of other classes they may be unknown: 0 times NaN is NaN
        variables = torch.where(counts[:, None], variables, 0)
        return self._scores(scored.output), variables, scored.weight * counts

    def _scores(self, output: Tensor) -> Tensor:
        """What of the raw outputs (M, K) is decorrelated: probabilities or logits (M, S)."""
        logits = output[:, : len(self.classes)].float()
        if self.options.score == "probability":
            return logits.softmax(1)[:, self._signals]
        scores = []
        for signal in self._signals:
            others = [number for number in range(len(self.classes)) if number != signal]
            scores.append(logits[:, signal] - logits[:, others].logsumexp(1))
        return torch.stack(scores, 1)

    def meters(self) -> list[Meter]:
        """What a selection does to the spectrum of each variable."""
        endings = label_endings(self.options.variables)
        meters: list[Meter] = []
        for variable, ending in zip(self.options.variables, endings, strict=True):
            # there are none before the training data are looked at
            edges = self.options.edges.get(variable)
            meter = SculptingMeter(
                variable, edges, self.classes, self.options.signals, self.options.classes, ending
            )
            meters.append(meter)
        return meters
