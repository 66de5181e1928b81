"""What notebooks, network files and tasks may import: these names stay, everything else may move.

Functions for a script or a notebook (docs/python.md shows them at work):

- :func:`load_config`, :func:`load_statistics`, :func:`fit_statistics`: a data YAML, and what was
  or is computed from training data;
- :class:`BatchDataset`, :func:`read_table`: batches, and tables of selected columns, of any files;
- :func:`build_network`: the network of a network file, with trained weights where given;
- :func:`train`, :func:`predict`, :func:`export`: the command line with keyword arguments;
- :func:`load_trained`: a trained network that predicts file after file, or into memory;
- :func:`load_correction`: the standard correction of jets.

The other names are for network files and tasks (docs/network-file.md). Nothing is imported before
it is used: a network file that imports from here loads neither output nor figures. Type checkers
see the names in the block below, tests that it says the same as ``PLACES``.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from weaver_tt.applications.jet_energy.correction import Correction as Correction
    from weaver_tt.applications.jet_energy.correction import load_correction as load_correction
    from weaver_tt.config.load import load_config as load_config
    from weaver_tt.config.schema import DataConfig as DataConfig
    from weaver_tt.data.datasets import BatchDataset as BatchDataset
    from weaver_tt.data.rows.batch import Batch as Batch
    from weaver_tt.data.selected_table import read_table as read_table
    from weaver_tt.data.statistics.standardize import load_statistics as load_statistics
    from weaver_tt.errors import ConfigError as ConfigError
    from weaver_tt.errors import DataError as DataError
    from weaver_tt.errors import WeaverError as WeaverError
    from weaver_tt.errors import nearest as nearest
    from weaver_tt.figures.base import make_axes as make_axes
    from weaver_tt.metrics.base import LossMeter as LossMeter
    from weaver_tt.metrics.base import Meter as Meter
    from weaver_tt.metrics.base import Scored as Scored
    from weaver_tt.metrics.base import SumMeter as SumMeter
    from weaver_tt.metrics.classification import ClassificationMeter as ClassificationMeter
    from weaver_tt.metrics.regression import RegressionMeter as RegressionMeter
    from weaver_tt.network.inputs import channels as channels
    from weaver_tt.network.inputs import check_choice as check_choice
    from weaver_tt.network.inputs import constituent_groups as constituent_groups
    from weaver_tt.network.inputs import constructor_options as constructor_options
    from weaver_tt.network.inputs import hidden_layers as hidden_layers
    from weaver_tt.network.inputs import jet_model_info as jet_model_info
    from weaver_tt.network.inputs import layer_sizes as layer_sizes
    from weaver_tt.network.inputs import model_info as model_info
    from weaver_tt.network.inputs import num_outputs as num_outputs
    from weaver_tt.network.inputs import object_collections as object_collections
    from weaver_tt.network.inputs import raw_channels as raw_channels
    from weaver_tt.network.inputs import row_groups as row_groups
    from weaver_tt.network.network import Network as Network
    from weaver_tt.network.outputs import Activated as Activated
    from weaver_tt.network.outputs import Output as Output
    from weaver_tt.network.outputs import first_tensor as first_tensor
    from weaver_tt.nn.layers.blocks import mlp as mlp
    from weaver_tt.nn.layers.norm import ObjectNorm as ObjectNorm
    from weaver_tt.nn.objects.pairwise import PairLinear as PairLinear
    from weaver_tt.nn.objects.pairwise import make_layout as make_layout
    from weaver_tt.nn.objects.sharing import made_once as made_once
    from weaver_tt.output.predict import Prediction as Prediction
    from weaver_tt.run.prediction import TrainedNetwork as TrainedNetwork
    from weaver_tt.run.training import TrainingResult as TrainingResult
    from weaver_tt.tasks.base import Task as Task
    from weaver_tt.tasks.base import check_shape as check_shape
    from weaver_tt.tasks.base import first_outputs as first_outputs
    from weaver_tt.tasks.base import row_weight as row_weight
    from weaver_tt.tasks.classification import Classification as Classification
    from weaver_tt.tasks.density_ratio import DensityRatio as DensityRatio
    from weaver_tt.tasks.object_efficiency import ObjectEfficiency as ObjectEfficiency
    from weaver_tt.tasks.regression import Regression as Regression

PLACES = {
    # data
    "load_config": "weaver_tt.config.load",
    "load_statistics": "weaver_tt.data.statistics.standardize",
    "BatchDataset": "weaver_tt.data.datasets",
    "read_table": "weaver_tt.data.selected_table",
    "DataConfig": "weaver_tt.config.schema",
    "Batch": "weaver_tt.data.rows.batch",
    # errors: what a user can act on, and the end of a message that names the nearest choice
    "WeaverError": "weaver_tt.errors",
    "ConfigError": "weaver_tt.errors",
    "DataError": "weaver_tt.errors",
    "nearest": "weaver_tt.errors",
    # network files
    "channels": "weaver_tt.network.inputs",
    "check_choice": "weaver_tt.network.inputs",
    "constituent_groups": "weaver_tt.network.inputs",
    "constructor_options": "weaver_tt.network.inputs",
    "hidden_layers": "weaver_tt.network.inputs",
    "jet_model_info": "weaver_tt.network.inputs",
    "layer_sizes": "weaver_tt.network.inputs",
    "model_info": "weaver_tt.network.inputs",
    "num_outputs": "weaver_tt.network.inputs",
    "object_collections": "weaver_tt.network.inputs",
    "raw_channels": "weaver_tt.network.inputs",
    "row_groups": "weaver_tt.network.inputs",
    "Network": "weaver_tt.network.network",
    "ObjectNorm": "weaver_tt.nn.layers.norm",
    "PairLinear": "weaver_tt.nn.objects.pairwise",
    "made_once": "weaver_tt.nn.objects.sharing",
    "make_layout": "weaver_tt.nn.objects.pairwise",
    "mlp": "weaver_tt.nn.layers.blocks",
    # tasks
    "Task": "weaver_tt.tasks.base",
    "Classification": "weaver_tt.tasks.classification",
    "DensityRatio": "weaver_tt.tasks.density_ratio",
    "ObjectEfficiency": "weaver_tt.tasks.object_efficiency",
    "Regression": "weaver_tt.tasks.regression",
    "Scored": "weaver_tt.metrics.base",
    "Meter": "weaver_tt.metrics.base",
    "SumMeter": "weaver_tt.metrics.base",
    "LossMeter": "weaver_tt.metrics.base",
    "ClassificationMeter": "weaver_tt.metrics.classification",
    "RegressionMeter": "weaver_tt.metrics.regression",
    "row_weight": "weaver_tt.tasks.base",
    "check_shape": "weaver_tt.tasks.base",
    "first_outputs": "weaver_tt.tasks.base",
    "Output": "weaver_tt.network.outputs",
    "Activated": "weaver_tt.network.outputs",
    "first_tensor": "weaver_tt.network.outputs",
    "make_axes": "weaver_tt.figures.base",
    # results
    "TrainedNetwork": "weaver_tt.run.prediction",
    "TrainingResult": "weaver_tt.run.training",
    "Prediction": "weaver_tt.output.predict",
    # corrections of jets
    "load_correction": "weaver_tt.applications.jet_energy.correction",
    "Correction": "weaver_tt.applications.jet_energy.correction",
}
"""Name -> the module that has it today."""

__all__ = [
    *PLACES,
    "build_network",
    "export",
    "fit_statistics",
    "load_trained",
    "predict",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import a name when it is first used."""
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """For completion in a notebook."""
    return sorted({*globals(), *__all__})


def fit_statistics(
    config: DataConfig, files: str | Path | Sequence[str | Path], **options: Any
) -> DataConfig:
    """``config`` with what a training would compute from ``files`` before it starts.

    These are the numbers of ``auto`` centers, the tables of ``weights`` and the edges of
    ``bucketing``. ``options`` are flags of the command line about data, such as
    ``data_fraction=0.1``; nothing is kept in a file.

    Raises:
        ConfigError: there is no such option, or nothing to compute a number from.
        DataError: a file cannot be read, or lacks a column.
    """
    from tempfile import TemporaryDirectory

    from weaver_tt.data.statistics.fit import fit_statistics as fit
    from weaver_tt.options.keywords import options_from_keywords

    # all rows are used, unless an option says that some are kept for validation
    data = options_from_keywords({"train_val_split": 1.0, **options, "data_train": files}).data
    with TemporaryDirectory() as folder:
        return fit(config, f"{folder}/network", data)[0]


def build_network(
    config: DataConfig,
    network_config: str | Path,
    *,
    network_option: Mapping[str, Any] | None = None,
    weights: str | Path | None = None,
    device: torch.device | str = "cpu",
    seed: int | None = None,
) -> Network:
    """The network of the file ``network_config``, or of an example: ``weaver_tt:particle_net``.

    It is called with a batch's inputs, ``network(batch.inputs)``, and returns what the file's
    module returns, which is ``network.unwrapped``. ``network_option`` goes to the file's
    ``get_model``. ``weights`` is a ``_state.pt`` file of a training; without, the first weights
    depend on ``seed`` alone.

    Raises:
        ConfigError: there is no such file or option, or the inputs do not suit the network.
        TrainingError: the weights are those of another network.
    """
    from weaver_tt.network import network as networks
    from weaver_tt.network.weights import load_weights
    from weaver_tt.options.keywords import options_from_keywords

    keywords = {"network_config": network_config, "network_option": network_option or {}}
    options = options_from_keywords(keywords).network
    network = networks.build_network(config, options, device, seed=seed)
    if weights is not None:
        load_weights(network, Path(weights))
    return network


def train(**options: Any) -> TrainingResult | None:
    """Train as the command line does: ``train(data_train="*.root", num_epochs=5, ...)``.

    ``options`` are named as the flags (docs/command-line.md): ``--num-epochs 5`` is
    ``num_epochs=5``, ``-o hidden 64`` is ``network_option={"hidden": 64}``. The same files are
    written, and the log goes to the terminal too. Returns the prefix of the files and the metrics
    of the best epochs; None for a trial such as ``lr_finder``.

    Raises:
        WeaverError: what the command line would end with.
    """
    from weaver_tt.run.training import TrainingResult as Trained

    result = _run(options, {})
    return result if isinstance(result, Trained) else None


def predict(**options: Any) -> dict[str, Prediction]:
    """Predict as ``--predict`` does: ``predict(data_test="*.root", model_prefix=..., ...)``.

    Returns what was written, by the name of the test group ("_" for files without a name): path,
    number of rows, and metrics where the files have labels.

    Raises:
        WeaverError: what the command line would end with.
    """
    return _run(options, {"predict": True})


def load_trained(**options: Any) -> TrainedNetwork:
    """A trained network, loaded once: ``load_trained(model_prefix="models/net", ...)``.

    Its ``predict_file(path, output)`` writes one output for an input file, whole or not at all, and
    ``predict_table(files)`` returns an awkward array of what such outputs hold. With
    ``resume=True``, outputs that are there stay if they were made of the same network, options and
    input. ``options`` are those of :func:`predict`, without files.

    Raises:
        WeaverError: what the command line would end with.
    """
    from weaver_tt.log import configure_log
    from weaver_tt.options.keywords import options_from_keywords
    from weaver_tt.run.prediction import load_trained as load
    from weaver_tt.system.user_code import user_errors

    configure_log()
    with user_errors():
        return load(options_from_keywords({**options, "predict": True}))


def export(export_onnx: str | Path, **options: Any) -> float:
    """Write a trained network to the ONNX file ``export_onnx``, as ``--export-onnx`` does.

    Returns the largest difference to torch on real rows; there is no file where it is more than
    rounding.

    Raises:
        WeaverError: what the command line would end with.
    """
    return _run(options, {"export_onnx": export_onnx})


def _run(options: Mapping[str, Any], action: Mapping[str, Any]) -> Any:
    """Do what the command line does with ``options``; ``action`` says which of its jobs it is."""
    from weaver_tt.errors import ConfigError
    from weaver_tt.log import configure_log
    from weaver_tt.options.keywords import options_from_keywords
    from weaver_tt.run.launch import needs_ranks
    from weaver_tt.run.run import run_on_this_process
    from weaver_tt.system.user_code import user_errors

    for name in ("predict", "export_onnx", "print"):
        if name in options:
            raise ConfigError(
                f"option {name}: call train, predict or export for what is to be done"
            )
    run_options = options_from_keywords({**options, **action})
    if needs_ranks(run_options):
        raise ConfigError(
            f"gpus={run_options.train.gpus!r}: one process trains on one GPU; start several with "
            "the command line, weaver-tt train --gpus"
        )
    configure_log()
    with user_errors():
        return run_on_this_process(run_options)
