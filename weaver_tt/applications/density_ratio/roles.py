"""Names of what is read of each entry beside the variables, and of what is compared."""

from __future__ import annotations

# no column or expression, and so no variable, can be named so
RATIO = "the ratio"
WEIGHT = "the weight"
IS_NUMERATOR = "the numerator"
IS_DENOMINATOR = "the denominator"

# the two samples
NUMERATOR = "numerator"
DENOMINATOR = "denominator"

# weights of the denominator that are compared with the numerator: before any ratio, with that of a
# binned map, and with that of the network
BEFORE = "before"
MAP = "map"
NETWORK = "network"
ESTIMATES = (BEFORE, MAP, NETWORK)
