"""Terms of the loss that vanish where scores are independent of variables; one number a batch.

M rows, S signals, V variables. Weights may be of any scale; rows of weight 0 count as not there.
"""

from __future__ import annotations

import torch
from torch import Tensor

# scores that differ by less, in units of a probability, count as constant: gradients stay finite
SMALLEST_VARIANCE = 1e-12
RANK_STEPS = 20
SMALLEST_STEP = 1e-3  # between two quantiles of logits, so that gradients stay finite
# shares of rows in a bin that are smaller count as this where a logarithm is taken
SMALLEST_SHARE = 1e-9


def squared_distance_correlation(scores: Tensor, variables: Tensor, weight: Tensor) -> Tensor:
    """The squared distance correlation of scores (M, S) and variables (M, V), ().

    It is 0 only where all scores together are independent of all variables together, up to what M
    rows tell: that of independent ones is about 1/M. Distances are Euclidean, so that several
    variables should be of similar size. Weights (M,) count as numbers of rows do. With fewer than
    two rows, or where scores or variables are constant, it is 0.

    Memory and time grow with M^2.

    Source: Kasieczka and Shih, PRL 125 (2020) 122001; Szekely, Rizzo and Bakirov, Ann. Statist. 35
    (2007) 2769, definitions 4 and 5, here with weights.
    """
    total = weight.sum()
    # signed weights may add up to nothing
    share = weight / torch.where(total > 0, total, 1)  # (M,)
    share = torch.where(total > 0, share, 0)
    of_scores = _centred_distances(scores, share)  # (M, M)
    of_variables = _centred_distances(variables, share)
    both = share[:, None] * share
    covariance = (both * of_scores * of_variables).sum()
    variances = (both * of_scores.square()).sum() * (both * of_variables.square()).sum()
    return covariance / variances.clamp(min=SMALLEST_VARIANCE).sqrt()


def _centred_distances(values: Tensor, share: Tensor) -> Tensor:
    """Distances (M, M) of values (M, D), less the means of their rows and columns.

    ``share`` (M,) are the weights, whose sum is 1.
    """
    if values.shape[1] == 1:
        distances = (values - values.T).abs()
    else:
        # the norm of what is 0 has the gradient 0
        distances = torch.linalg.vector_norm(values[:, None] - values, dim=2)
    means = distances @ share  # (M,)
    return distances - means - means[:, None] + means @ share


def standardised(values: Tensor, weight: Tensor) -> Tensor:
    """Values (M, V) less their mean, in units of their standard deviation; 0 where constant."""
    total = weight.sum()
    share = weight / torch.where(total > 0, total, 1)
    mean = share @ values  # (V,)
    centred = values - mean
    deviation = (share @ centred.square()).clamp(min=0).sqrt()
    # of what is constant, rounding leaves some of the last digits
    is_constant = deviation <= 1e-6 * mean.abs()
    return torch.where(is_constant, 0, centred / torch.where(is_constant, 1, deviation))


def ranked(values: Tensor, weight: Tensor) -> Tensor:
    """Values (M,) by their place among all, from 0 to 1, as a function that has a gradient.

    It is straight between the quantiles of the values (``RANK_STEPS`` of them), which have none:
    what all values have in common, such as their scale, makes no difference. Rows count with the
    size of their weight (M,).
    """
    # of several signals, values may be a column
    fixed = values.detach().contiguous()
    order = fixed.argsort()
    reached = weight.abs()[order].cumsum(0)  # (M,)
    levels = torch.linspace(0, 1, RANK_STEPS + 1, device=values.device) * reached[-1]
    places = torch.searchsorted(reached, levels).clamp(max=len(values) - 1)
    edges = fixed[order][places]  # (RANK_STEPS + 1,)
    step = torch.bucketize(fixed, edges[1:-1].contiguous(), right=True)  # (M,)
    width = (edges[step + 1] - edges[step]).clamp(min=SMALLEST_STEP)
    inside = ((values - edges[step]) / width).clamp(0, 1)
    return (step + inside) / RANK_STEPS


def soft_selection(rank: Tensor, passing: float) -> Tensor:
    """How far rows (M,) pass a selection, from 0 to 1, by their ranks from 0 to 1.

    It is a power of the rank whose mean over all rows is ``passing``, up to 0.5. What passes of one
    of 0.1 are mostly the tenth of the highest ranks: 65 % of it, where of the ranks themselves it
    would be 19 %.
    """
    return rank ** (1 / passing - 1)


def soft_histogram(
    score: Tensor, bin_number: Tensor, weight: Tensor, score_bins: int, bins: int
) -> Tensor:
    """Shares of the rows by score and by bin of the variables, (B, V) with the sum 1.

    A score (M,) between 0 and 1 is shared between the two of the B = ``score_bins`` >= 2 points
    i / (B - 1) that it lies between, so that there is a gradient. With two points a row counts with
    its score at 1, and with the rest at 0: the spectra of what passes and of what fails.
    ``bin_number`` (M,) is that of the variables, of V = ``bins``. All is 0 where the weights (M,)
    add up to nothing.
    """
    points = torch.arange(score_bins, device=score.device)
    distances = (score[:, None] * (score_bins - 1) - points).abs()  # (M, B)
    shares = (1 - distances).clamp(min=0) * weight[:, None]
    sums = shares.new_zeros(bins, score_bins).index_add(0, bin_number, shares).T  # (B, V)
    # signed weights may make bins negative
    sums = sums.clamp(min=0)
    total = sums.sum()
    return sums / torch.where(total > 0, total, 1)


def pass_fail_divergence(histogram: Tensor) -> Tensor:
    """Kullback-Leibler divergence in nats of the spectrum of what passes from that of what fails.

    ``histogram`` (2, V): rows that fail, and rows that pass. Where one of them is empty, it is 0.

    Source: the loss of CMS DeepDoubleX, CMS-DP-2018-046, with the divergence of the passing from
    the failing spectrum.
    """
    totals = histogram.sum(1, keepdim=True)  # (2, 1)
    failing, passing = histogram / torch.where(totals > 0, totals, 1)
    return torch.where((totals > 0).all(), _relative_entropy(passing, failing).sum(), 0)


def mutual_information(histogram: Tensor) -> Tensor:
    """Mutual information in nats of score and variables, from their histogram (B, V)."""
    independent = histogram.sum(1, keepdim=True) * histogram.sum(0, keepdim=True)  # (B, V)
    return _relative_entropy(histogram, independent).sum()


def _relative_entropy(shares: Tensor, reference: Tensor) -> Tensor:
    """``shares`` log(``shares`` / ``reference``) bin by bin; 0 where there is no share."""
    # a gradient through the logarithm of an empty bin would be NaN, also where it is not taken
    filled = shares.clamp(min=SMALLEST_SHARE)
    return shares * (filled.log() - reference.clamp(min=SMALLEST_SHARE).log())
