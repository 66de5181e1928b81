"""Export a trained network to ONNX."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from weaver_tt.config.load import load_config
from weaver_tt.config.schema import DERIVED_INPUTS, DataConfig
from weaver_tt.data.loaders import test_loaders
from weaver_tt.data.raw_rows import raw_column_names
from weaver_tt.data.statistics.standardize import load_statistics
from weaver_tt.deploy.export import Export, export_onnx
from weaver_tt.deploy.folder import check_flags, export_folder
from weaver_tt.deploy.sample import (
    SAMPLE_ROWS,
    SampleRows,
    check_sample,
    collect_sample,
    collect_sample_rows,
    join_samples,
    load_raw_sample,
    load_sample,
    random_sample,
    with_derived_inputs,
)
from weaver_tt.deploy.targets.base import MODEL, Target
from weaver_tt.deploy.targets.raw import Raw
from weaver_tt.deploy.targets.registry import TARGETS
from weaver_tt.engine.device_settings import set_threads
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.log import log
from weaver_tt.network.network import Network
from weaver_tt.options.export import ExportOptions
from weaver_tt.options.train import RunOptions
from weaver_tt.run.checks import is_onnx
from weaver_tt.run.class_number import is_open, with_classes_of_network
from weaver_tt.run.earlier_run import with_remembered_options
from weaver_tt.run.network_cost import COST_IN_ONNX, network_cost
from weaver_tt.run.networks import find_network, load_members
from weaver_tt.run.run_card import load_card
from weaver_tt.run.sample_rows import first_inputs
from weaver_tt.run.screen import prediction_command
from weaver_tt.run.task import make_run_task
from weaver_tt.run_files import RunFiles
from weaver_tt.system.terminal import report_results
from weaver_tt.tasks.base import Task

PREDICTED_BY_ONNX = "scores.root"  # where a prediction that tries an export may be written
# what of the run card goes into model.onnx
CARD_IN_ONNX = ("command", "started", "git", "versions", "seed", "best")


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """What is exported: trained networks with their statistics, and rows to compare on.

    ``sample`` is None where there are no rows of the data; ``metadata`` is what the graph keeps.
    """

    members: list[Network]
    task: Task
    config: DataConfig
    sample: SampleRows | None
    metadata: dict[str, Any]


def run_export(config: DataConfig, options: RunOptions) -> float:
    """Write the network of ``--model-prefix`` to ONNX, once it gives torch's numbers on real rows.

    Returns the largest difference to torch.
    """
    trained = load_trained(config, options, with_raw=False)
    path = Path(str(options.output.export_onnx))
    difference = export_onnx(
        trained.members,
        trained.task,
        trained.config,
        path,
        opset=options.output.onnx_opset,
        sample=None if trained.sample is None else trained.sample.tensors,
        metadata=trained.metadata,
    )
    results = [("network", str(path)), ("its inputs", str(path.with_name("preprocess.json")))]
    predict = prediction_command(options, str(path), PREDICTED_BY_ONNX)
    report_results("exported", results, [["weaver-tt", "inspect", str(path)], predict])
    return difference


def run_target_export(chosen: ExportOptions) -> float:
    """``weaver-tt export``: write the folder that a framework reads.

    Returns the largest difference to torch.

    Raises:
        ConfigError: there is no such network, or the reader would refuse it.
        OutputError: the folder cannot be written, or does not give torch's numbers.
    """
    folder = Path(chosen.output)
    name = chosen.name or folder.resolve().name
    target = TARGETS[chosen.target](name)
    check_flags(target, folder, chosen.onnx_opset)
    if is_onnx(chosen.model_prefix):
        raise ConfigError(
            f"-m {chosen.model_prefix}: is exported already; expected the prefix of a training, or "
            "a _state.pt file"
        )
    set_threads(chosen.num_threads)
    options = options_of_run(chosen)
    config = load_config(chosen.data_config, chosen.custom_functions)
    trained = load_trained(config, options, with_raw=True)
    sample = trained.sample
    if sample is None:
        sample = SampleRows(random_sample(trained.config))
    export = Export(trained.members, trained.task, trained.config, sample.tensors, form=target.form)
    return export_folder(
        target,
        export,
        sample,
        folder,
        opset=chosen.onnx_opset,
        metadata=trained.metadata,
        commands=commands_after_export(chosen, target),
    )


def commands_after_export(chosen: ExportOptions, target: Target) -> list[list[str]]:
    """Commands that try what was exported here: its proof, and a prediction of files."""
    if not target.is_read_by_tagger():
        return []
    commands = [["weaver-tt-apply", chosen.output, "--golden"]]
    # a graph of raw columns knows neither the rows of a data YAML nor its selection
    if target.name != Raw.name:
        model = str(Path(chosen.output) / MODEL)
        commands.append(prediction_command(options_of_run(chosen), model, PREDICTED_BY_ONNX))
    return commands


def options_of_run(chosen: ExportOptions) -> RunOptions:
    """The options of ``train.py`` that name the same network and files."""
    options = RunOptions()
    options.data.data_config = chosen.data_config
    options.data.data_test = chosen.data_test
    options.data.custom_functions = chosen.custom_functions
    options.network.network_config = chosen.network_config
    options.network.network_option = chosen.network_option
    options.network.model_prefix = chosen.model_prefix
    options.train.load_epoch = chosen.load_epoch
    options.output.plain_weights = chosen.plain_weights
    return options


def load_trained(config: DataConfig, options: RunOptions, with_raw: bool) -> TrainedModel:
    """The networks of ``--model-prefix``, and rows of ``--data-test`` or those kept with them.

    ``with_raw``: with the columns of the files that the rows are made of.

    Raises:
        ConfigError: there is no such network.
        DataError: no row is selected, or the rows that were kept are of another configuration.
    """
    find_network(options)
    options = with_remembered_options(options)
    model = options.network.model_prefix
    config = load_statistics(config, model)
    members = load_members(config, options, torch.device("cpu"))
    if options.data.data_test:
        sample: SampleRows | None = sample_of_files(config, options, with_raw)
    else:
        sample = sample_of_training(config, model, with_raw)
    if is_open(config, options):
        rows = first_inputs(sample.tensors if sample else random_sample(config))
        config = with_classes_of_network(config, members[0], rows)
    task = make_run_task(config, options)
    card = load_card(RunFiles.of(model).run.prefix)
    metadata: dict[str, Any] = {}
    tensors = sample.tensors if sample else None
    metadata[COST_IN_ONNX] = asdict(network_cost(members, tensors, model))
    if card:
        metadata["training"] = {key: card[key] for key in CARD_IN_ONNX if key in card}
    return TrainedModel(members, task, config, sample, metadata)


def sample_of_files(config: DataConfig, options: RunOptions, with_raw: bool) -> SampleRows:
    """Rows of ``--data-test``, as many of each group of files: each may hold one class.

    Raises:
        DataError: none is selected.
    """
    cpu = torch.device("cpu")
    loaders = test_loaders(config, options.data, device=cpu, identify=with_raw)
    rows = -(-SAMPLE_ROWS // len(loaders))
    parts = []
    for loader in loaders.values():
        if with_raw:
            part = collect_sample_rows(loader, config, rows)
        else:
            part = SampleRows(collect_sample(loader.epoch(0), rows))
        if part.tensors:
            parts.append(part)
    if not parts:
        raise DataError("--data-test: no row of these files is selected")
    return join_samples(parts)


def sample_of_training(config: DataConfig, model: str, with_raw: bool) -> SampleRows | None:
    """The rows that the training of ``model`` kept; None where it kept none.

    Raises:
        DataError: they are damaged, or of another configuration.
    """
    tensors = load_sample(model)
    if not tensors:
        return None
    if config.derived_inputs is not None and DERIVED_INPUTS not in tensors:
        log.warning(
            "%s: trained without derived_outputs; its sample has no columns of theirs, and "
            "is compared with random ones (-t takes others)",
            model,
        )
    tensors = with_derived_inputs(tensors, config)
    check_sample(tensors, config, model)
    raw = (load_raw_sample(model) if with_raw else None) or {}
    absent = [name for name in raw_column_names(config) if name not in raw]
    if raw and absent:
        log.warning(
            "%s: the columns kept by its training lack %s, which the data YAML now reads (-t takes "
            "other rows)",
            model,
            ", ".join(absent),
        )
    return SampleRows(tensors, {} if absent else raw)
