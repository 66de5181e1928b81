"""Prediction files of two and of more classes, as written here and as weaver-core names columns."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weaver_tt.formats.writers import open_writer
from weaver_tt.output.about import ABOUT, AboutPrediction, NetworkCost


def write_prediction(
    path: Path,
    classes: list[str],
    entries: int = 600,
    strength: float = 1.0,
    seed: int = 1,
    network: NetworkCost | None = None,
    **more: Any,
) -> Path:
    """Scores that separate classes the better the higher jet_pt (500 to 600) is.

    ``more`` columns replace these or are added to them; ``network``: what the file says of its
    network.
    """
    generator = np.random.default_rng(seed)
    target = generator.integers(0, len(classes), entries)
    pt = 500 + 100 * generator.random(entries)
    logits = generator.normal(0, 1, (entries, len(classes)))
    logits[np.arange(entries), target] += strength * (pt - 450) / 100
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    columns = {f"score_{name}": scores[:, k].astype(np.float32) for k, name in enumerate(classes)}
    columns |= {name: (target == k).astype(np.int8) for k, name in enumerate(classes)}
    columns |= {"jet_pt": pt.astype(np.float32)} | more
    with open_writer(path) as writer:
        writer.write({name: column for name, column in columns.items() if column is not None})
        if network is not None:
            about = AboutPrediction(task="classification", classes=tuple(classes), network=network)
            writer.annotate(ABOUT, about.as_text())
    return path


@pytest.fixture(scope="session")
def write() -> Any:
    """:func:`write_prediction`."""
    return write_prediction
