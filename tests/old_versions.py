"""What older versions of libraries do, where a test would take it for a fault of ours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import uproot
from packaging.version import Version


def _is_before(library: object, version: str) -> bool:
    return Version(library.__version__) < Version(version)


# uproot before 5.7.4 leaves a file that it cannot read to the garbage collector, which warns
may_close_late = pytest.mark.filterwarnings(
    *["ignore:unclosed file:ResourceWarning"] if _is_before(uproot, "5.7.4") else []
)

# of float16, which has no 1e-20: NaN at 0, and errors of the sine where the argument is large
SINC_NEEDS_MORE_BITS = _is_before(np, "2.3")

BF16_IS_COARSER = _is_before(torch, "2.13")  # of a transformer on a CPU
HAS_NO_FAKE_GPU = _is_before(torch, "2.10")  # no fake tensors for one that is not there
