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
from weaver_tt.deploy.sidecar import Channel, read_sidecar
from weaver_tt.deploy.signature import MASK, TensorInput, outputs_of_rows, tensor_inputs
from weaver_tt.errors import ConfigError, nearest
from weaver_tt.expressions.evaluate import Expression, parse_expression
from weaver_tt.formats.reader import identifier_of
from weaver_tt.log import log

# beside the model
PREPROCESS_FILE = "preprocess.json"


class ForeignNetwork(OnnxNetwork):
    """``model.onnx`` without our metadata, called on inputs as its ``preprocess.json`` has them.

    ``config`` is the data YAML with these inputs in the place of its own: their variables and
    order, scaling, lengths. Of its labels the classes stay if they are the outputs.
    """

    config: DataConfig
    columns: list[str]  # names of the K outputs, those of all graph outputs
    targets: set[str]  # those of them that are real numbers, and not scores

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
        outputs = outputs_of_rows(self.session, sidecar, self.path)
        self.columns = [name for output in outputs for name in output.columns]
        # the labels of the YAML may say it where the file does not
        self.targets = set(sidecar.target_names)
        if not self.targets and config.labels is not None:
            self.targets = set(config.labels.targets) & set(self.columns)
        groups = {}
        for taken in tensor_inputs(self.session, sidecar, self.path):
            groups[taken.name] = _make_group(taken, config, sidecar.source)
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


def _make_group(taken: TensorInput, config: DataConfig, source: str) -> InputGroup:
    """The input group of an input of the graph; ``source`` describes it, for messages.

    Raises:
        ConfigError: it would be too long.
    """
    variables = tuple(_make_variable(channel) for channel in taken.channels)
    in_yaml = config.inputs.get(taken.name)
    is_number = taken.longest == 1 and in_yaml is not None and in_yaml.length is None
    if not taken.has_objects or is_number:
        return InputGroup(name=taken.name, variables=variables)
    if taken.longest > MAX_LENGTH:
        raise ConfigError(
            f"{source}: {taken.name}: up to {taken.longest} objects a row; expected at most "
            f"{MAX_LENGTH}, as rows are padded to this length"
        )
    return InputGroup(name=taken.name, variables=variables, length=taken.longest)


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
        decorrelation=None,
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
