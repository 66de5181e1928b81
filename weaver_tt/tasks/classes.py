"""Tasks whose first outputs are logits of classes, which may be kept independent of variables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from weaver_tt.data.rows.batch import Batch
from weaver_tt.errors import ConfigError
from weaver_tt.metrics.base import Scored
from weaver_tt.network.outputs import Output
from weaver_tt.tasks.base import Task
from weaver_tt.tasks.decorrelation import Decorrelator


class TaskWithClasses(Task):
    """The first outputs of the network are logits of ``classes``.

    Where the data YAML says ``decorrelate``, their scores are kept independent of other variables
    (:class:`~weaver_tt.tasks.decorrelation.Decorrelator`).
    """

    decorrelates = True
    classes: list[str]
    decorrelator: Decorrelator | None = None

    def set_classes(self, classes: Iterable[str]) -> None:
        """Note the ``classes``, and what keeps their scores independent of something."""
        self.classes = list(classes)
        if self.config.decorrelation is not None:
            self.decorrelator = Decorrelator(self.config, self.classes)
            self._own_adversary(self.decorrelator)

    def _own_adversary(self, decorrelator: Decorrelator) -> None:
        """Train the adversary, if there is one, as a module of the task."""
        adversary = decorrelator.adversary
        if adversary is None:
            return
        assert decorrelator.options.adversary is not None
        parts: dict[str, nn.Module] = {"adversary": adversary}
        if self.modules is not None:
            # a loss with parameters
            parts["loss"] = self.modules
        self.modules = nn.ModuleDict(parts)
        self.learning_rate = decorrelator.options.adversary.learning_rate

    def check_decorrelation(self) -> None:
        """Check that an adversary is among the modules that are trained.

        Raises:
            ConfigError: a subclass has put others in its place.
        """
        adversary = None if self.decorrelator is None else self.decorrelator.adversary
        if adversary is None:
            return
        owned = [] if self.modules is None else list(self.modules.modules())
        if not any(module is adversary for module in owned):
            raise ConfigError(
                f"{self.config.source}: task.decorrelate: the task {type(self).__name__} has put "
                "its own modules in the place of the adversary; add them to self.modules, an "
                "nn.ModuleDict"
            )

    def spectators(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """What the term and its meters need of a batch, to be among the monitors."""
        if self.decorrelator is None:
            return {}
        return self.decorrelator.monitors(output, batch)

    def with_class_alone(self, scored: Scored) -> Scored:
        """The entries with their classes (M,) as the target; by default they have no other."""
        return scored

    def batch_loss(self, scored: Scored, batch: Batch) -> Mapping[str, Tensor | None]:
        """The term that keeps scores independent of other variables, where there is one."""
        if self.decorrelator is None:
            return {}
        of_classes = self.with_class_alone(scored)
        return self.decorrelator.terms(of_classes, self.epochs_done, self.steps_done)
