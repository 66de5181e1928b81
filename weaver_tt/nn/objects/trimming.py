"""Objects left out: at random in training, or all but the first of each row.

At random of the few longest rows of a batch, as in weaver-core, or of all rows alike.

How many objects a row keeps is decided on the host, so that it knows their number; which ones is
drawn on the device. All randomness comes from torch's generators. Shapes: N rows, P slots, M real
objects of all rows.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from weaver_tt.data.rows.host_counts import with_host_counts
from weaver_tt.data.rows.rows import Integers
from weaver_tt.errors import ConfigError
from weaver_tt.nn.objects.real_objects import counts_on_host, find_real
from weaver_tt.nn.objects.sharing import made_once

# the quantile of the rows' lengths that is kept, drawn for each batch; 1 and more keep everything
KEPT_QUANTILE = (0.9, 1.02)


def trim_longest(mask: Tensor) -> Tensor:
    """Mask (N, P), True for real objects, without some of those of the longest rows.

    These are rows longer than a random quantile of all lengths, which they are trimmed to. Saves
    time, and shows the network jets with missing particles. Nothing depends on padding: the same
    seed trims the same.
    """
    counts = mask.sum(1)  # (N,)
    host_counts = counts_on_host(mask, counts)
    lengths = counts.cpu() if host_counts is None else torch.from_numpy(host_counts)
    share = torch.empty(()).uniform_(*KEPT_QUANTILE).clamp(max=1)
    longest = max(int(torch.quantile(lengths.float(), share)), 1)
    left = mask & (_random_rank(mask, host_counts) < longest)
    if host_counts is None:
        return left
    return with_host_counts(left, np.minimum(host_counts, longest))


def dropped_share(option: str, share: float | None) -> float:
    """The share of objects that an option leaves out in training; 0 for None.

    Raises:
        ConfigError: it is none, or nothing would be left; names the ``option``.
    """
    if share is None:
        return 0.0
    # from a command line it may be text
    is_number = isinstance(share, int | float) and not isinstance(share, bool)
    if not (is_number and 0 <= share < 1):
        raise ConfigError(
            f"{option} {share!r}: expected the share of objects that training leaves out, at least "
            "0 and below 1"
        )
    return share


class ObjectDropout(nn.Module):
    """Leaves a random share of the objects out in training.

    ``option`` names the share in errors.

    Raises:
        ConfigError: the share is none, or nothing would be left.
    """

    def __init__(self, option: str, share: float | None) -> None:
        super().__init__()
        self.share = dropped_share(option, share)

    def forward(self, mask: Tensor) -> Tensor:
        """The mask (N, P) without objects that are left out in this step."""
        if self.training and self.share:
            return drop_objects(mask, self.share)
        return mask


def drop_objects(mask: Tensor, share: float) -> Tensor:
    """Mask (N, P), True for real objects, without a random ``share`` of them.

    Each is left out for itself.
    """
    if mask.device.type == "cpu":
        return mask & (torch.rand(mask.shape) >= share)
    host_counts = counts_on_host(mask)
    if host_counts is None:
        return mask & (torch.rand(mask.shape, device=mask.device) >= share)
    return drop_known_numbers(mask, host_counts, share)


def drop_known_numbers(mask: Tensor, counts: Integers, share: float) -> Tensor:
    """As :func:`drop_objects`, but so that the host knows how many are left.

    ``counts`` (N,) are the objects of each row. Objects that are left out independently are in
    number distributed binomially, and given their number any of them are as likely: first the
    number is drawn, on the host, and then who they are.
    """
    seed = int(torch.randint(torch.iinfo(torch.int64).max, ()))
    numbers = np.random.default_rng(seed).binomial(counts, 1 - share)  # (N,)
    on_device = torch.from_numpy(numbers).to(mask.device, non_blocking=True)
    left = mask & (_random_rank(mask, counts) < on_device.unsqueeze(1))
    return with_host_counts(left, numbers)


@made_once
def keep_first(mask: Tensor, number: int) -> Tensor:
    """Mask (N, P), True for real objects, of the first ``number`` real objects of each row."""
    # integers, as ONNX adds up no others
    rank = mask.to(torch.int64).cumsum(1)  # (N, P) from 1
    left = mask & (rank <= number)
    host_counts = counts_on_host(mask)
    if host_counts is None:
        return left
    return with_host_counts(left, np.minimum(host_counts, number))


def _random_rank(mask: Tensor, counts: Integers | None) -> Tensor:
    """Ranks (N, P) that put each row's objects in a random order, and padding behind them."""
    number = None if counts is None else int(counts.sum())
    places = find_real(mask, number)  # (M,)
    # no number is drawn for padding, so that its amount changes nothing
    drawn = torch.rand(places.shape, device=mask.device)
    # padding comes last, as all that is drawn is below 1
    keys = torch.full((mask.numel(),), 2.0, device=mask.device).index_copy(0, places, drawn)
    # stable: the same on every machine, also where a number is drawn twice
    return keys.view(mask.shape).argsort(dim=1, stable=True).argsort(dim=1)
