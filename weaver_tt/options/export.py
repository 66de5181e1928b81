"""Flags of ``weaver-tt export``."""

from __future__ import annotations

from dataclasses import dataclass

from weaver_tt.options.flags import COUNT, NOT_NEGATIVE, flag
from weaver_tt.options.train import KEY_VALUE, OPSETS

TARGET_NAMES = ("generic", "fcc", "cmssw", "triton", "athena", "raw")


@dataclass(kw_only=True)
class ExportOptions:
    """Export a trained network as a folder that a framework loads as it is, with proof inside."""

    target: str = flag(
        "generic",
        "who reads it: generic, Python and the C++ library of weaver_tt; fcc, FCCAnalyses and "
        "key4hep; cmssw; triton, a model repository; athena, with inputs as salt has "
        "them; raw, ONNX Runtime with the columns of files, all else in the graph",
        choices=list(TARGET_NAMES),
        daily=True,
    )
    output: str = flag(
        "", "folder to write; an earlier export in it is replaced", "-o", required=True
    )
    model_prefix: str = flag(
        "", "prefix or a _state.pt file of the trained network", "-m", required=True
    )
    data_config: str = flag("", "data YAML of the training", "-c", required=True)
    network_config: str = flag("", "network file of the training", "-n", required=True)
    network_option: list[list[str]] = flag(
        [],
        "option of get_model, such as --network-option hidden 64 (default: those of the training)",
        **KEY_VALUE,
    )
    data_test: list[str] = flag(
        [],
        "files whose rows are compared and kept as proof (default: the rows that the training "
        "kept)",
        "-t",
        nargs="+",
    )
    load_epoch: int | None = flag(
        None, "export the network after this epoch (default: the best one)", bounds=NOT_NEGATIVE
    )
    plain_weights: bool = flag(
        False, "of a training with --ema, export the weights without averaging"
    )
    name: str | None = flag(
        None, "name of the network for the reader (default: that of the output folder)"
    )
    custom_functions: str | None = flag(
        None, "Python file with functions that expressions of the data YAML may call"
    )
    onnx_opset: int = flag(17, "ONNX operator set", bounds=OPSETS)
    num_threads: int | None = flag(None, "CPU threads of torch", bounds=COUNT)
