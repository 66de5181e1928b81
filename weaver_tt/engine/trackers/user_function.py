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

# in the file of --tensorboard-custom-fn
USER_FUNCTION = "get_tensorboard_custom_fn"


def find_user_function(path: str) -> Any:
    """The function in the file of ``--tensorboard-custom-fn``.

    Raises:
        ConfigError: there is no such file, or no such function in it.
    """
    file = import_python_file(Path(path), "--tensorboard-custom-fn")
    function = getattr(file, USER_FUNCTION, None)
    if function is None:
        raise ConfigError(f"--tensorboard-custom-fn {path}: has no function {USER_FUNCTION}")
    return function


class UserFunction(Tracker):
    """Call ``get_tensorboard_custom_fn`` of a user's file, with the arguments that Weaver gives it.

    ``f(tb_writer=, model_output=, model=, epoch=, i_batch=, mode=)``: ``mode`` is ``train`` or
    ``eval``; ``model_output`` what the module returned last; ``i_batch`` the step, whenever metrics
    of the last steps are reported in training, and -1 at the end of each pass over data.
    """

    def __init__(self, path: str, writer: Any, module: nn.Module) -> None:
        """Find the function in the file ``path``, and watch what ``module`` returns.

        Raises:
            ConfigError: there is no such file, or no such function in it.
        """
        self._function = find_user_function(path)
        self._writer = writer
        self._module = module
        self._mode = ""
        self._epoch = 0
        self._output: Any = None
        self._hook = module.register_forward_hook(self._keep_output)

    def _keep_output(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """Keep what the module returned, for the next call."""
        self._output = output

    def begin(self, stage: str, epoch: int, progress: float = 0.0) -> None:
        """Note mode and epoch."""
        self._mode = "train" if stage == "train" else "eval"
        self._epoch = epoch
        self._output = None

    def interval(self, values: Mapping[str, float], step: int) -> None:
        """Call the function for a step."""
        self._call(step)

    def end(self) -> None:
        """Call the function for the whole pass."""
        self._call(-1)
        # the pass may be ended twice: by the loop, and when the tracker is left
        self._output = None

    def _call(self, batch: int) -> None:
        """Call the function, if the module has returned something in this pass."""
        if self._output is None:
            return
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
        """Stop watching the module."""
        self._hook.remove()
