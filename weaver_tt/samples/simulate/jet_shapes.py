"""What distinguishes quark and gluon jets: fragmentation, width, multiplicity."""

from __future__ import annotations

import numpy as np

from weaver_tt.samples.simulate.generator import Floats, Integers
from weaver_tt.samples.simulate.sums import sum_by_group

MULTIPLICITY_PT_MIN = 1.0  # GeV


def fragmentation(jet: Integers, pt: Floats, jets: int) -> Floats:
    """pTD of ``jets`` jets: sqrt(sum pT^2) / sum pT, 1 for one particle, 0 for infinitely many.

    ``jet`` (M,) is the jet of each particle; 0 for a jet without any.

    Source: CMS, arXiv:1409.3072.
    """
    total = sum_by_group(jet, pt, jets)
    squares = sum_by_group(jet, pt**2, jets)
    return _divide(np.sqrt(squares), total)


def minor_axis(jet: Integers, pt: Floats, deta: Floats, dphi: Floats, jets: int) -> Floats:
    """sigma2 of ``jets`` jets: the smaller width of pT^2 in (eta, phi), about its mean.

    ``deta dphi`` (M,) are distances of particles from the axis of their ``jet`` (M,), the azimuth's
    the shorter way round. It is the root of the smaller eigenvalue of their covariance.

    Source: CMS, arXiv:1409.3072.
    """
    weight = pt**2

    def mean(values: Floats) -> Floats:
        return _divide(sum_by_group(jet, weight * values, jets), sum_by_group(jet, weight, jets))

    mean_eta = mean(deta)
    mean_phi = mean(dphi)
    # of distances from the mean, so that no large numbers are subtracted
    from_mean_eta = deta - mean_eta[jet]
    from_mean_phi = dphi - mean_phi[jet]
    eta_eta = mean(from_mean_eta**2)
    phi_phi = mean(from_mean_phi**2)
    eta_phi = mean(from_mean_eta * from_mean_phi)
    half_trace = (eta_eta + phi_phi) / 2
    half_gap = np.hypot((eta_eta - phi_phi) / 2, eta_phi)
    # particles on one line have 0, which rounding may miss
    return np.sqrt(np.maximum(half_trace - half_gap, 0))


def multiplicity(jet: Integers, pt: Floats, jets: int) -> Integers:
    """How many of the particles of each of ``jets`` jets have pT > 1 GeV."""
    return np.bincount(jet[pt > MULTIPLICITY_PT_MIN], minlength=jets)


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    """Quotients, 0 where there is nothing to divide by."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
