"""A network that others have exported, in ONNX Runtime: its ``preprocess.json`` says the rest.

As weaver-core writes it, and as it lies beside the models that CMS publishes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weaver_tt.config.inputs import MAX_LENGTH
from weaver_tt.config.schema import DataConfig, InputGroup, Labels, Variable
from weaver_tt.deploy.onnx_network import OnnxNetwork, is_ours
from weaver_tt.deploy.session import open_session
from weaver_tt.deploy.sidecar import Channel, Group, Sidecar, read_sidecar
from weaver_tt.errors import ConfigError, nearest
from weaver_tt.expressions.evaluate import Expression, parse_expression
from weaver_tt.formats.reader import identifier_of
from weaver_tt.log import log

# beside the model
PREPROCESS_FILE = "preprocess.json"
MASK = "_mask"  # ending of a variable that is 1 for each object


class ForeignNetwork(OnnxNetwork):
    """``model.onnx`` without our metadata, called on inputs as its ``preprocess.json`` has them.

    ``config`` is the data YAML with these inputs in the place of its own: their variables and
    order, scaling, lengths. Of its labels the classes stay if they are the outputs.
    """

    config: DataConfig
    columns: list[str]  # names of the K outputs, those of all graph outputs

    def _read_metadata(self, config: DataConfig) -> None:
        path = self.path.parent / PREPROCESS_FILE
        if not path.is_file():
            raise ConfigError(
                f"{self.path}: not written by weaver_tt (its metadata say nothing of layout, "
                f"outputs and preprocess), and there is no {path} that says how its inputs are made"
            )
        self.sidecar_path = path
        sidecar = read_sidecar(path)
        self.derived = {}
        self.spreads = set()
        self.per_object = False
        self.columns = self._name_columns(sidecar)
        groups = {}
        for item in self.session.get_inputs():
            groups[item.name] = self._make_group(item, sidecar, config)
        self.config = _with_groups(config, groups, self.columns, self.path)
        log.info(
            "%s: not written by weaver_tt; scaling, lengths and outputs are those of %s: %s",
            self.path,
            path,
            ", ".join(self.columns),
        )
        for name, group in groups.items():
            size = "one number each" if group.length is None else f"{group.length} objects"
            log.info("  input %s: %s; %s", name, ", ".join(group.names), size)

    def _join(self, outputs: list[Any]) -> Tensor:
        """Graph outputs side by side, (N, K)."""
        columns = [output.reshape(len(output), -1) for output in outputs]
        return torch.from_numpy(np.concatenate(columns, axis=1))

    def _name_columns(self, sidecar: Sidecar) -> list[str]:
        """Names of the columns of all graph outputs: the first ones are those of the sidecar."""
        columns = []
        for number, item in enumerate(self.session.get_outputs()):
            if len(item.shape) not in (1, 2):
                raise ConfigError(
                    f"{self.path}: output {item.name!r} has shape {item.shape}; expected (N, K), "
                    "numbers of each row"
                )
            width = item.shape[1] if len(item.shape) == 2 else 1
            if number == 0:
                names = list(sidecar.output_names)
            elif width == 1:
                names = [item.name]
            elif isinstance(width, int):
                names = [f"{item.name}_{i}" for i in range(width)]
            else:
                raise ConfigError(f"{self.path}: output {item.name!r} has any number of columns")
            if isinstance(width, int) and width != len(names):
                raise ConfigError(
                    f"{sidecar.source}: names {len(names)} outputs, {', '.join(names)}; the "
                    f"network gives {width} in {item.name!r}"
                )
            columns += names
        return columns

    def _make_group(self, item: Any, sidecar: Sidecar, config: DataConfig) -> InputGroup:
        """The input group of the graph input ``item``."""
        name = item.name
        if name not in sidecar.groups:
            raise ConfigError(
                f"{sidecar.source}: does not describe the network's input {name!r}; "
                f"{nearest(name, sidecar.groups)}"
            )
        group = sidecar.groups[name]
        if item.type != "tensor(float)" or len(item.shape) not in (2, 3):
            raise ConfigError(
                f"{self.path}: input {name!r} is {item.type} of shape {item.shape}; expected "
                "float32 (N, C) or (N, C, P)"
            )
        channels = item.shape[1]
        if isinstance(channels, int) and channels != len(group.channels):
            raise ConfigError(
                f"{sidecar.source}: {name}: there are {len(group.channels)} var_names, the network "
                f"takes {channels}"
            )
        variables = tuple(_make_variable(channel) for channel in group.channels)
        if len(item.shape) == 2:
            return InputGroup(name=name, variables=variables)
        length = _length(group, item.shape[2], sidecar.source)
        in_yaml = config.inputs.get(name)
        if length == 1 and in_yaml is not None and in_yaml.length is None:
            return InputGroup(name=name, variables=variables)
        return InputGroup(name=name, variables=variables, length=length)


def open_foreign(
    path: str | Path, config: DataConfig, threads: int | None
) -> ForeignNetwork | None:
    """The network at ``path`` if it is not one of ours, to be given rows of ``config``.

    Raises:
        ConfigError: it cannot be loaded, or does not fit to the ``preprocess.json`` beside it.
        DataError: there is something wrong with that.
    """
    session = open_session(Path(path), threads)
    return None if is_ours(session) else ForeignNetwork(path, config, threads, session)


def _length(group: Group, size: Any, source: str) -> int:
    """How many objects of a row an input is given; ``size``: of the graph, a number if fixed."""
    if not isinstance(size, int):
        if group.longest > MAX_LENGTH:
            raise ConfigError(
                f"{source}: {group.name}: up to {group.longest} objects a row; expected at most "
                f"{MAX_LENGTH}, as rows are padded to this length"
            )
        return group.longest
    if not group.shortest <= size <= group.longest:
        raise ConfigError(
            f"{source}: {group.name}: the network takes {size} objects; the file says "
            f"{group.shortest} to {group.longest}"
        )
    return size


def _make_variable(channel: Channel) -> Variable:
    return Variable(
        name=channel.name,
        center=channel.center,
        scale=channel.scale,
        low=channel.low,
        high=channel.high,
        pad=channel.pad,
        replacement=channel.replacement,
    )


def _with_groups(
    config: DataConfig, groups: dict[str, InputGroup], outputs: list[str], path: Path
) -> DataConfig:
    """``config`` for rows with these input groups, and for these outputs.

    Raises:
        ConfigError: objects of another group are selected.
    """
    for name in config.objects:
        if name not in groups:
            raise ConfigError(
                f"{config.source}: object_selection.{name}: no input of {path}; "
                f"{nearest(name, groups)}"
            )
    for name, group in groups.items():
        in_yaml = config.inputs.get(name)
        if in_yaml is not None and in_yaml.names != group.names:
            log.warning(
                "%s: inputs.%s lists %s; the network is given those of its preprocess.json, %s",
                config.source,
                name,
                ", ".join(in_yaml.names),
                ", ".join(group.names),
            )
    return replace(
        config,
        inputs=groups,
        new_variables={**_missing_masks(config, groups), **config.new_variables},
        labels=_labels_of_outputs(config, outputs),
        # of a training
        task=None,
        targets={},
        transform_columns=(),
        derived_outputs={},
        monitor_variables=(),
        weights=None,
        bucketing=None,
    )


def _missing_masks(config: DataConfig, groups: dict[str, InputGroup]) -> dict[str, Expression]:
    """Masks that the YAML says nothing of: 1 for each object of the input with the same prefix."""
    listed = [variable.name for _, variable in config.input_variables()]
    found = {}
    for group in groups.values():
        prefix, _, _ = group.name.rpartition("_")
        # of its own input, else of another pf_... for pf_mask
        owners = [group]
        if prefix:
            owners += [other for other in groups.values() if other.name.startswith(f"{prefix}_")]
        names = [name for owner in owners for name in owner.names if not name.endswith(MASK)]
        for mask in group.names:
            if (
                not mask.endswith(MASK)
                or mask in listed
                or mask in config.new_variables
                or not names
            ):
                continue
            expression = f"ak.ones_like({identifier_of(names[0])})"
            log.info("  %s: 1 for each object (%s)", mask, expression)
            found[mask] = parse_expression(expression, f"{config.source}: new_variables.{mask}")
    return found


def _labels_of_outputs(config: DataConfig, outputs: list[str]) -> Labels | None:
    """The classes of the YAML in the order of the outputs; None where they are others."""
    labels = config.labels
    if config.derived_outputs:
        log.warning(
            "%s: derived_outputs (%s) are made by networks that were exported here; not written",
            config.source,
            ", ".join(config.derived_outputs),
        )
    if labels is None:
        return None
    is_same = sorted(labels.expressions) == sorted(outputs) == sorted(labels.classes)
    # the number of a class is its place, which cannot be another one
    if is_same and (not labels.class_number or list(labels.classes) == outputs):
        return replace(labels, classes={name: labels.classes[name] for name in outputs})
    log.warning(
        "%s: labels (%s) are not the outputs of the network (%s): nothing is compared to them",
        config.source,
        ", ".join(labels.expressions),
        ", ".join(outputs),
    )
    return None
