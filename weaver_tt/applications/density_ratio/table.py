"""The closure of a ratio as text: what a command ends with, and what ``closure.md`` holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from weaver_tt.applications.density_ratio.closure import LARGEST_SHARES, RatioClosure
from weaver_tt.applications.density_ratio.roles import DENOMINATOR, ESTIMATES, NETWORK, NUMERATOR
from weaver_tt.applications.density_ratio.shapes import Agreement
from weaver_tt.system.wording import value_with_error


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
    lines += ["", *(f"- {name}: {text}" for name, text in _numbers(closure))]
    return "\n".join(lines) + "\n"


def closure_results(closure: RatioClosure) -> list[tuple[str, str]]:
    """The same, without what is measured of pairs, as texts with names."""
    results = []
    for variable in closure.variables:
        cells = zip(ESTIMATES, _per_ndf(variable.agreements), strict=True)
        shown = ", ".join(f"{name} {cell}" for name, cell in cells)
        ndf = variable.agreements[NETWORK].ndf
        results.append((variable.name, f"chi2/ndf of the shape: {shown}, ndf {ndf}"))
    areas = ", ".join(f"{name} {_area_text(closure, name)}" for name in ESTIMATES)
    results.append(("two-sample test", f"area: {areas}"))
    sizes = ", ".join(f"{name} {closure.sizes[name]:,.0f}" for name in ESTIMATES)
    results.append(("effective size", f"of the {DENOMINATOR}: {sizes}"))
    return [*results, *_numbers(closure)]


def _numbers(closure: RatioClosure) -> Iterator[tuple[str, str]]:
    """What is not of single estimates."""
    mean, error = closure.mean
    support = ", ".join(f"{name} {100 * share:.2g} %" for name, share in closure.support.items())
    counts = closure.counts
    of_denominator = f"{counts[DENOMINATOR]:,} of the {DENOMINATOR}"
    yield "entries", f"{counts[NUMERATOR]:,} of the {NUMERATOR}, {of_denominator}"
    yield "mean of the ratio", f"{value_with_error(mean, error)} under the {DENOMINATOR}"
    yield "largest weight", f"{closure.largest['largest_over_mean']:.3g} times the mean"
    for share in LARGEST_SHARES:
        of_sum = 100 * closure.largest[f"sum_of_largest_{share:g}"]
        yield f"largest {100 * share:g} %", f"{of_sum:.3g} % of the sum of weights"
    yield "without support", support.replace("_", " ")


def _row(name: str, agreements: Mapping[str, Agreement]) -> str:
    return f"| {name} | {agreements[NETWORK].ndf} | {' | '.join(_per_ndf(agreements))} |"


def _per_ndf(agreements: Mapping[str, Agreement]) -> list[str]:
    """chi2/ndf of each estimate."""
    cells = []
    for estimate in ESTIMATES:
        per_ndf = agreements[estimate].per_ndf
        cells.append("none" if per_ndf is None else f"{per_ndf:.2f}")
    return cells


def _area_text(closure: RatioClosure, name: str) -> str:
    area = closure.areas[name]
    return value_with_error(area.value, area.error)
