"""A user's function that is called while a run goes on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from weaver_tt.engine.trackers.base import Tracker
from weaver_tt.errors import ConfigError
from weaver_tt.network.file import import_python_file

USER_FUNCTION = "get_tensorboard_custom_fn"  # in the file of --tensorboard-custom-fn


class UserFunction(Tracker):
    """Calls ``get_tensorboard_custom_fn`` of a user's file (``--tensorboard-custom-fn``), with Weaver's arguments.

    ``f(tb_writer=, model_output=, model=, epoch=, i_batch=, mode=)``: ``mode`` is ``train`` or ``eval``; ``model_output`` what the module last
    returned; ``i_batch`` the step at each reading of the meters in training, and -1 at the end of each pass over data.
    """

    def __init__(self, path: str, writer: Any, module: nn.Module) -> None:
        """ConfigError where ``path`` is no python file with that function."""
        self._function = getattr(
            import_python_file(Path(path), "--tensorboard-custom-fn"), USER_FUNCTION, None
        )
        if self._function is None:
            raise ConfigError(f"--tensorboard-custom-fn {path}: has no function {USER_FUNCTION}")
        self._writer, self._module = writer, module
        self._mode, self._epoch, self._output = "", 0, None
        self._hook = module.register_forward_hook(self._remember)

    def _remember(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._output = output

    def begin(self, stage: str, epoch: int, progress: float = 0.0) -> None:
        """Note mode and epoch."""
        self._mode, self._epoch, self._output = "train" if stage == "train" else "eval", epoch, None

    def interval(self, values: Mapping[str, float], step: int) -> None:
        """Call it for a step."""
        self._call(step)

    def end(self) -> None:
        """Call it for the whole pass."""
        self._call(-1)
        self._output = None

    def _call(self, batch: int) -> None:
        if self._output is not None:
            with torch.no_grad():
                self._function(
                    tb_writer=self._writer,
                    model_output=self._output,
                    model=self._module,
                    epoch=self._epoch,
                    i_batch=batch,
                    mode=self._mode,
                )

    def close(self) -> None:
        """Leave the module alone."""
        self._hook.remove()
