"""Models judged by the responses of the same jets: medians, resolutions, alpha, beta, loss.

Numbers are arrays (S,): over all jets, then in each sample of the bootstrap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from weaver_tt.applications.jet_energy.correction import Correction
from weaver_tt.applications.jet_energy.judging.reading import (
    JetModel,
    Jets,
    QuantileColumn,
    file_columns,
    side_by_side,
)
from weaver_tt.applications.jet_energy.judging.responses import (
    GROUPS,
    LEAST_PT,
    PT_EDGES,
    QUARKS_AND_GLUON,
    REGIONS,
    Coverage,
    Loss,
    RecoBins,
    TrueBins,
    sample_weights,
)
from weaver_tt.errors import DataError
from weaver_tt.log import log
from weaver_tt.metrics.bootstrap_quantiles import Floats, SampledDistribution, Sums
from weaver_tt.system.wording import counted

STANDARD = "standard"
RAW = "raw"

ALL_PT = (PT_EDGES[0], PT_EDGES[-1])
QUARTILES = (0.25, 0.5, 0.75)
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ResponseNumbers:
    """What is measured of the responses of some jets: numbers of them, median, IQR / median.

    Each is (S,), NaN where there are no jets. Source: Eq. 7.3.
    """

    jets: Floats
    median: Floats
    resolution: Floats

    @classmethod
    def of(cls, distribution: SampledDistribution) -> ResponseNumbers:
        """Measure a distribution of R."""
        low, median, high = distribution.quantiles(QUARTILES)
        return cls(distribution.total, median, (high - low) / median)


def sum_of_absolute_errors(medians: Sequence[Floats]) -> Floats:
    """SAE (S,): the sum of |median - mean of the medians| over flavours. Source: Eq. 7.1."""
    stacked = np.stack(medians)  # (flavours, S)
    return np.asarray(np.abs(stacked - stacked.mean(0)).sum(0))


def improvement(value: Floats, standard: Floats) -> Floats:
    """1 - value / standard (S,): alpha of two SAE, beta of two resolutions. Source: 7.2, 7.4."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(1 - value / standard)


class JudgedModel:
    """The sums over the jets of one model, or of the standard correction, and what follows."""

    def __init__(self, name: str, source: JetModel | None = None) -> None:
        self.name = name
        self.source = source
        self.in_true_bins = TrueBins()
        self.in_reco_bins = RecoBins()
        self.loss = Loss()
        self.quantiles = [] if source is None else source.quantiles
        self.coverages: dict[str, Coverage] = {}
        for target, columns in self.quantiles_of_targets.items():
            self.coverages[target] = Coverage(len(columns))
        self._numbers: dict[tuple[str, Interval, str], ResponseNumbers] = {}

    @property
    def quantiles_of_targets(self) -> dict[str, list[QuantileColumn]]:
        """Predicted quantiles of each target."""
        found: dict[str, list[QuantileColumn]] = {}
        for quantile in self.quantiles:
            found.setdefault(quantile.target, []).append(quantile)
        return found

    def add(
        self, shared: Jets, own: Jets | None, corrected_pt: Floats, cells: Any, weights: Sums
    ) -> None:
        """Add jets: what is known of them, what the model says, and how they count."""
        true_pt = shared["true_pt"]
        response = corrected_pt / true_pt
        self.in_true_bins.add(cells, response, weights)
        if "raw_pt" in shared:
            self.loss.add(true_pt, shared["raw_pt"], response, weights)
            if "eta" in shared:
                rho = shared.get("rho")
                self.in_reco_bins.add(shared["raw_pt"], shared["eta"], rho, response, weights)
        for target, columns in self.quantiles_of_targets.items():
            assert own is not None
            of_file = file_columns(own, [target, *(quantile.column for quantile in columns)])
            predicted = np.stack([of_file[quantile.column] for quantile in columns], 1)
            self.coverages[target].add(
                true_pt, shared["true_eta"], of_file[target], predicted, weights
            )

    def responses(self, region: str, interval: Interval, flavours: str) -> SampledDistribution:
        """The distribution of R of a group of flavours."""
        return self.in_true_bins.of(region, interval, GROUPS[flavours])

    def numbers(self, region: str, flavours: str, interval: Interval = ALL_PT) -> ResponseNumbers:
        """Median and resolution of a group of flavours."""
        key = (region, interval, flavours)
        if key not in self._numbers:
            self._numbers[key] = ResponseNumbers.of(self.responses(region, interval, flavours))
        return self._numbers[key]

    def absolute_errors(
        self, region: str, flavours: Sequence[str], interval: Interval = ALL_PT
    ) -> Floats:
        """SAE (S,) over flavours; NaN where one of them has no jets."""
        return sum_of_absolute_errors(
            [self.numbers(region, name, interval).median for name in flavours]
        )


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """All models on the same jets.

    ``models`` are those of the command; ``standard`` the standard correction, ``raw`` the measured
    pT, where they are known. ``left_out``: reason -> number of jets that no number counts.
    """

    models: Sequence[JudgedModel]
    standard: JudgedModel | None
    raw: JudgedModel | None
    regions: Sequence[str]
    jets: int
    left_out: Mapping[str, int]
    has_raw_pt: bool
    has_eta: bool
    has_rho: bool
    correction: Correction | None = None

    @property
    def shown(self) -> list[JudgedModel]:
        """What figures show: the standard correction, else the measured pT, and the models."""
        reference = self.standard or self.raw
        return [*([] if reference is None else [reference]), *self.models]

    @cached_property
    def names(self) -> Mapping[str, str]:
        """What data YAMLs call columns; of several models the first that names one counts."""
        found: dict[str, str] = {}
        for model in reversed(self.models):
            about = None if model.source is None else model.source.about
            if about is not None:
                found |= about.names
        return found

    def label(self, role: str, default: str) -> str:
        """What the column of a role, such as ``raw_pt``, is called; ``default`` without a name."""
        source = self.models[0].source
        column = "" if source is None else source.columns.get(role, "")
        return self.names.get(column, default)

    @cached_property
    def everything(self) -> list[JudgedModel]:
        """All of which there are numbers."""
        return [one for one in (self.raw, self.standard) if one is not None] + list(self.models)

    def beta(
        self, model: JudgedModel, region: str, flavours: str, interval: Interval = ALL_PT
    ) -> Floats | None:
        """Beta (S,); None without a standard correction."""
        if self.standard is None:
            return None
        return improvement(
            model.numbers(region, flavours, interval).resolution,
            self.standard.numbers(region, flavours, interval).resolution,
        )

    def alpha(
        self,
        model: JudgedModel,
        region: str,
        flavours: Sequence[str] = tuple(QUARKS_AND_GLUON),
        interval: Interval = ALL_PT,
    ) -> Floats | None:
        """Alpha (S,), over six flavours unless others are given; None without a standard."""
        if self.standard is None:
            return None
        return improvement(
            model.absolute_errors(region, flavours, interval),
            self.standard.absolute_errors(region, flavours, interval),
        )


def judge(
    models: Sequence[JetModel],
    *,
    correction: Correction | None = None,
    regions: Sequence[str] = tuple(REGIONS),
) -> Judgement:
    """Read all jets of all models, and add up their responses.

    The standard is ``correction``, evaluated on the columns of the first model's files, or else the
    column ``standard_pt`` of that model.

    Raises:
        DataError: the files cannot be read or lack a column, hold different jets, or no jet that
            can be judged in one of the ``regions``; a correction is evaluated outside of its range.
    """
    first = models[0]
    judged = [JudgedModel(model.name, model) for model in models]
    has_standard = correction is not None or "standard_pt" in first.columns
    standard = JudgedModel(STANDARD) if has_standard else None
    raw = JudgedModel(RAW) if "raw_pt" in first.columns else None
    jets = 0
    left_out = {"without a true pT": 0, "without a corrected pT": 0}
    for chunks in side_by_side(models):
        rows = len(chunks[0]["true_pt"])
        use = _usable(chunks, left_out)
        weights = sample_weights(jets, rows, chunks[0].get("weight"))[use]
        jets += rows
        chunks = [{name: values[use] for name, values in chunk.items()} for chunk in chunks]
        shared = chunks[0]
        cells = TrueBins.cells(shared["true_pt"], shared["true_eta"], shared["flavour"])
        for model, chunk in zip(judged, chunks, strict=True):
            model.add(shared, chunk, chunk["corrected_pt"], cells, weights)
        if raw is not None:
            raw.add(shared, None, shared["raw_pt"], cells, weights)
        if standard is not None:
            standard_pt = _standard_pt(shared, correction)
            standard.add(shared, None, standard_pt, cells, weights)
    for reason, number in left_out.items():
        if number:
            log.warning("%s %s: of none of the models", counted(number, "jet"), reason)
    _check_regions(judged[0], regions, models, jets, left_out)
    return Judgement(
        models=judged,
        standard=standard,
        raw=raw,
        regions=tuple(regions),
        jets=jets,
        left_out={reason: number for reason, number in left_out.items() if number},
        has_raw_pt=raw is not None,
        has_eta="eta" in first.columns,
        has_rho="rho" in first.columns,
        correction=correction,
    )


def _usable(chunks: Sequence[Jets], left_out: dict[str, int]) -> npt.NDArray[np.bool_]:
    """The jets (R,) that all models can be judged on; the others are counted."""
    shared = chunks[0]
    has_truth = _is_positive(shared["true_pt"]) & np.isfinite(shared["true_eta"])
    is_corrected = np.ones(len(has_truth), bool)
    for chunk in chunks:
        is_corrected &= _is_positive(chunk["corrected_pt"])
    for name in ("raw_pt", "standard_pt"):
        if name in shared:
            is_corrected &= _is_positive(shared[name])
    left_out["without a true pT"] += int((~has_truth).sum())
    left_out["without a corrected pT"] += int((has_truth & ~is_corrected).sum())
    usable: npt.NDArray[np.bool_] = has_truth & is_corrected
    return usable


def _is_positive(values: Floats) -> npt.NDArray[np.bool_]:
    return np.isfinite(values) & (values > 0)


def _standard_pt(shared: Jets, correction: Correction | None) -> Floats:
    """PT (R,) by the standard correction."""
    if correction is None:
        return shared["standard_pt"]
    if not len(shared["true_pt"]):
        return shared["true_pt"]
    return correction.corrected(file_columns(shared, correction.needed_columns))


def _check_regions(
    model: JudgedModel,
    regions: Sequence[str],
    models: Sequence[JetModel],
    jets: int,
    left_out: Mapping[str, int],
) -> None:
    """Raise DataError where a region has no jets."""
    place = ", ".join(models[0].paths)
    if sum(left_out.values()) == jets:
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in left_out.items())
        raise DataError(f"{place}: there is no jet to judge, of {jets:,}: {reasons}")
    empty = []
    for region in regions:
        if model.numbers(region, "all").jets[0] <= 0:
            empty.append(region)
    if not empty:
        return
    low, high = REGIONS[empty[0]]
    others = [region for region in regions if region not in empty]
    hint = f"; --regions {' '.join(others)} leaves it out" if others else ""
    raise DataError(
        f"{place}: no jet of {jets:,} is {empty[0]}, with {low:g} <= abs(true_eta) < {high:g} and "
        f"true_pt > {LEAST_PT:g} GeV{hint}"
    )


def flavour_pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Each pair once."""
    return list(combinations(names, 2))
