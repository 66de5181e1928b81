"""What is closed follows from what the prediction files say of themselves, or from a flag."""

import numpy as np
import pytest

from weaver_tt import closures
from weaver_tt.closures import ClosureOptions, run_closure
from weaver_tt.errors import ConfigError
from weaver_tt.formats.writers import open_writer
from weaver_tt.output.about import ABOUT, AboutPrediction


@pytest.fixture
def closed(monkeypatch):
    """Names of the closures that were run."""
    names = []
    monkeypatch.setattr(closures, "run_ratio_closure", lambda options: names.append("ratio"))
    monkeypatch.setattr(closures, "run_tagging_closure", lambda options: names.append("tagging"))
    return names


def prediction(path, task):
    with open_writer(path) as writer:
        writer.write({"ratio": np.ones(3)})
        if task is not None:
            writer.annotate(ABOUT, AboutPrediction(task=task, outputs=("ratio",)).as_text())
    return str(path)


@pytest.mark.parametrize(
    ("task", "kind"),
    [("density_ratio", "ratio"), ("object_efficiency", "tagging"), (None, "tagging")],
)
def test_a_file_says_what_it_is(tmp_path, closed, task, kind):
    run_closure(ClosureOptions(predictions=[prediction(tmp_path / "pred.root", task)]))
    assert closed == [kind]


def test_a_file_that_does_not_say_it_is_a_ratio_where_a_flag_does(tmp_path, closed):
    path = prediction(tmp_path / "pred.root", None)
    run_closure(ClosureOptions(predictions=[path], ratio=True, variables=["pt"]))
    assert closed == ["ratio"]


def test_flags_of_the_other_closure_are_refused(tmp_path, closed):
    ratio = prediction(tmp_path / "ratio.root", "density_ratio")
    with pytest.raises(ConfigError, match=r"closure: --map: .* ratio of two samples, of which"):
        run_closure(ClosureOptions(predictions=[ratio], map="map.json"))
    tags = prediction(tmp_path / "tags.root", "object_efficiency")
    with pytest.raises(
        ConfigError, match=r"closure: --numerator: .*tags\.root is no prediction of"
    ):
        run_closure(ClosureOptions(predictions=[tags], numerator="mc"))
    assert closed == []
