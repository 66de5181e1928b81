"""The k smallest values of each row, the first of equal ones: the same in torch and in ONNX.

``torch.topk`` promises nothing about equal values, ONNX takes the first of them. Where two
particles share a place, the two would look at different neighbours.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def smallest_places(values: Tensor, k: int, in_order: bool = False) -> Tensor:
    """Where the ``k`` smallest of each row are: (M, W) -> (M, k).

    Of equal values the first ones are taken. ``in_order``: from the smallest to the largest; else
    in no particular order.
    """
    if torch.onnx.is_in_onnx_export():
        # TopK of ONNX has the place as second key; given no rows it ends the process, in ONNX
        # Runtime before 1.31: events without objects, so one row of zeros is always there
        values = nn.functional.pad(values, (0, 0, 1, 0))
        return values.topk(k, dim=1, largest=False, sorted=in_order).indices[1:]
    if values.dtype != torch.float32:
        return values.sort(dim=1, stable=True).indices[:, :k]
    bits = values.view(torch.int32)
    # as integers, negative numbers are in the wrong order: their other bits are turned
    bits = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    places = torch.arange(values.shape[1], device=values.device)
    # no two keys are equal; as quick as floats, of which topk has to know what NaN is
    keys = (bits.to(torch.int64) << 32) | places
    return keys.topk(k, dim=1, largest=False, sorted=in_order).indices
