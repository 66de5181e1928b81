"""Names of the two files that ``weaver-tt init`` writes, which other commands look for."""

from __future__ import annotations

from pathlib import Path

DATA_YAML = "data.yaml"
NETWORK = "network.py"


def network_beside(data_yaml: str) -> str:
    """The network file in the folder of ``data_yaml``; one yet to be chosen where none is there."""
    beside = Path(data_yaml).parent / NETWORK
    return str(beside) if beside.is_file() else NETWORK
