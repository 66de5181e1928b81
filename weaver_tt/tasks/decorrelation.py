"""Scores that are independent of other variables: the part of a task that ``decorrelate`` asks for.

M rows, K outputs, S signals, V bins of all variables together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weaver_tt.config.schema import DataConfig, Decorrelation, spectator
from weaver_tt.data.rows.batch import Batch
from weaver_tt.errors import ConfigError, nearest
from weaver_tt.metrics.base import Meter, Scored, label_endings
from weaver_tt.metrics.distance_correlation import DistanceCorrelationMeter
from weaver_tt.metrics.sculpting import SculptingMeter, variable_bins
from weaver_tt.network.outputs import Activated, Output
from weaver_tt.nn.layers.adversary import Adversary, reverse_gradient
from weaver_tt.tasks.decorrelation_terms import (
    mutual_information,
    pass_fail_divergence,
    ranked,
    soft_histogram,
    soft_selection,
    squared_distance_correlation,
    standardised,
)

FEATURES = "adversary:features"  # among monitors, what the adversary is given beside logits


@dataclass(frozen=True)
class DecorrelatedRows:
    """M rows of which those of other classes, if they are among them, have weight 0.

    In single precision; ``variables`` (M, variables) are raw.
    """

    logits: Tensor  # (M, K)
    variables: Tensor
    weight: Tensor  # (M,)
    features: Tensor | None  # (M, F)


class Decorrelator:
    """Keeps scores of signals independent of variables, among the rows of some classes.

    ``adversary`` is the network that it trains for that, if its method is one.
    """

    def __init__(self, config: DataConfig, classes: Sequence[str]) -> None:
        """``classes``: those of the first outputs of the network."""
        assert config.decorrelation is not None
        self.options: Decorrelation = config.decorrelation
        self.classes = list(classes)
        self._signals = [self.classes.index(name) for name in self.options.signals]
        self._background = [self.classes.index(name) for name in self.options.classes]
        # variable -> its number of bins, those that are still to be made included
        self._numbers = {}
        for name in self.options.variables:
            edges = self.options.edges.get(name)
            self._numbers[name] = self.options.bins if edges is None else len(edges) - 1
        self.adversary: Adversary | None = None
        chosen = self.options.adversary
        if chosen is not None:
            self.adversary = Adversary(
                chosen.width or len(self.classes), chosen.layers, math.prod(self._numbers.values())
            )

    def monitors(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """What terms and meters need of a batch: raw variables (M,), and features (M, F).

        Variables only where the batch has them, features where a module has returned them.

        Raises:
            ConfigError: it returns no such features, or they have another shape.
        """
        names = [spectator(name) for name in self.options.variables]
        found = {name: batch.monitors[name] for name in names if name in batch.monitors}
        chosen = self.options.adversary
        if chosen is None or chosen.features is None or isinstance(output, Activated):
            return found
        features = output.get(chosen.features) if isinstance(output, Mapping) else None
        if not isinstance(features, Tensor):
            known = list(output) if isinstance(output, Mapping) else []
            raise ConfigError(
                f"task.decorrelate.features: the network returns no {chosen.features!r}; a dict of "
                f"tensors has names, the logits first; {nearest(chosen.features, known)}"
            )
        if features.shape != (batch.size, chosen.width):
            raise ConfigError(
                f"task.decorrelate.width: {chosen.features!r} has shape {tuple(features.shape)}; "
                f"expected {(batch.size, chosen.width)}"
            )
        return {**found, FEATURES: features}

    def strength(self, epochs: float) -> float:
        """What the term is multiplied by when so many epochs of the training are done."""
        if epochs >= self.options.warmup:
            return self.options.strength
        return self.options.strength * epochs / self.options.warmup

    def terms(self, scored: Scored, epochs: float, steps: int) -> Mapping[str, Tensor | None]:
        """The terms of a batch by name, multiplied by their strength.

        So many ``epochs`` and ``steps`` of the training are done.
        """
        method = self.options.method
        rows = self._decorrelated(scored)
        if len(rows.weight) < 2:
            # nothing can be said of one row
            return {method: None}
        strength = self.strength(epochs)
        if self.adversary is not None:
            return self._adversary_terms(self.adversary, rows, strength, steps)
        if method == "disco":
            variables = standardised(rows.variables, rows.weight)
            scores = self._scores(rows.logits)
            value = squared_distance_correlation(scores, variables, rows.weight)
        elif method == "kl":
            value = self._mean_over_signals(rows, self._pass_fail_divergence)
        else:
            value = self._mean_over_signals(rows, self._mutual_information)
        return {method: strength * value}

    def _decorrelated(self, scored: Scored) -> DecorrelatedRows:
        assert scored.target is not None
        numbers = torch.tensor(self._background, device=scored.target.device)
        counts = torch.isin(scored.target, numbers)  # (M,)
        if scored.target.device.type == "cpu":
            # on a GPU, to leave rows out would wait for the device
            scored = scored.take(counts)
            counts = torch.ones_like(scored.weight, dtype=torch.bool)
        assert scored.monitors is not None
        columns = [scored.monitors[spectator(name)] for name in self.options.variables]
        variables = torch.stack(columns, 1).float()  # (M, variables)
        # in rows of other classes they may be unknown: 0 times NaN is NaN
        variables = torch.where(counts[:, None], variables, 0)
        # outputs that a subclass appended are no classes
        logits = scored.output[:, : len(self.classes)].float()
        features = scored.monitors.get(FEATURES)
        return DecorrelatedRows(logits, variables, scored.weight * counts, features)

    def _scores(self, logits: Tensor) -> Tensor:
        """What of the logits (M, K) is decorrelated: probabilities or logits of signals (M, S).

        Ranks are those of logits.
        """
        if self.options.score == "probability":
            return logits.softmax(1)[:, self._signals]
        scores = []
        for signal in self._signals:
            others = [number for number in range(len(self.classes)) if number != signal]
            scores.append(logits[:, signal] - logits[:, others].logsumexp(1))
        return torch.stack(scores, 1)

    def _bin_numbers(self, rows: DecorrelatedRows) -> Tensor:
        """The bin (M,) of each row in all variables together, of V."""
        found = torch.zeros_like(rows.weight, dtype=torch.int64)
        for values, name in zip(rows.variables.T, self.options.variables, strict=True):
            own = variable_bins(values, self.options.edges[name])
            found = found * self._numbers[name] + own
        return found

    def _mean_over_signals(
        self, rows: DecorrelatedRows, of_score: Callable[[Tensor, DecorrelatedRows], Tensor]
    ) -> Tensor:
        """The mean over signals of a function of each one's score, from 0 to 1."""
        values = []
        for score in self._scores(rows.logits).T:
            if self.options.score == "rank":
                score = ranked(score, rows.weight)
            values.append(of_score(score, rows))
        return torch.stack(values).mean()

    def _pass_fail_divergence(self, score: Tensor, rows: DecorrelatedRows) -> Tensor:
        if self.options.score == "rank":
            score = soft_selection(score, self.options.passing)
        return pass_fail_divergence(self._histogram(score, rows, 2))

    def _mutual_information(self, score: Tensor, rows: DecorrelatedRows) -> Tensor:
        return mutual_information(self._histogram(score, rows, self.options.score_bins))

    def _histogram(self, score: Tensor, rows: DecorrelatedRows, score_bins: int) -> Tensor:
        """The soft histogram (B, V) of a score (M,) and the variables."""
        bins = math.prod(self._numbers.values())
        return soft_histogram(score, self._bin_numbers(rows), rows.weight, score_bins, bins)

    def _adversary_terms(
        self, adversary: Adversary, rows: DecorrelatedRows, strength: float, steps: int
    ) -> dict[str, Tensor]:
        """The loss of the adversary, from whose gradient the network learns the opposite.

        With alternating updates either the adversary learns, or the network to confuse it.
        """
        chosen = self.options.adversary
        assert chosen is not None
        if chosen.features is None:
            # probabilities do not know what all logits have in common
            given = rows.logits - rows.logits.mean(1, keepdim=True)
        else:
            # a task that makes monitors of its own has to keep these
            assert rows.features is not None
            given = rows.features.float()
        if chosen.updates == "reversal":
            return {"adversary": self._bin_loss(adversary(reverse_gradient(given, strength)), rows)}
        if steps % (chosen.adversary_steps + 1) < chosen.adversary_steps:
            return {"adversary": self._bin_loss(adversary(given.detach()), rows)}
        confused = self._bin_loss(adversary.without_learning(given), rows)
        return {"against_adversary": -strength * confused}

    def _bin_loss(self, logits: Tensor, rows: DecorrelatedRows) -> Tensor:
        """Mean cross entropy of the bins of the variables from logits (M, V), by weight."""
        losses = nn.functional.cross_entropy(logits, self._bin_numbers(rows), reduction="none")
        total = rows.weight.abs().sum()
        return (losses * rows.weight).sum() / total.clamp(min=torch.finfo(torch.float32).tiny)

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
        if self.options.measures_distance_correlation:
            variables = self.options.variables
            meters.append(DistanceCorrelationMeter(variables, self._signals, self._background))
        return meters
