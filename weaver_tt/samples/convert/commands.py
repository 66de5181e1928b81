"""The command ``weaver-tt convert``: its options, and what runs it.

What it needs is imported when it runs, so that ``--help`` is instant.
"""

from __future__ import annotations

import argparse
import importlib
from dataclasses import dataclass

from weaver_tt.log import log
from weaver_tt.options.flags import flag

CONVERTERS = {
    "top": "weaver_tt.samples.convert.top:convert_top",
    "qg": "weaver_tt.samples.convert.qg:convert_quark_gluon",
}


@dataclass(kw_only=True)
class ConvertOptions:
    """Public data sets of jets as files to train on."""

    dataset: str = flag(
        "",
        "top: train.h5, val.h5, test.h5 of the top tagging reference; qg: QG_jets*.npz",
        positional=True,
        choices=list(CONVERTERS),
    )
    input: str = flag(".", "folder with the data set's files", "-i")
    output: str = flag("converted", "folder to write train_file_0 and so on to", "-o")
    format: str = flag("parquet", "format of the files", choices=["parquet", "root"])
    progress: bool = flag(True, "progress bar", action=argparse.BooleanOptionalAction)


def run_convert(options: ConvertOptions) -> None:
    """``weaver-tt convert``."""
    module, name = CONVERTERS[options.dataset].split(":")
    convert = getattr(importlib.import_module(module), name)
    suffix = f".{options.format}"
    for path in convert(options.input, options.output, suffix, options.progress):
        log.info("%s", path)
