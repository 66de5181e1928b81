"""From files to what is measured: the spectra of data and categories, in all kinematic bins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from weaver_tt.applications.calibration.categories import Category, check_separate
from weaver_tt.applications.calibration.jets import JetSources
from weaver_tt.applications.calibration.measurement import BinInput
from weaver_tt.applications.calibration.mistag import ControlRegion, count_jets
from weaver_tt.applications.calibration.spectra import REGIONS, Grid, Spectra, fill_spectra
from weaver_tt.applications.calibration.systematics import Systematics
from weaver_tt.applications.calibration.templates import CategorySpectra, Distortions
from weaver_tt.errors import ConfigError, DataError
from weaver_tt.expressions.row_values import Floats
from weaver_tt.formats.file_groups import is_same_file
from weaver_tt.log import log
from weaver_tt.output.about import read_about
from weaver_tt.system.wording import counted

DATA = "data"


@dataclass(frozen=True, kw_only=True)
class CalibrationFiles:
    """Files of data and simulation, and what is read of them.

    ``data_weight``: expression of the weights of data, None: all 1.
    """

    data: Category
    categories: Sequence[Category]
    sources: JetSources
    data_weight: str | None
    treename: str | None

    @property
    def data_sources(self) -> JetSources:
        """What is read of the data."""
        return replace(self.sources, weight=self.data_weight)

    def readable(self, column: str) -> str:
        """What the data YAML of the network calls a column, where a file of simulation knows it.

        Raises:
            DataError: a file cannot be read.
        """
        about = read_about(self.categories[0].paths[0], self.treename)
        return column if about is None else about.names.get(column, column)


def check_files(files: CalibrationFiles) -> None:
    """Raise where a jet would count twice.

    Raises:
        ConfigError: a file is of the data and of a category.
        DataError: a row is of two categories.
    """
    for category in files.categories:
        for path in category.paths:
            if any(is_same_file(path, other) for other in files.data.paths):
                raise ConfigError(
                    f"calibrate: {path} is of --data and of --mc {category.name}: simulation that "
                    "stands for data is to be of other jets"
                )
    check_separate(files.categories, files.treename)


def read_inputs(
    files: CalibrationFiles, grid: Grid, distortions: Distortions, systematics: Systematics
) -> list[BinInput]:
    """What each kinematic bin is measured with.

    Raises:
        DataError: a file cannot be read, or a category passes always or never.
    """
    spectra = []
    for category in files.categories:
        nominal = fill_spectra(category, files.sources, grid, files.treename)
        _log_rows(category.name, nominal)
        check_both_regions(category, nominal, files.sources.tag)
        if distortions.names:
            _warn_of_cuts(category.name, nominal)
        varied = {}
        for name, paths in systematics.templates_of(category.name).items():
            sides = []
            for side in (paths.up, paths.down):
                sides.append(fill_spectra(category, files.sources, grid, files.treename, side))
            varied[name] = (sides[0], sides[1])
        spectra.append(
            CategorySpectra(
                name=category.name,
                nominal=nominal,
                varied=varied,
                rates=systematics.rates_of(category.name),
            )
        )
    data = fill_spectra(files.data, files.data_sources, grid, files.treename)
    _log_rows(DATA, data)
    check_both_regions(files.data, data, files.sources.tag)
    undistorted = grid.response(1.0, 0.0)
    tasks = []
    bins = files.sources.bins
    for number in range(len(bins)):
        contents = data.template(number, undistorted)
        _warn_of_fractions(bins.label(number), contents)
        tasks.append(
            BinInput(
                number=number,
                label=bins.label(number),
                name=bins.name(number),
                data=contents,
                spectra=spectra,
                distortions=distortions,
            )
        )
    return tasks


def read_control_region(
    files: CalibrationFiles, measured: str, systematics: Systematics
) -> ControlRegion:
    """What a mistag rate is counted with.

    Raises:
        ConfigError: the systematics hold templates, or a rate of the category itself.
        DataError: a file cannot be read.
    """
    if systematics.templates:
        name = next(iter(systematics.templates))
        raise ConfigError(
            f"calibrate: --mistag and templates.{name} of --systematics: only rates count there"
        )
    for name, of_category in systematics.rates.items():
        if measured in of_category:
            raise ConfigError(
                f"calibrate: --mistag {measured} and rates.{name}.{measured} of --systematics: its "
                "rate is that of the data"
            )
    data = count_jets(files.data, files.data_sources, files.treename)
    simulated = {}
    for category in files.categories:
        simulated[category.name] = count_jets(category, files.sources, files.treename)
    for name, found in {DATA: data, **simulated}.items():
        log.info(
            "%s: %s, %s in no bin of --bins-in",
            name,
            counted(found.rows, "jet"),
            f"{found.outside_bins:,}",
        )
    return ControlRegion(
        measured=measured,
        data=data,
        simulated=simulated.pop(measured),
        others=simulated,
        rates=systematics.rates,
    )


def check_both_regions(category: Category, spectra: Spectra, tag: str) -> None:
    """Raise where all jets pass, or none.

    Raises:
        DataError: there is no jet in one of the regions, or none at all.
    """
    counts = np.count_nonzero(spectra.squares, axis=(0, 2))
    where = f"{category.name} ({', '.join(category.paths)})"
    if not counts.any():
        raise DataError(f"{where}: not one jet is selected, and in the bins")
    for place, region in enumerate(REGIONS):
        if not counts[place]:
            share = "all jets pass" if region == "fail" else "no jet passes"
            raise DataError(f"{where}: {share} --tag {tag!r}; an efficiency needs both regions")


def _log_rows(name: str, spectra: Spectra) -> None:
    """What of a sample is counted, and what is not."""
    counted_rows = spectra.rows - spectra.outside_bins - int(spectra.outside_edges.sum())
    log.info(
        "%s: %s of %s between the edges; %s outside of them, %s in no bin of --bins-in",
        name,
        f"{counted_rows:,}",
        counted(spectra.rows, "jet"),
        f"{int(spectra.outside_edges.sum()):,}",
        f"{spectra.outside_bins:,}",
    )


def _warn_of_cuts(name: str, spectra: Spectra) -> None:
    """Say where a selection at an edge leaves scale and resolution no jets to move in."""
    for edge in spectra.cut_edges():
        log.warning(
            "%s: no jet lies beyond the edge %g, and many do before it: if a selection cuts there, "
            "scale and resolution have none to move in, and the fit may not settle; give files "
            "without that cut, or --edges that end further inside",
            name,
            edge,
        )


def _warn_of_fractions(label: str, contents: Floats) -> None:
    if not np.allclose(contents, np.round(contents)):
        log.warning(
            "%s: the data are no whole numbers (%.6g in all): the fit takes them for counts, so "
            "that its errors are not those of weighted data",
            label,
            contents.sum(),
        )
