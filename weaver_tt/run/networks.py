"""The networks of a run: those that a training starts from, and trained ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from weaver_tt.config.schema import DataConfig
from weaver_tt.engine.checkpoint import find_states
from weaver_tt.errors import ConfigError
from weaver_tt.log import SHOWN_OTHERWISE, log
from weaver_tt.network.file import explain_missing_file
from weaver_tt.network.network import Network, build_network
from weaver_tt.network.weights import load_weights, prepare_network
from weaver_tt.options.train import NetworkOptions, RunOptions
from weaver_tt.run.checks import is_onnx
from weaver_tt.run.run_card import load_card
from weaver_tt.run_files import member_name, plain_weights_beside


def start_network(
    config: DataConfig, options: RunOptions, device: torch.device, seed: int, member: int = 0
) -> Network:
    """The network that a training starts from: that of a ``member`` of an ensemble.

    Its initial weights depend on ``seed`` alone; others are loaded where flags ask for them.
    """
    network = build_network(config, options.network, device, seed=seed)
    weights = weights_of_member(options.network, member)
    prepare_network(network, replace(options.network, load_model_weights=weights))
    return network


def weights_of_member(options: NetworkOptions, member: int) -> str | None:
    """``--load-model-weights`` of a ``member``: ``{member}`` stands for ``member-0`` and so on."""
    weights = options.load_model_weights
    return weights and weights.replace("{member}", member_name(member))


def find_network(options: RunOptions) -> list[Path]:
    """The files of the trained network that ``--model-prefix`` names, one for each member.

    Raises:
        ConfigError: they are not there; names the nearest trained network.
    """
    model = options.network.model_prefix
    if is_onnx(model):
        path = Path(model)
        if not path.is_file():
            raise ConfigError(f"--model-prefix {model}: {explain_missing_file(path, '*.onnx')}")
        return [path]
    # the card says how many members there are: files of an earlier run may lie beside them
    card = load_card(model)
    expected = int(card["options"]["network"]["ensemble"]) if card else None
    states = find_states(model, options.train.load_epoch, expected)
    if options.output.plain_weights:
        return [_without_averaging(path) for path in states]
    return states


def _without_averaging(path: Path) -> Path:
    """``--plain-weights``: the file beside ``path`` with the weights as they were trained.

    Raises:
        ConfigError: there is none.
    """
    plain = plain_weights_beside(path)
    if not plain.is_file():
        raise ConfigError(
            f"--plain-weights: there is no {plain}; without --ema in the training, {path} holds "
            "the weights without averaging"
        )
    return plain


def load_members(config: DataConfig, options: RunOptions, device: torch.device) -> list[Network]:
    """The trained networks of ``--model-prefix``, weights loaded, in evaluation mode."""
    members = []
    for path in find_network(options):
        network = build_network(config, options.network, device)
        load_weights(network, path)
        members.append(network.eval())
        log.info("weights: %s", path, extra=SHOWN_OTHERWISE)
    return members
