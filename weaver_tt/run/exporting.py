"""Export a trained network to ONNX."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch

from weaver_tt.config.schema import DERIVED_INPUTS, DataConfig
from weaver_tt.data.loaders import test_loaders
from weaver_tt.data.statistics.standardize import load_statistics
from weaver_tt.deploy.export import export_onnx
from weaver_tt.deploy.sample import (
    Sample,
    check_sample,
    collect_sample,
    load_sample,
    random_sample,
    with_derived_inputs,
)
from weaver_tt.errors import DataError
from weaver_tt.log import log
from weaver_tt.options.train import RunOptions
from weaver_tt.run.class_number import is_open, with_classes_of_network
from weaver_tt.run.earlier_run import with_remembered_options
from weaver_tt.run.network_cost import COST_IN_ONNX, network_cost
from weaver_tt.run.networks import find_network, load_members
from weaver_tt.run.run_card import load_card
from weaver_tt.run.sample_rows import first_inputs
from weaver_tt.run.task import make_run_task
from weaver_tt.run_files import RunFiles

# what of the run card goes into model.onnx
CARD_IN_ONNX = ("command", "started", "git", "versions", "seed", "best")


def run_export(config: DataConfig, options: RunOptions) -> float:
    """Write the network of ``--model-prefix`` to ONNX, once it gives torch's numbers on real rows.

    Returns the largest difference to torch.
    """
    find_network(options)
    options = with_remembered_options(options)
    model = options.network.model_prefix
    cpu = torch.device("cpu")
    config = load_statistics(config, model)
    members = load_members(config, options, cpu)
    sample: Sample | None
    if options.data.data_test:
        loaders = test_loaders(config, options.data, device=cpu)
        first_group = next(iter(loaders.values()))
        sample = collect_sample(first_group.epoch(0))
        if not sample:
            raise DataError("--export-onnx: no row of the first group of --data-test is selected")
    else:
        sample = load_sample(model)
        if sample:
            if config.derived_inputs is not None and DERIVED_INPUTS not in sample:
                log.warning(
                    "%s: trained without derived_outputs; its sample has no columns of theirs, and "
                    "is compared with random ones (-t takes others)",
                    model,
                )
            sample = with_derived_inputs(sample, config)
            check_sample(sample, config, model)
    if is_open(config, options):
        rows = first_inputs(sample or random_sample(config))
        config = with_classes_of_network(config, members[0], rows)
    task = make_run_task(config, options)
    card = load_card(RunFiles.of(model).run.prefix)
    metadata: dict[str, Any] = {}
    metadata[COST_IN_ONNX] = asdict(network_cost(members, sample, model))
    if card:
        metadata["training"] = {key: card[key] for key in CARD_IN_ONNX if key in card}
    return export_onnx(
        members,
        task,
        config,
        str(options.output.export_onnx),
        opset=options.output.onnx_opset,
        sample=sample,
        metadata=metadata,
    )
