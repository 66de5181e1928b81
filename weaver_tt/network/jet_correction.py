"""A jet energy correction on tensors: the numbers of a correctionlib file, inside of a graph."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from weaver_tt.config.corrected_output import CorrectedOutput
from weaver_tt.expressions.tensor_form import compute_on_tensors
from weaver_tt.physics.jet_correction_json import LEAST_SHARE
from weaver_tt.physics.jet_curves import EtaCurves, Floats


def corrected_on_tensors(corrected: CorrectedOutput, known: Mapping[str, Tensor]) -> Tensor:
    """The corrected pT (N,), from the outputs and columns (N,) that are ``known`` by name.

    NaN beyond the range of the correction unless it extrapolates, and where a pT is not above 0.
    """
    values = {role: compute_on_tensors(each, known) for role, each in corrected.roles.items()}
    pt = values["pt"]
    if corrected.has_offset:
        # a jet keeps some of its pT
        pt = pt * torch.clamp(1 - values["rho"] * values["area"] / pt, min=LEAST_SHARE)
    return pt * curve_factor(corrected.curves, pt, values["eta"], corrected.extrapolates)


def curve_factor(curves: EtaCurves, pt: Tensor, eta: Tensor, extrapolates: bool) -> Tensor:
    """Factors (N,) of jets with ``pt`` and ``eta`` (N,); B bins of K segments at most.

    As :meth:`~weaver_tt.physics.jet_curves.EtaCurves.factor`, in operations that every runtime of
    exported graphs has: places are counted, and tables looked up.
    """
    segments = max(len(curve.coefficients) for curve in curves.curves)
    eta_edges = pt.new_tensor(curves.eta_edges.tolist())  # (B + 1,)
    # edges that a curve lacks are never reached
    edges = _padded([curve.edges for curve in curves.curves], segments + 1, np.inf)
    starts = _padded([curve.log_edges[:-1] for curve in curves.curves], segments, 0.0)
    polynomials = _padded([curve.coefficients for curve in curves.curves], segments, 0.0)
    numbers = [len(curve.coefficients) for curve in curves.curves]
    last = pt.new_tensor([number - 1 for number in numbers], dtype=torch.int64)
    low = pt.new_tensor([curve.low for curve in curves.curves])
    high = pt.new_tensor([curve.high for curve in curves.curves])

    size = eta.abs()
    bins = _count_reached(size, eta_edges).clamp(0, len(numbers) - 1)  # (N,)
    of_bin = pt.new_tensor(edges.tolist()).index_select(0, bins)  # (N, K + 1)
    segment = _count_reached(pt, of_bin).clamp(min=0)
    segment = torch.minimum(segment, last.index_select(0, bins))
    place = bins * segments + segment
    start = pt.new_tensor(starts.ravel().tolist()).index_select(0, place)
    table = pt.new_tensor(polynomials.reshape(-1, 4).tolist())
    a, b, c, e = table.index_select(0, place).unbind(1)  # (N,) each
    distance = pt.log() - start
    factor = (a + distance * (b + distance * (c + distance * e))).exp()
    if extrapolates:
        return factor
    is_inside = (size >= eta_edges[0]) & (size < eta_edges[-1])
    is_inside = is_inside & (pt >= low.index_select(0, bins)) & (pt < high.index_select(0, bins))
    return torch.where(is_inside, factor, torch.nan)


def _count_reached(values: Tensor, edges: Tensor) -> Tensor:
    """How many of ``edges``, (E,) or (N, E), each value (N,) has reached, less 1."""
    return (values.unsqueeze(1) >= edges).to(torch.int64).sum(1) - 1


def _padded(rows: list[Floats], length: int, value: float) -> Floats:
    """Arrays (K, ...) of different K, one below the other, filled up: (B, ``length``, ...)."""
    whole = np.full((len(rows), length, *rows[0].shape[1:]), value)
    for row, own in zip(whole, rows, strict=True):
        row[: len(own)] = own
    return whole
