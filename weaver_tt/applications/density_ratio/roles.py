"""Names of what is read of each entry beside the variables, and of what is compared."""

from __future__ import annotations

RATIO = "ratio"
NUMERATOR = "numerator"
DENOMINATOR = "denominator"
WEIGHT = "weight"

# weights of the denominator that are compared with the numerator: before any ratio, with that of a
# binned map, and with that of the network
BEFORE = "before"
MAP = "map"
NETWORK = "network"
ESTIMATES = (BEFORE, MAP, NETWORK)
