"""``weaver-tt inputs``: every input variable of each class, before and after scaling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from weaver_tt.config.inputs import with_params
from weaver_tt.config.load import load_config
from weaver_tt.config.plan import make_plan
from weaver_tt.config.schema import DataConfig
from weaver_tt.data.chunks import Source
from weaver_tt.data.first_rows import read_first_rows
from weaver_tt.data.scan import Scan, scan_files
from weaver_tt.data.statistics.input_sums import InputSums, inputs_and_classes
from weaver_tt.data.statistics.standardize import StatisticsAccumulator
from weaver_tt.data.statistics.training_pass import accumulate
from weaver_tt.errors import ConfigError, DataError, nearest
from weaver_tt.figures.base import make_folder
from weaver_tt.formats.file_groups import parse_groups
from weaver_tt.log import log
from weaver_tt.options.inputs import InputsOptions
from weaver_tt.run.inputs.page import inputs_page
from weaver_tt.run.inputs.table import as_csv, variable_rows
from weaver_tt.run.starter_files import network_beside
from weaver_tt.system.atomic_files import write_text
from weaver_tt.system.json_files import write_json
from weaver_tt.system.terminal import report_results
from weaver_tt.system.wording import counted

FIRST_ROWS = 5000  # of each file group, by which bins are chosen


def run_inputs(options: InputsOptions) -> None:
    """Read the rows and write figures, table and page.

    Raises:
        ConfigError: the data YAML or files are not given, or something in it cannot be done.
        DataError: a file cannot be read, or no row passes the selection.
        OutputError: results cannot be written.
    """
    if not options.data_config or not options.data_train:
        raise ConfigError("--data-config and --data-train must be given")
    config = load_config(options.data_config, options.custom_functions)
    _check_classes(options.classes, config)
    plan = make_plan(inputs_and_classes(config), "train")
    scan = scan_files(parse_groups(options.data_train), inputs_and_classes(config), plan)
    in_files = sum(source.borders[-1] - source.borders[0] for source in scan.sources)
    share = min(1.0, options.rows / max(1, in_files))
    sums = add_up_inputs(config, scan, share)
    if not sums.rows.sum():
        raise DataError(f"{config.source}: no row passes the selection; nothing to draw")
    make_folder(options.output)
    _write_table(sums, share, Path(options.output))
    log.info("drawing %s", counted(len(sums.variables), "variable"))
    page = inputs_page(sums, config, share, in_files, options)
    place = Path(options.output) / "inputs.html"
    write_text(place, page)
    check = ["weaver-tt", "check", "-c", options.data_config, "-i", *options.data_train]
    check += ["-n", network_beside(options.data_config)]
    if options.custom_functions is not None:
        check += ["--custom-functions", options.custom_functions]
    results = [("page", f"{place}, {counted(len(sums.variables), 'variable')}")]
    report_results("inputs", results, [check])


def _check_classes(names: Sequence[str], config: DataConfig) -> None:
    """Raise ConfigError for one of the ``names`` that is no class."""
    classes = config.labels.classes if config.labels is not None else ()
    for name in names:
        if name not in classes:
            raise ConfigError(
                f"{config.source}: --classes {name}: there is no such class; "
                f"{nearest(name, classes)}"
            )


def add_up_inputs(config: DataConfig, scan: Scan, share: float) -> InputSums:
    """The inputs of the ``share`` of each stretch of rows that is looked at.

    Numbers of ``auto`` variables come from the same rows.
    """
    bare = inputs_and_classes(config)
    sources: list[Source] = list(scan.sources)
    first = read_first_rows(bare, make_plan(bare, "train"), scan, rows=FIRST_ROWS)
    if bare.needs_statistics:
        fraction = min(share, bare.preprocess.data_fraction)
        preprocess = replace(bare.preprocess, data_fraction=fraction)
        statistics = StatisticsAccumulator(replace(bare, preprocess=preprocess), sources)
        accumulate([statistics], sources, skip_bad=False, types=scan.types)
        bare = with_params(bare, statistics.result())
    sums = InputSums(bare, [part.table for part in first if part.selected], share)
    accumulate([sums], sources, skip_bad=False, types=scan.types)
    return sums


def _write_table(sums: InputSums, share: float, folder: Path) -> None:
    """The table as JSON and CSV."""
    rows = variable_rows(sums)
    content = {
        "share_of_rows": share,
        "rows": dict(zip(sums.classes, sums.rows.tolist(), strict=True)),
        "weights": dict(zip(sums.classes, np.round(sums.weights, 6).tolist(), strict=True)),
        "variables": rows,
    }
    write_json(folder / "inputs.json", content)
    write_text(folder / "inputs.csv", as_csv(rows))
