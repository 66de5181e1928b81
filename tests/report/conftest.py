"""Prediction files of two and of more classes, and searches, made by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from weaver_tt.formats.writers import open_writer
from weaver_tt.output.about import ABOUT, AboutPrediction, NetworkCost
from weaver_tt.system.study_file import STUDY_NAME, open_journal


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


RANGES = {
    "--start-lr": FloatDistribution(1e-4, 1e-1, log=True),
    "-o norm": CategoricalDistribution(["batch", "layer", "group", None]),
    "-o width": CategoricalDistribution([2, 3]),
}


def add_trial(
    study: Any,
    values: list[float] | None,
    settings: list[Any],
    state: TrialState = TrialState.COMPLETE,
    **attributes: Any,
) -> None:
    """A trial with these values of the metrics and of the settings in ``RANGES``."""
    settings = dict(zip(RANGES, settings, strict=True))
    study.add_trial(
        create_trial(
            state=state,
            values=values,
            params=settings,
            distributions=RANGES,
            user_attrs={"prefix": "m/net", **attributes},
        )
    )


def make_study(
    folder: Path, metrics: tuple[str, ...] = ("auc",), directions: tuple[str, ...] = ("maximize",)
) -> Any:
    """A search without trials, in ``s.journal``."""
    study = optuna.create_study(
        study_name=STUDY_NAME,
        storage=open_journal(str(folder / "s.journal"), "tune"),
        directions=directions,
    )
    study.set_user_attr("search", {"metric": list(metrics), "space": {}, "rungs": []})
    return study


@pytest.fixture
def study(tmp_path: Path) -> Any:
    """Four trials, the metric of which is the decade of the learning rate; a failed one."""
    study = make_study(tmp_path)
    for place, norm in enumerate(["batch", "batch", "layer", "layer"]):
        add_trial(study, [0.6 + 0.1 * place], [10.0 ** (place - 4), norm, 2 + place % 2])
    add_trial(study, None, [1e-2, "batch", 2], TrialState.FAIL, message="NaN <loss>")
    add_trial(study, None, [1e-3, "batch", 3], TrialState.FAIL)
    add_trial(study, None, [1e-3, "batch", 3], TrialState.FAIL, continues=5)
    return study
