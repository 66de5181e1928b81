"""The closure of reweighting is drawn once, from the rows of the first epoch."""

from types import SimpleNamespace

import pytest

from weaver_tt.config.schema import Weights
from weaver_tt.data.accounting import Accounting
from weaver_tt.engine.reweighting_figures import reweighting_figures
from weaver_tt.expressions.evaluate import parse_expression

WEIGHTS = Weights(variables={"pt": (0.0, 1.0, 2.0)}, classes={"a": 1.0})


def test_the_first_epoch_is_drawn_to_files_and_to_the_trackers(tmp_path):
    accounting = Accounting()
    accounting.spectra.update(
        {("pt", "a", what, i): 3 for what in ("before", "after", "square") for i in range(2)}
    )
    loader = SimpleNamespace(accounting=accounting, steps=None)
    prefix = str(tmp_path / "net")
    assert reweighting_figures(loader, WEIGHTS, prefix, 1) == {}
    assert reweighting_figures(loader, None, prefix, 0) == {}
    assert reweighting_figures(loader, Weights(), prefix, 0) == {}
    assert list(tmp_path.iterdir()) == []
    assert list(reweighting_figures(loader, WEIGHTS, prefix, 0)) == ["reweighting"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "net_reweighting.pdf",
        "net_reweighting.png",
    ]


def test_a_target_density_is_drawn_as_its_share_of_each_bin_of_each_variable(tmp_path):
    # x y over x from 0 to 2 and y from 0 to 1: 1/4 and 3/4 in the bins of x
    weights = Weights(
        method="target",
        target=parse_expression("x * y", "test"),
        variables={"x": (0.0, 1.0, 2.0), "y": (0.0, 1.0)},
        classes={"a": 1.0},
    )
    loader = SimpleNamespace(accounting=Accounting(), steps=None)
    loader.accounting.spectra["x", "a", "after", 0] = 3
    figure = reweighting_figures(loader, weights, str(tmp_path / "net"), 0)["reweighting"]
    shown = {}
    for axes in figure.axes:
        for line in axes.patches:
            if line.get_label() == "target":
                shown[axes.get_xlabel()] = line.get_data().values.tolist()
    assert shown == {"x": pytest.approx([0.25, 0.75]), "y": pytest.approx([1.0])}
