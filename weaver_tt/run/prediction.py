"""Predict with a trained network."""

from __future__ import annotations

from dataclasses import replace

import torch

from weaver_tt.config.alternatives import load_alternative
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.loaders import Loader, test_loaders
from weaver_tt.data.statistics.standardize import load_statistics
from weaver_tt.deploy.onnx_network import OnnxNetwork
from weaver_tt.formats.writers import check_suffix
from weaver_tt.network.network import Ensemble
from weaver_tt.options.train import RunOptions
from weaver_tt.output.predict import Prediction, predict_parts
from weaver_tt.run.checks import is_onnx
from weaver_tt.run.class_number import first_batch_inputs, is_open, with_classes_of_network
from weaver_tt.run.cross_validation import fold_options
from weaver_tt.run.earlier_run import with_remembered_options
from weaver_tt.run.input_copies import local_copies
from weaver_tt.run.launch import choose_device
from weaver_tt.run.networks import find_network, load_members
from weaver_tt.run.preflight import try_test_files
from weaver_tt.run.task import make_run_task
from weaver_tt.system import distributed
from weaver_tt.tasks.base import Task
from weaver_tt.tasks.classification import Classification


def run_predict(config: DataConfig, options: RunOptions) -> dict[str, Prediction]:
    """Predict ``--data-test`` with the network that ``--model-prefix`` names.

    That is the best epoch of a prefix, with all its members and folds, a ``_state.pt`` file or a
    ``model.onnx``. Returns what was written, by test group.
    """
    gpus = options.output.predict_gpus
    if gpus is None:
        gpus = options.train.gpus
    device = choose_device(gpus)
    output = options.output
    check_suffix(output.predict_output)
    # a mistyped name is reported before files are copied
    for fold in fold_options(options):
        find_network(fold)
    with local_copies(options.data, "data_test") as data:
        folds = fold_options(replace(options, data=data))
        parts = [load_part(config, fold, device) for fold in folds]
        task = parts[0][1]
        for _, _, loaders in parts:
            try_test_files(loaders)
        networks = [(network, loaders) for network, _, loaders in parts]
        return predict_parts(networks, task, output.predict_output, device, output.figures)


def load_part(
    config: DataConfig, options: RunOptions, device: torch.device
) -> tuple[Ensemble | OnnxNetwork, Task, dict[str, Loader]]:
    """A trained network, its task, and the rows that it predicts."""
    options = with_remembered_options(options)
    model = options.network.model_prefix
    config = load_statistics(config, model)
    config = load_alternative(config, options.data.data_config_test)
    exported = None
    members = []
    if is_onnx(model):
        exported = OnnxNetwork(model, config, threads=options.train.num_threads)
    else:
        members = load_members(config, options, device)
    # an exported network says itself what it was trained for
    is_known = exported is not None and exported.metadata.get("task") != Classification.name
    if not is_known and is_open(config, options):
        inputs = first_batch_inputs(test_loaders(config, options.data, device=device))
        if inputs:
            config = with_classes_of_network(config, exported or members[0], inputs)
    task = make_run_task(config, options)
    network = exported or Ensemble(members, task)
    loaders = test_loaders(
        config,
        options.data,
        rank=distributed.rank(),
        world=distributed.world_size(),
        device=device,
        wanted_labels=task.wanted_labels,
    )
    return network, task, loaders
