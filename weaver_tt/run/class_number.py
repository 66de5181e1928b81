"""Whether a label is the number of a class: where the data YAML leaves it open, the network tells.

As with Weaver, a single label of type custom is the number of a class for a network with several
outputs. ``classes`` of the labels, ``task`` and ``--regression-mode`` say it without a network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from weaver_tt.config.labels import default_class_names, may_be_class_number, with_class_number
from weaver_tt.config.plan import make_plan
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.first_rows import FirstRows, first_batch
from weaver_tt.errors import ConfigError
from weaver_tt.log import log
from weaver_tt.network.file import NetworkFile
from weaver_tt.network.network import build_network
from weaver_tt.network.outputs import Activated, Output, first_tensor
from weaver_tt.options.train import RunOptions
from weaver_tt.tasks.classification import Classification

ROWS = 16  # of a batch, which the network is called on to count its outputs


class Runnable(Protocol):
    """A network, in evaluation mode."""

    def __call__(self, inputs: dict[str, Tensor], /) -> Output:
        """What it returns, for inputs by group."""


def is_open(config: DataConfig, options: RunOptions) -> bool:
    """Whether only the network tells if the label is a target or the number of a class.

    A task of the network file's own knows what its labels are.
    """
    if not may_be_class_number(config.labels):
        return False
    if config.task is None:
        if options.train.regression_mode:
            return False
    elif config.task.name != Classification.name:
        return False
    path = options.network.network_config
    return not path or not hasattr(NetworkFile(path).module, "get_task")


def with_classes_of_network(
    config: DataConfig, network: Runnable, inputs: Mapping[str, Tensor]
) -> DataConfig:
    """``config``, whose label :func:`is_open`, with a class for each output of the network.

    With a single output the label stays a target, unless the YAML asks for a classification.
    ``inputs``: rows of the data, of which some are enough.

    Raises:
        ConfigError: it asks for that, and there is one output.
    """
    assert config.labels is not None
    [label] = config.labels.targets
    # copies: a network may write into its inputs
    some = {name: values[:ROWS].clone() for name, values in inputs.items()}
    with torch.no_grad():
        number = count_outputs(network(some))
    if number > 1:
        names = default_class_names(label, number)
        log.info("label %r is the number of a class: the network has %d outputs", label, number)
        return with_class_number(config, names)
    if config.task is not None:
        raise ConfigError(
            f"{config.source}: task {config.task.name}: label {label!r} is the number of a class, "
            "and the network has one output; it needs one for each class"
        )
    return config


def count_outputs(output: Output | Activated) -> int:
    """The number K of outputs (N, K); 1 for (N,) and for outputs of each object."""
    tensor = output.value if isinstance(output, Activated) else first_tensor(output)
    return tensor.shape[1] if tensor.ndim == 2 else 1


def with_classes_of_first_rows(
    config: DataConfig, options: RunOptions, first: Sequence[FirstRows]
) -> DataConfig:
    """The same for a training, with a network of its own on the ``first`` rows of its files."""
    if not options.network.network_config or not is_open(config, options):
        return config
    batch = first_batch(first, config, make_plan(config, "train"))
    # the training will say that nothing is selected
    if batch is None:
        return config
    network = build_network(config, options.network, seed=0).eval()
    return with_classes_of_network(config, network, batch.inputs)
