"""Mistag rates: the efficiency of a background in data, from a region that is rich in it.

The other categories are subtracted as the simulation has them, and the rest is counted; nothing is
fitted. K kinematic bins, 2 regions (pass, fail).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from weaver_tt.applications.calibration.categories import Category
from weaver_tt.applications.calibration.jets import JetSources, stream_jets
from weaver_tt.applications.calibration.scale_factors import (
    ScaleFactor,
    efficiency_variance,
    simulated_efficiency,
)
from weaver_tt.applications.calibration.spectra import REGIONS
from weaver_tt.errors import DataError
from weaver_tt.expressions.row_values import Floats


@dataclass(frozen=True)
class RegionSums:
    """Sums of weights and of squared weights (K, 2) of a sample; of its rows, those in no bin."""

    sums: Floats
    squares: Floats
    rows: int
    outside_bins: int


def count_jets(category: Category, sources: JetSources, treename: str | None) -> RegionSums:
    """The jets of a sample that pass and that fail, in each bin.

    Raises:
        DataError: a file cannot be read, a column is missing, or a value is not finite.
    """
    shape = (len(sources.bins), len(REGIONS))
    sums = np.zeros(shape)
    squares = np.zeros(shape)
    rows = outside = 0
    for jets in stream_jets(category, sources, treename):
        is_inside = jets.bin >= 0
        place = 2 * jets.bin[is_inside] + np.where(jets.passes[is_inside], 0, 1)
        weight = jets.weight[is_inside]
        sums += np.bincount(place, weight, sums.size).reshape(shape)
        squares += np.bincount(place, weight**2, sums.size).reshape(shape)
        rows += len(jets.bin)
        outside += int((~is_inside).sum())
    return RegionSums(sums, squares, rows, outside)


@dataclass(frozen=True, kw_only=True)
class ControlRegion:
    """Jets of data and simulation in a region that is rich in the category ``measured``.

    ``others`` are subtracted; ``rates``: nuisance parameter -> category -> factor that its rate is
    known within.
    """

    measured: str
    data: RegionSums
    simulated: RegionSums
    others: Mapping[str, RegionSums]
    rates: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def mistag_rate(self, number: int, label: str) -> ScaleFactor:
        """The efficiency in data and simulation of one bin, and its scale factor.

        Errors: statistical, of the data; of the number of simulated jets, subtracted ones and those
        of the category; systematic, of the rates.

        Raises:
            DataError: nothing is left in a region, or nothing is simulated.
        """
        left = self._left(number, {})
        contents = self.simulated.sums[number]
        for place, region in enumerate(REGIONS):
            if not left[place] > 0:
                raise DataError(
                    f"{label}, {region}: {self.data.sums[number, place]:.6g} jets of the data, of "
                    f"which {left[place]:.6g} are left without the other categories; the region is "
                    f"to be rich in {self.measured}, and --weight-column to normalise the others"
                )
            if not contents[place] > 0:
                raise DataError(f"{label}, {region}: there is no simulated {self.measured} jet")
        in_data = simulated_efficiency(*left)
        in_simulation = simulated_efficiency(*contents)
        subtracted = np.zeros(len(REGIONS))
        for one in self.others.values():
            subtracted += one.squares[number]
        statistical = efficiency_variance(left, self.data.squares[number])
        of_subtracted = efficiency_variance(left, subtracted)
        systematic = self._rate_variance(number)
        of_category = efficiency_variance(contents, self.simulated.squares[number])
        value = in_data / in_simulation
        simulation = of_subtracted + value**2 * of_category
        return ScaleFactor(
            category=self.measured,
            data=in_data,
            data_error=float(np.sqrt(statistical + of_subtracted + systematic)),
            mc=in_simulation,
            mc_error=float(np.sqrt(of_category)),
            value=value,
            statistical=float(np.sqrt(statistical)) / in_simulation,
            simulation=float(np.sqrt(simulation)) / in_simulation,
            systematic=float(np.sqrt(systematic)) / in_simulation,
        )

    def _left(self, number: int, factors: Mapping[str, float]) -> Floats:
        """The data (2,) without the other categories, whose rates are times ``factors``."""
        left = self.data.sums[number].copy()
        for name, one in self.others.items():
            left -= factors.get(name, 1.0) * one.sums[number]
        return left

    def _rate_variance(self, number: int) -> float:
        """The variance of the efficiency by the rates, each of which moves it to both sides."""
        variance = 0.0
        for factors in self.rates.values():
            inverse = {name: 1 / factor for name, factor in factors.items()}
            up, down = (
                simulated_efficiency(*self._left(number, one)) for one in (factors, inverse)
            )
            variance += ((up - down) / 2) ** 2
        return float(variance)
