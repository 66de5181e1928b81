"""``weaver-tt closure``: what is closed follows from what the prediction files are."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from weaver_tt.applications.density_ratio.commands import RatioClosureOptions, run_ratio_closure
from weaver_tt.applications.truth_tagging.commands import ClosureOptions as TaggingClosureOptions
from weaver_tt.applications.truth_tagging.commands import run_closure as run_tagging_closure
from weaver_tt.options.flags import refuse_flags


@dataclass(kw_only=True)
class ClosureOptions(TaggingClosureOptions, RatioClosureOptions):
    """What was predicted against what is there: closure.json and figures."""


def run_closure(options: ClosureOptions) -> None:
    """``weaver-tt closure``: of tagging efficiencies, or of the ratio of two samples."""
    of_tagging = _names(TaggingClosureOptions)
    of_ratios = _names(RatioClosureOptions)
    if _is_ratio(options):
        what = f"{options.predictions[0]} is taken as the ratio of two samples"
        refuse_flags(options, of_tagging - of_ratios, "closure", what)
        run_ratio_closure(options)
    else:
        what = f"{options.predictions[0]} is no prediction of the ratio of two samples"
        refuse_flags(options, of_ratios - of_tagging, "closure", what)
        run_tagging_closure(options)


def _names(options: type[TaggingClosureOptions | RatioClosureOptions]) -> set[str]:
    return {item.name for item in dataclasses.fields(options)}


def _is_ratio(options: ClosureOptions) -> bool:
    """Whether the files are predictions of a ratio, as a flag says or they do."""
    from weaver_tt.config.density_ratio import TASK
    from weaver_tt.formats.file_groups import list_paths
    from weaver_tt.output.about import read_about

    if options.ratio:
        return True
    about = read_about(list_paths(options.predictions)[0], options.treename)
    return about is not None and about.task == TASK
