"""What a trained network costs: parameters, FLOPs of a row, time of a training step."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from weaver_tt.deploy.onnx_network import OnnxNetwork
from weaver_tt.deploy.sample import Sample
from weaver_tt.network.network import Network
from weaver_tt.network.summary import count_flops_per_row, count_trainable
from weaver_tt.output.about import NetworkCost, parse_cost
from weaver_tt.run.run_card import load_card
from weaver_tt.run.sample_rows import first_inputs
from weaver_tt.run_files import RunFiles

# in the metadata of an exported network
COST_IN_ONNX = "network"


def network_cost(members: Sequence[Network], sample: Sample | None, model: str) -> NetworkCost:
    """What the ``members`` cost together; FLOPs need a ``sample`` of rows.

    ``model`` is their prefix, whose run card has the time of a training step.
    """
    first, *_ = members
    parameters = count_trainable(first.unwrapped)
    flops = None
    if sample:
        # a network may draw random numbers: those of the command stay what they are
        with torch.random.fork_rng(devices=[]):
            flops = count_flops_per_row(first, first_inputs(sample, first.device))
    card = load_card(RunFiles.of(model).run.prefix) or {}
    of_batch = card.get("time_of_batch", {})
    return NetworkCost(
        parameters=None if parameters is None else len(members) * parameters,
        flops_per_row=None if flops is None else len(members) * flops,
        training_step_seconds=of_batch.get("seconds"),
        training_step_rows=of_batch.get("rows"),
    )


def cost_of_exported(network: OnnxNetwork) -> NetworkCost:
    """What an exported network says that it costs; files of earlier versions do not.

    Raises:
        DataError: what it says is damaged.
    """
    text = network.metadata.get(COST_IN_ONNX)
    if text is None:
        return NetworkCost()
    return parse_cost(text, f"{network.path}: damaged metadata {COST_IN_ONNX!r}")
