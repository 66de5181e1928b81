"""Weights and gradients of a training by name, for trackers that show how they are distributed."""

from __future__ import annotations

from torch import Tensor, nn

from weaver_tt.engine.training_parts import TrainingParts


def weights_and_gradients(parts: TrainingParts) -> dict[str, Tensor]:
    """``weights/NAME`` and ``gradients/NAME`` of all parameters, those of the task's modules too.

    Weights are as they are trained, not averaged. Gradients are those of the latest step, clipped
    where it was; a frozen parameter has none, nor has a training before its first step.
    """
    found = _named_tensors(parts.network.unwrapped, "")
    return found | _named_tensors(parts.task_modules, "task.")


def _named_tensors(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    found = {}
    for name, parameter in module.named_parameters():
        found[f"weights/{prefix}{name}"] = parameter.detach()
        if parameter.grad is not None:
            found[f"gradients/{prefix}{name}"] = parameter.grad
    return found
