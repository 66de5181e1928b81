"""The closure of a ratio as a page of text: what the log shows and ``closure.md`` holds."""

from __future__ import annotations

from collections.abc import Mapping

from weaver_tt.applications.density_ratio.closure import RatioClosure
from weaver_tt.applications.density_ratio.roles import DENOMINATOR, ESTIMATES, NETWORK, NUMERATOR
from weaver_tt.applications.density_ratio.shapes import Agreement


def closure_table(closure: RatioClosure) -> str:
    """chi2/ndf of all variables and pairs, and what else is measured, as markdown."""
    lines = ["| chi2/ndf of shapes | ndf | before | map | network |", "|---|---|---|---|---|"]
    for variable in closure.variables:
        lines.append(_row(variable.name, variable.agreements))
    for pair, agreements in closure.pairs.items():
        lines.append(_row(", ".join(pair), agreements))
    areas = " | ".join(_area_text(closure, name) for name in ESTIMATES)
    lines.append(f"| two-sample test: area | | {areas} |")
    sizes = " | ".join(f"{closure.sizes[name]:,.0f}" for name in ESTIMATES)
    lines.append(f"| effective size of the {DENOMINATOR} | | {sizes} |")
    mean, error = closure.mean
    largest = ", ".join(f"{name} {value:.3g}" for name, value in closure.largest.items())
    support = ", ".join(f"{name} {100 * share:.2g} %" for name, share in closure.support.items())
    counts = closure.counts
    lines += [
        "",
        f"- entries: {counts[NUMERATOR]:,} of the {NUMERATOR}, {counts[DENOMINATOR]:,} of the "
        f"{DENOMINATOR}",
        f"- mean of the ratio under the {DENOMINATOR}: {mean:.4f} +- {error:.4f}",
        f"- weights: {largest.replace('_', ' ')}",
        f"- without support: {support.replace('_', ' ')}",
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, agreements: Mapping[str, Agreement]) -> str:
    cells = []
    for estimate in ESTIMATES:
        per_ndf = agreements[estimate].per_ndf
        cells.append("none" if per_ndf is None else f"{per_ndf:.2f}")
    return f"| {name} | {agreements[NETWORK].ndf} | {' | '.join(cells)} |"


def _area_text(closure: RatioClosure, name: str) -> str:
    area = closure.areas[name]
    return f"{area.value:.4f} +- {area.error:.4f}"
