"""What older versions of libraries do, where a test would take it for a fault of ours."""

from __future__ import annotations

import numpy as np
import pytest
import uproot
from packaging.version import Version

# uproot before 5.7.4 leaves a file that it cannot read to the garbage collector, which warns
_LATE = ["ignore:unclosed file:ResourceWarning"]
may_close_late = pytest.mark.filterwarnings(
    *_LATE if Version(uproot.__version__) < Version("5.7.4") else []
)

# of float16, which has no 1e-20: NaN at 0, and errors of the sine where the argument is large
SINC_NEEDS_MORE_BITS = Version(np.__version__) < Version("2.3")
