"""Whether reweighting does what it should: the spectra of the rows that the first epoch was made of, before and after."""

from __future__ import annotations

from typing import Any

from weaver_tt.config.schema import Weights
from weaver_tt.engine.progress import BatchLoader, total_accounting
from weaver_tt.log import log
from weaver_tt.run_files import RunFiles
from weaver_tt.system import distributed


def reweighting_figures(
    loader: BatchLoader, weights: Weights | None, prefix: str, epoch: int
) -> dict[str, Any]:
    """After the first epoch on reweighted rows: a figure by name, also written as ``PREFIX_reweighting.png`` and ``.pdf``; else nothing.

    Every rank calls this; the first one draws.
    """
    if weights is None or not weights.variables or epoch > 0:
        return {}
    spectra = total_accounting(loader).spectra
    if not distributed.is_main():
        return {}
    from weaver_tt.figures.base import save_figure  # draws: takes a second to import
    from weaver_tt.figures.spectra import reweighting_figure

    figure = reweighting_figure(spectra, weights.variables, list(weights.classes))
    written = save_figure(figure, RunFiles(prefix).reweighting)
    log.info("reweighting, before and after: %s", ", ".join(written))
    return {"reweighting": figure}
