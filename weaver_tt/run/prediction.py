"""Predict with a trained network: groups of files, or one file after the other."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import awkward as ak
import torch

from weaver_tt.config.alternatives import load_alternative
from weaver_tt.config.load import load_config
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.accounting import LostRows, list_bad_files
from weaver_tt.data.loaders import Loader, scan_test_files, test_loaders
from weaver_tt.data.statistics.standardize import load_statistics
from weaver_tt.deploy.foreign_network import ForeignNetwork, open_foreign
from weaver_tt.deploy.onnx_network import OnnxNetwork
from weaver_tt.deploy.sample import (
    Sample,
    check_sample,
    load_sample,
    random_sample,
    with_derived_inputs,
)
from weaver_tt.engine.device_settings import set_threads
from weaver_tt.engine.throughput import Doctor, make_setup
from weaver_tt.errors import BadFileError, DataError
from weaver_tt.formats.file_groups import UNNAMED_GROUP, is_remote, list_files, parse_groups
from weaver_tt.formats.writers import check_suffix
from weaver_tt.log import log
from weaver_tt.network.file import NetworkFile
from weaver_tt.network.network import Ensemble
from weaver_tt.options.train import DataOptions, RunOptions
from weaver_tt.output.about import NetworkCost
from weaver_tt.output.predict import (
    Part,
    Prediction,
    finished_prediction,
    output_path,
    predict_group,
    predict_parts,
    predict_table,
)
from weaver_tt.run.checks import check_config, check_options, is_onnx, is_prediction
from weaver_tt.run.class_number import is_open, with_classes_of_network
from weaver_tt.run.cross_validation import fold_options
from weaver_tt.run.earlier_run import requesting_requeue, with_remembered_options
from weaver_tt.run.file_by_file import (
    FileToPredict,
    check_outputs,
    is_file_by_file,
    list_files_to_predict,
    requeue_file,
)
from weaver_tt.run.input_copies import local_copies
from weaver_tt.run.launch import choose_device
from weaver_tt.run.network_cost import cost_of_exported, network_cost
from weaver_tt.run.networks import find_network, load_members
from weaver_tt.run.preflight import try_test_files
from weaver_tt.run.sample_rows import first_inputs
from weaver_tt.run.screen import (
    show_prediction_header,
    show_predictions,
    show_steps_after_prediction,
)
from weaver_tt.run.task import make_run_task
from weaver_tt.system import distributed
from weaver_tt.system.json_files import json_text
from weaver_tt.system.wording import counted
from weaver_tt.tasks.base import Task
from weaver_tt.tasks.classification import Classification
from weaver_tt.tasks.scores import Scores


def run_predict(config: DataConfig, options: RunOptions) -> dict[str, Prediction]:
    """Predict ``--data-test`` with the network that ``--model-prefix`` names.

    That is the best epoch of a prefix, with all its members and folds, a ``_state.pt`` file or a
    ``model.onnx``. Returns what was written, by test group; where there is one output for each
    input file, by input file.
    """
    check_suffix(options.output.predict_output)
    # a mistyped name is reported before files are copied
    for fold in fold_options(options):
        find_network(fold)
    with requesting_requeue(requeue_file(options)):
        if is_file_by_file(options):
            files = distributed.run_on_main(lambda: list_files_to_predict(options))
            network = TrainedNetwork(config, options)
            predictions = _predict_files(network, files)
        else:
            groups = parse_groups(options.data.data_test, divide=True)
            outputs = [output_path(options.output.predict_output, group.name) for group in groups]
            check_outputs(outputs, [path for group in groups for path in group.paths])
            network = TrainedNetwork(config, options)
            predictions = network.predict_groups(options.output.predict_output)
    show_predictions(network.task, predictions)
    if is_prediction(options):
        # behind a training, that says what comes next
        show_steps_after_prediction(options, network.task, predictions)
    return predictions


def _predict_files(
    network: TrainedNetwork, files: Sequence[FileToPredict]
) -> dict[str, Prediction]:
    """Predict one file after the other; what was written, or was there, by input file."""
    predictions: dict[str, Prediction] = {}
    if not files:
        log.info("none of the files of --data-test falls to this share: nothing to predict")
    else:
        network.show_header({UNNAMED_GROUP: counted(len(files), "file")})
    for number, file in enumerate(files, 1):
        log.info("file %d of %d: %s", number, len(files), file.path)
        try:
            prediction = network.predict_file(file.path, file.output, file.group)
        except BadFileError as error:
            if network.options.data.on_bad_file != "skip":
                raise
            log.warning("skipped a bad file: %s", error)
            lost = list_bad_files({LostRows(file.path, str(error))})
            prediction = Prediction(file.output, 0, {}, lost)
        predictions[file.path] = prediction
    return predictions


@dataclass(frozen=True, slots=True)
class _Part:
    """A trained network, its task, and the options and the data YAML with which it predicts."""

    network: Ensemble | OnnxNetwork
    task: Task
    config: DataConfig
    options: RunOptions


def load_trained(options: RunOptions) -> TrainedNetwork:
    """The network of a prediction whose files are named later.

    Raises:
        WeaverError: the options do not fit together, there is no such network, or it does not suit
            the data YAML.
    """
    check_options(options, names_files=False)
    set_threads(options.train.num_threads)
    config = load_config(options.data.data_config, options.data.custom_functions)
    check_config(config, options)
    return TrainedNetwork(config, options)


class TrainedNetwork:
    """A trained network, loaded once, that predicts file after file.

    Of a cross-validation it is the networks of all folds, each for the rows that it has not seen.
    """

    def __init__(self, config: DataConfig, options: RunOptions) -> None:
        """``options`` are those of a prediction; which files they name does not matter.

        Raises:
            WeaverError: there is no such network, or it does not suit the data YAML.
        """
        gpus = options.output.predict_gpus
        if gpus is None:
            gpus = options.train.gpus
        self.options = options
        self._device = choose_device(gpus)
        self._parts = [_load_part(config, fold, self._device) for fold in fold_options(options)]
        tasks = [part.task for part in self._parts]
        self.task = tasks[0].of_folds(tasks)
        # folds are alike
        self._cost = _cost_of_part(self._parts[0])
        self._doctor = Doctor(make_setup(self._device))
        self._identity = distributed.run_on_main(self._identify)

    def predict_groups(self, output: str | Path) -> dict[str, Prediction]:
        """Predict the test groups of the options, each to a file of its own."""
        options = self.options
        with local_copies(options.data, "data_test") as data:
            parts = self._loaded_parts(data)
            # folds read the same files
            _, loaders = parts[0]
            self.show_header(loaders)
            return predict_parts(
                parts,
                self.task,
                output,
                self._device,
                options.output.figures,
                self._cost,
                progress=options.train.progress,
            )

    def predict_file(
        self, path: str | Path, output: str | Path, group: str = UNNAMED_GROUP
    ) -> Prediction:
        """Predict the file ``path`` and write ``output``, whole or not at all.

        What was written depends on nothing but the network, the options and this file. With
        ``--resume``, an output that is there stays if it was made of the same ones, as its title
        says. A file without rows gives an output without entries.

        Raises:
            BadFileError: the file cannot be read.
            DataError: it lacks a column, or something in it does not fit.
            OutputError: the output cannot be written, or another process is writing it.
        """
        path = str(path)
        output = Path(output)
        title = distributed.run_on_main(lambda: self._title_of(path))
        if self.options.train.resume:
            done = distributed.run_on_main(lambda: finished_prediction(output, self.task, title))
            if done is not None:
                log.info("%s: is there already (%s)", output, counted(done.rows, "row"))
                return done
        data = replace(self.options.data, data_test=[f"{group}:{path}"])
        with local_copies(data, "data_test") as data:
            parts = self._loaded_parts(data, may_be_empty=True)
            figures = self.options.output.figures
            return predict_group(
                *(parts, group, self.task, output, self._device, self._doctor, figures, title),
                cost=self._cost,
                progress=self.options.train.progress,
            )

    def predict_table(self, files: str | Path | Sequence[str | Path]) -> ak.Array:
        """What prediction files of ``files`` would hold: an array of all selected rows, in memory.

        ``files`` are given as ``--data-test`` is.

        Raises:
            DataError: a file cannot be read, lacks a column, or something in it does not fit.
        """
        data = replace(self.options.data, data_test=list_files(files))
        with local_copies(data, "data_test") as data:
            parts = self._loaded_parts(data, may_be_empty=True)
            return predict_table(parts, self.task, self._device)

    def show_header(self, rows: Mapping[str, Loader | str]) -> None:
        """Show on a terminal what is predicted by what. ``rows``: of each group, or in words."""
        weights: list[Path] = []
        for part in self._parts:
            weights += find_network(part.options)
        show_prediction_header(self.options, weights, str(self._device), rows)

    def _loaded_parts(self, data: DataOptions, may_be_empty: bool = False) -> list[Part]:
        """Each network with the rows of ``data`` that it predicts, once these have been tried."""
        parts: list[Part] = []
        for part in self._parts:
            loaders = self._loaders(part, data, may_be_empty)
            distributed.run_on_main(partial(try_test_files, loaders))
            parts.append((part.network, loaders))
        return parts

    def _loaders(self, part: _Part, data: DataOptions, may_be_empty: bool) -> dict[str, Loader]:
        # the selection of a fold is its own
        data = replace(part.options.data, data_test=data.data_test)
        scan = distributed.run_on_main(
            lambda: scan_test_files(part.config, data, may_be_empty=may_be_empty)
        )
        if not scan.sources and scan.accounting.lost:
            [lost, *_] = scan.accounting.lost
            raise BadFileError(lost.reason)
        return test_loaders(
            part.config,
            data,
            rank=distributed.rank(),
            world=distributed.world_size(),
            device=self._device,
            wanted_labels=part.task.wanted_labels,
            scan=scan,
        )

    def _identify(self) -> str:
        """A hash of all that a prediction depends on but its input file."""
        parts: list[Any] = []
        for part in self._parts:
            options = part.options
            for weights in find_network(options):
                parts.append(hashlib.sha256(weights.read_bytes()).hexdigest())
            if options.network.network_config:
                parts.append(NetworkFile(options.network.network_config).path.read_text())
            if part.config.custom_functions is not None:
                parts.append(Path(part.config.custom_functions).read_text())
            if isinstance(part.network, ForeignNetwork):
                parts.append(part.network.sidecar_path.read_text())
            # with the numbers of the training
            inputs = [repr(group) for group in part.config.inputs.values()]
            parts += [part.config.text, inputs, options.network.network_option]
            parts += [options.data.extra_selection_test, part.task.name]
            # a correction has its numbers in a file of its own
            parts.append([found.source for found in part.config.derived_outputs.values()])
        return _short_hash(parts)

    def _title_of(self, path: str) -> str:
        """The title of the output of an input file: another one where the file has changed."""
        identity: list[Any] = [self._identity, path]
        if not is_remote(path):
            try:
                status = os.stat(path)
            except OSError as error:
                raise DataError(f"{path}: {error.strerror}") from error
            identity = [self._identity, os.path.abspath(path), status.st_size, status.st_mtime_ns]
        return f"prediction {_short_hash(identity)} of weaver_tt"


def _cost_of_part(part: _Part) -> NetworkCost:
    """What is known of a network before it predicts."""
    if isinstance(part.network, OnnxNetwork):
        return cost_of_exported(part.network)
    model = part.options.network.model_prefix
    return network_cost(part.network.members, _kept_rows(model, part.config), model)


def _some_rows(model: str, config: DataConfig) -> Sample:
    """Rows that the network can be called on: those kept with it, else random ones."""
    return _kept_rows(model, config) or random_sample(config)


def _kept_rows(model: str, config: DataConfig) -> Sample:
    """The rows of training data that are kept with a network; empty where there are none."""
    try:
        sample = load_sample(model)
        if sample:
            sample = with_derived_inputs(sample, config)
            check_sample(sample, config, model)
            return sample
    # what is kept is of another YAML, or damaged: a prediction need not know
    except DataError as error:
        log.warning("%s", error)
    return {}


def _short_hash(parts: Any) -> str:
    return hashlib.sha256(json_text(parts, indent=None).encode()).hexdigest()[:16]


def _load_part(config: DataConfig, options: RunOptions, device: torch.device) -> _Part:
    """A trained network, ready to predict."""
    options = with_remembered_options(options)
    model = options.network.model_prefix
    if is_onnx(model):
        foreign = _load_foreign_part(config, options)
        if foreign is not None:
            return foreign
    config = load_statistics(config, model)
    config = load_alternative(config, options.data.data_config_test)
    exported = None
    members = []
    if is_onnx(model):
        exported = OnnxNetwork(model, config, threads=options.train.num_threads)
        if config.derived_outputs and not exported.derived:
            log.warning(
                "%s: exported without derived_outputs, so that %s is not written; export it again",
                model,
                ", ".join(config.derived_outputs),
            )
            config = replace(config, derived_outputs={})
    else:
        members = load_members(config, options, device)
    # an exported network says itself what it was trained for
    is_known = exported is not None and exported.metadata.get("task") != Classification.name
    if not is_known and is_open(config, options):
        inputs = first_inputs(_some_rows(model, config), device)
        config = with_classes_of_network(config, exported or members[0], inputs)
    task = make_run_task(config, options)
    return _Part(exported or Ensemble(members, task), task, config, options)


def _load_foreign_part(config: DataConfig, options: RunOptions) -> _Part | None:
    """A network that others have exported, ready to predict; None where it is one of ours."""
    if options.data.data_config_test is not None:
        config = load_config(options.data.data_config_test, config.custom_functions)
    threads = options.train.num_threads
    network = open_foreign(options.network.model_prefix, config, threads)
    if network is None:
        return None
    if options.network.network_config:
        log.warning("--network-config: of no use to %s, which is not one of ours", network.path)
    config = network.config
    task: Task
    if config.labels is None:
        task = Scores(config, network.columns, network.targets)
    else:
        task = Classification(config)
    return _Part(network, task, config, options)
