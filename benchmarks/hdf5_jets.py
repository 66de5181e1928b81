"""HDF5 files of jets and their tracks in the layout of ATLAS flavour tagging, for the benchmarks.

A compound table ``jets`` (N,) and one ``tracks`` (N, P), padded, with a field ``valid``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

SLOTS = 40
VARIABLES = [f"v{number}" for number in range(19)]
# what such files hold besides the inputs: labels of the tracks, variables for other trainings
OTHER_FIELDS = [("truthOriginLabel", "i4"), ("truthVertexIndex", "i4")]
OTHER_FIELDS += [(f"other{number}", "f4") for number in range(4)]
ROWS_AT_ONCE = 10_000

CONFIG = """
new_variables:
  is_b: jets_flavour_label == 0
  is_c: jets_flavour_label == 1
  is_light: jets_flavour_label == 2
preprocess: {{method: manual}}
inputs:
  tracks:
    length: {slots}
    pad_mode: constant
    vars:
{variables}
labels: {{type: simple, value: [is_b, is_c, is_light]}}
"""


def write_tables(
    path: Path, rows: int, tracks: float, compression: str | None, inputs_only: bool = False
) -> None:
    """Write ``rows`` jets with ``tracks`` tracks on average, at most ``SLOTS``.

    Compressed files have chunks of 100 jets. ``inputs_only``: the table holds the inputs and
    ``valid`` alone.
    """
    import h5py
    import numpy as np

    random = np.random.default_rng(1)
    fields = [(name, "f4") for name in VARIABLES]
    if not inputs_only:
        fields += OTHER_FIELDS
    tracks_type = np.dtype([*fields, ("valid", "?")])
    jets_type = np.dtype([("pt", "f4"), ("eta", "f4"), ("flavour_label", "i4")])
    chunks = (None, None) if compression is None else ((100,), (100, SLOTS))
    with h5py.File(path, "w") as file:
        jets_table = file.create_dataset(
            "jets", (rows,), jets_type, chunks=chunks[0], compression=compression
        )
        tracks_table = file.create_dataset(
            "tracks", (rows, SLOTS), tracks_type, chunks=chunks[1], compression=compression
        )
        for first in range(0, rows, ROWS_AT_ONCE):
            size = min(ROWS_AT_ONCE, rows - first)
            jets = np.zeros(size, jets_type)
            jets["pt"] = random.exponential(50, size) + 20
            jets["eta"] = random.normal(0, 1, size)
            jets["flavour_label"] = random.integers(0, 3, size)
            jets_table[first : first + size] = jets
            tracks_table[first : first + size] = make_tracks(random, size, tracks, tracks_type)


def make_tracks(random: Any, size: int, tracks: float, tracks_type: Any) -> Any:
    """Tracks (size, P), zeros behind the valid ones of each jet."""
    import numpy as np

    counts = random.normal(tracks, tracks / 2.5, size).round().clip(0, SLOTS)
    if tracks >= SLOTS:
        counts[:] = SLOTS
    table = np.zeros((size, SLOTS), tracks_type)
    table["valid"] = np.arange(SLOTS) < counts[:, None]
    for name in VARIABLES:
        values = random.normal(0, 1, (size, SLOTS))
        table[name] = np.where(table["valid"], values, 0)
    return table


def write_tracks_config(folder: str) -> str:
    """Write the data YAML of such files; its path."""
    lines = []
    for number, name in enumerate(VARIABLES):
        # half of them are scaled and clipped
        scaling = "0.1, 1.1" if number % 2 else "null"
        lines.append(f"      - [tracks_{name}, {scaling}]")
    path = Path(folder, "tracks.yaml")
    path.write_text(CONFIG.format(slots=SLOTS, variables="\n".join(lines)))
    return str(path)
