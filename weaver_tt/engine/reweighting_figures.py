"""Spectra of the rows of the first epoch, before and after reweighting: does it work?"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from weaver_tt.config.schema import Weights
from weaver_tt.config.target_density import target_shares
from weaver_tt.engine.progress import BatchLoader, total_accounting
from weaver_tt.log import log
from weaver_tt.run_files import RunFiles
from weaver_tt.system import distributed


def reweighting_figures(
    loader: BatchLoader,
    weights: Weights | None,
    prefix: str,
    epoch: int,
    names: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """The figure ``reweighting`` after the first epoch on reweighted rows; else nothing.

    Variables and classes are called what ``names`` has for them. It is also written, as
    ``PREFIX_reweighting.png`` and ``.pdf``. Every rank calls this; rank 0
    draws.
    """
    if weights is None or not weights.variables:
        return {}
    if epoch > 0:
        # later epochs draw their rows by the same tables
        return {}
    # before ranks part ways: all of them must take part in the sum
    spectra = total_accounting(loader).spectra
    if not distributed.is_main():
        return {}
    # matplotlib takes a second to import: only where something is drawn
    from weaver_tt.figures.attempts import attempting
    from weaver_tt.figures.base import save_figure
    from weaver_tt.figures.spectra import reweighting_figure

    drawn = {}
    path = RunFiles(prefix).reweighting
    with attempting(f"figure {path}"):
        figure = reweighting_figure(
            spectra,
            weights.variables,
            list(weights.classes),
            _target_of_variables(weights),
            names,
        )
        drawn["reweighting"] = figure
        written = save_figure(figure, path)
        log.info("reweighting, before and after: %s", ", ".join(written))
    return drawn


def _target_of_variables(weights: Weights) -> dict[str, Any] | None:
    """Variable -> share of the target density in each of its bins; None without a density."""
    if weights.target is None:
        return None
    shares = target_shares(weights.target, weights.variables, "weights.target")
    axes = set(range(shares.ndim))
    found = {}
    for axis, name in enumerate(weights.variables):
        found[name] = shares.sum(axis=tuple(axes - {axis}))
    return found
