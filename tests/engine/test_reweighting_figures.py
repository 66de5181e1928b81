"""The closure of reweighting is drawn once, from the rows of the first epoch."""

from types import SimpleNamespace

from weaver_tt.config.schema import Weights
from weaver_tt.data.accounting import Accounting
from weaver_tt.engine.reweighting_figures import reweighting_figures

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
