"""The command ``weaver-tt apply``, or ``weaver-tt-apply``: an exported network on files of columns.

Needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from weaver_tt.deploy.column_files import ColumnFile, check_output, opening_columns, opening_output
from weaver_tt.deploy.proof import GOLDEN, replay_golden
from weaver_tt.deploy.signature import MASK
from weaver_tt.deploy.tagger import Tagger
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.log import log
from weaver_tt.options.flags import COUNT, flag
from weaver_tt.system.wording import counted

ROWS = 20_000  # that are in memory at once
# what may be missing
OF_DATA_YAML = (
    "the network takes variables as the data YAML names them, and what that makes of columns is "
    "to be a column here (README.md beside the network says how each is made). `weaver-tt export "
    "--target raw` writes a network that takes the columns of files; `weaver-tt train --predict "
    "-c DATA_YAML -m FOLDER/model.onnx` takes any file that the data YAML is for"
)


@dataclass(kw_only=True)
class ApplyOptions:
    """Apply an exported network to files of its columns, without torch."""

    folder: str = flag(
        "",
        "folder of model.onnx and preprocess.json, or of the one of --target raw",
        positional=True,
    )
    data_test: list[str] = flag(
        [],
        "files with the columns that the network needs: .csv, .json, .parquet, .root, .h5",
        "-t",
        nargs="+",
    )
    output: str = flag("", "file for the outputs of all rows: .csv, .parquet or .root", "-o")
    golden: bool = flag(
        False,
        "replay golden.json of the folder first: the rows must have the outputs of torch",
        daily=True,
    )
    keep: list[str] = flag([], "columns that are copied to the output", nargs="+", daily=True)
    prefix: str = flag("", "what names of outputs begin with in the file, such as score_")
    tree: str | None = flag(None, "tree of ROOT files that hold several")
    model: str = flag("model.onnx", "name of the network in the folder")
    batch_size: int = flag(256, "rows that the network is given at once, at most", bounds=COUNT)
    threads: int = flag(1, "threads of ONNX Runtime", bounds=COUNT)


@dataclass(frozen=True, slots=True)
class Applied:
    """How many rows were written, and how many of them have an output that is no number."""

    rows: int = 0
    without_output: int = 0


def run_apply(options: ApplyOptions) -> Applied:
    """``weaver-tt apply``.

    Raises:
        ConfigError: the folder holds no network, or flags do not fit together.
        DataError: a file cannot be read, or lacks a column.
        OutputError: a golden row has other outputs, or the file cannot be written.
    """
    if bool(options.data_test) != bool(options.output):
        missing = "-o FILE for the outputs" if options.data_test else "-t FILES with columns"
        raise ConfigError(f"weaver-tt apply: expected {missing}")
    if not options.data_test and not options.golden:
        raise ConfigError("weaver-tt apply: expected -t FILES and -o FILE, or --golden")
    if options.output:
        check_output(options.output)
    tagger = Tagger(
        options.folder,
        model=options.model,
        threads=options.threads,
        batch_size=options.batch_size,
    )
    if options.golden:
        replay(options)
    if not options.data_test:
        return Applied()
    return apply_to_files(tagger, options)


def replay(options: ApplyOptions) -> None:
    """Replay the proof, and say how it went.

    Raises:
        OutputError: a row has other outputs.
    """
    found = replay_golden(Path(options.folder), options.model, options.threads)
    kinds = ", ".join(f"{number} {kind}" for kind, number in found.kinds.items())
    log.info(
        "%s: %s (%s) have the outputs of torch; the largest difference is %.2g of 1 + |value|",
        Path(options.folder) / GOLDEN,
        counted(sum(found.kinds.values()), "row"),
        kinds,
        found.largest,
    )


def apply_to_files(tagger: Tagger, options: ApplyOptions) -> Applied:
    """Write the outputs of all rows, in the order of the files.

    Raises:
        ConfigError: an output has the name of a column that is kept, or a file would be lost.
        DataError: a file cannot be read, or lacks a column.
        OutputError: the output cannot be written.
    """
    names = {name: options.prefix + name for name in tagger.output_names}
    twice = sorted(set(names.values()) & set(options.keep))
    if twice:
        raise ConfigError(
            f"--keep {twice[0]}: an output has this name; --prefix score_ makes the outputs "
            f"{', '.join('score_' + name for name in names)}"
        )
    if Path(options.output).resolve() in [Path(path).resolve() for path in options.data_test]:
        raise ConfigError(f"-o {options.output}: is one of the files that are read")
    # a missing column is said before anything is written
    for path in options.data_test:
        with opening_columns(path, options.tree, tagger.list_columns) as file:
            needed_columns(tagger, file)
            file.resolve(options.keep)
    written = 0
    without_output = 0
    with opening_output(options.output) as output:
        for path in options.data_test:
            with opening_columns(path, options.tree, tagger.list_columns) as file:
                needed = needed_columns(tagger, file)
                # of a file without rows, names and types
                for first in range(0, max(file.rows(), 1), ROWS):
                    last = min(first + ROWS, file.rows())
                    columns = file.read([*needed, *options.keep], first, last)
                    try:
                        results = tagger({name: columns[name] for name in needed})
                    except DataError as error:
                        raise DataError(f"{path}: {error}") from error
                    without_output += _count_without_output(results)
                    outputs = {names[name]: values for name, values in results.items()}
                    kept = {name: columns[name] for name in options.keep}
                    output.write(kept | outputs)
                    written += last - first
    log.info(
        "%s: %s of %s, with %s",
        options.output,
        counted(written, "row"),
        counted(len(options.data_test), "file"),
        ", ".join(names.values()),
    )
    return Applied(written, without_output)


def needed_columns(tagger: Tagger, file: ColumnFile) -> Sequence[str]:
    """The columns that are read for the network; masks may be missing.

    Raises:
        DataError: the file lacks one.
    """
    needed = [name for name in tagger.column_names if name in file or not name.endswith(MASK)]
    try:
        file.resolve(needed)
    except DataError as error:
        if tagger.takes_columns_of_files:
            raise
        raise DataError(f"{error}; {OF_DATA_YAML}") from error
    return needed


def _count_without_output(results: Mapping[str, Any]) -> int:
    """How many rows have an output that is NaN or infinite.

    Of objects that is so wherever the network was not given one.
    """
    of_rows = [values for values in results.values() if isinstance(values, np.ndarray)]
    if not of_rows:
        return 0
    return int((~np.isfinite(np.stack(of_rows))).any(0).sum())
