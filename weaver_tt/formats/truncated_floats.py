"""ROOT's ``Float16_t`` and ``Double32_t`` in branches with a length: where their range stands.

The title of such a branch has the length before the range: ``pt[n]/f[-10,10,16]``. uproot 5.7 takes
the first bracket for the range; it then fails on ``Float16_t``, and reads a ``Double32_t``, which
is stored as a whole number, as a float.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import uproot
from uproot.interpretation import Interpretation
from uproot.interpretation.jagged import AsJagged
from uproot.interpretation.numerical import AsDouble32, AsDtype, AsFloat16

# bits of the mantissa of a Float16_t without a range, and of a whole number without `nbits`
DEFAULT_MANTISSA = 12
DEFAULT_BITS = 32

# a bound as ROOT reads it: a number, or a multiple or a part of pi
_BOUND = re.compile(
    r"(?P<sign>-?)((?P<factor>2\*?|two)?pi(/(?P<divisor>[24]))?|(?P<number>[\d.].*))"
)


def truncated_interpretation(branch: Any) -> Interpretation | None:
    """What decodes the ``Float16_t`` or ``Double32_t`` of ``branch``, if its title has a length.

    None where uproot's own interpretation holds: other types, and titles without a length.

    Raises:
        NotImplementedError: the range is none that ROOT knows, or the branch holds lists of
            fixed-size arrays.

    Source: ROOT, ``TStreamerElement::GetRange`` and the class description of ``TTree``.
    """
    leaves = branch.member("fLeaves")
    if len(leaves) != 1:
        return None
    leaf = leaves[0]
    is_float16 = _has_type(leaf, "TLeafF16", uproot.const.kFloat16)
    if not is_float16 and not _has_type(leaf, "TLeafD32", uproot.const.kDouble32):
        return None
    title = leaf.member("fTitle")
    if leaf.classname == "TLeafElement":
        # a whole class has no comment
        title = getattr(branch.streamer, "title", "")
    brackets = re.findall(r"\[([^\]]*)\]", title)
    # a range has commas, a length has none
    if not brackets or "," in brackets[0]:
        return None
    ranges = [text for text in brackets if "," in text]
    dimensions = tuple(int(text) for text in brackets if text.isdigit())
    is_jagged = leaf.member("fLeafCount") is not None
    if is_jagged and dimensions:
        raise NotImplementedError(f"lists of fixed-size arrays {title!r}")
    content = _interpretation(is_float16, ranges[-1] if ranges else None, dimensions)
    return AsJagged(content) if is_jagged else content


def _has_type(leaf: Any, classname: str, number: int) -> bool:
    """Whether a leaf is of the class ``classname``, or a member of an object with type ``number``.

    ROOT adds 20 for a fixed-size array of the type and 40 for a list; -1 is a container.
    """
    if leaf.classname == classname:
        return True
    types = (number, number + 20, number + 40)
    return leaf.classname == "TLeafElement" and leaf.member("fType") in types


def _interpretation(
    is_float16: bool, text: str | None, dimensions: tuple[int, ...]
) -> Interpretation:
    """The interpretation of one value (or fixed-size array) with the range ``low,high,nbits``."""
    kind = AsFloat16 if is_float16 else AsDouble32
    if text is not None:
        low, high, *rest = text.split(",")
        bits = int(rest[0]) if rest else DEFAULT_BITS
        if not 2 <= bits <= DEFAULT_BITS:
            bits = DEFAULT_BITS
        return kind(_bound(low), _bound(high), bits, dimensions)
    if is_float16:
        return AsFloat16(0, 0, DEFAULT_MANTISSA, dimensions)
    # without a range a Double32_t is stored as a float
    return AsDtype(np.dtype((">f4", dimensions)), np.dtype(("f8", dimensions)))


def _bound(text: str) -> float:
    """One end of a range."""
    match = _BOUND.fullmatch(text.replace(" ", "").lower())
    if match is None:
        raise NotImplementedError(f"the bound {text!r} of a range")
    sign = -1.0 if match["sign"] else 1.0
    if match["number"]:
        return sign * float(match["number"])
    factor = 2 if match["factor"] else 1
    return sign * factor * math.pi / int(match["divisor"] or 1)
