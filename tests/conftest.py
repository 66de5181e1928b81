"""What holds for all tests."""

import os

# shapes are small: more threads than one would only wait for each other; tests of several threads set their number
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "Agg")
