"""Decorrelated columns at the cut 0, by counting."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from weaver_tt.errors import DataError
from weaver_tt.report.ddt import ddt_column, ddt_columns, efficiency_of, judge_ddt
from weaver_tt.report.evaluation import ColumnBins, evaluate_model
from weaver_tt.report.figures import draw_report
from weaver_tt.report.scores import ModelFiles

CLASSES = ["top", "qcd"]
EDGES = np.array([500.0, 530.0, 560.0, 590.0])  # and rows beyond


@pytest.mark.parametrize(
    ("efficiency", "column"),
    [
        (0.05, "a_ddt_5p0"),
        (0.0125, "a_ddt_1p25"),
        (0.3, "a_ddt_30p0"),
        (0.001, "a_ddt_0p1"),
        (1 / 3, "a_ddt_33p33333333"),
    ],
)
def test_a_column_is_named_for_its_share_and_says_it(efficiency, column):
    assert ddt_column("a", efficiency) == column
    assert efficiency_of(column) == pytest.approx(efficiency)


@pytest.mark.parametrize("column", ["a", "a_ddt_5", "_ddt_5p0", "a_ddt_5p0_error", "ddt_5p0"])
def test_other_columns_are_not_decorrelated(column):
    assert efficiency_of(column) is None


@pytest.fixture
def source(tmp_path, write):
    generator = np.random.default_rng(7)
    path = write(
        tmp_path / "pred.root",
        CLASSES,
        entries=1000,
        top_ddt_20p0=np.where(np.arange(1000) % 10 == 0, np.nan, generator.normal(size=1000)),
        w=generator.choice([1.0, 2.0], 1000),
    )
    return ModelFiles(name="model", paths=(str(path),), weight="w")


def table_of(source):
    import uproot

    return uproot.open(source.paths[0])["tree"].arrays(library="np")


def test_shares_and_spectra_are_those_of_counting(source):
    assert ddt_columns(source) == ["top_ddt_20p0"]
    found = judge_ddt([source], CLASSES, ["top"], ColumnBins("jet_pt", EDGES))
    (point,) = found["top"]["model"]
    table = table_of(source)
    values, weight, top, pt = (table[name] for name in ("top_ddt_20p0", "w", "top", "jet_pt"))
    known = ~np.isnan(values)
    assert point.target == pytest.approx(0.2)
    for share, chosen in (
        (point.signal, known & (top == 1)),
        (point.background, known & (top == 0)),
    ):
        total = weight[chosen].sum()
        expected = weight[chosen & (values > 0)].sum() / total
        assert share.value == pytest.approx(expected)
        rows = total**2 / (weight[chosen] ** 2).sum()
        assert share.error == pytest.approx(np.sqrt(expected * (1 - expected) / rows))
    background = known & (top == 0)
    passing = background & (values > 0)
    spectra = [
        np.histogram(pt[rows], EDGES, weights=weight[rows])[0] for rows in (background, passing)
    ]
    assert point.divergence.value == pytest.approx(jensenshannon(*spectra, base=2) ** 2)
    rejection = point.content()["rejection"]
    assert rejection["value"] == pytest.approx(1 / point.background.value)
    assert rejection["error"] == pytest.approx(point.background.error / point.background.value**2)


def test_no_background_above_the_cut_is_a_limit(tmp_path, write):
    path = write(tmp_path / "none.root", CLASSES, entries=100, top_ddt_1p0=-np.ones(100))
    (point,) = judge_ddt([ModelFiles(name="m", paths=(str(path),))], CLASSES, ["top"], None)["top"][
        "m"
    ]
    rejection = point.content()["rejection"]
    assert rejection["value"] is None
    # of n rows none is seen in 5 % of cases where 3.0 are expected
    assert rejection["at_least"] == pytest.approx(point.background.total / 2.9957, rel=1e-4)


def test_a_column_without_numbers_is_refused_and_without_columns_there_is_nothing(tmp_path, write):
    path = write(tmp_path / "nan.root", CLASSES, entries=30, top_ddt_1p0=np.full(30, np.nan))
    with pytest.raises(DataError, match=r"nan.root: column 'top_ddt_1p0' is not a number in any"):
        judge_ddt([ModelFiles(name="m", paths=(str(path),))], CLASSES, ["top"], None)
    path = write(tmp_path / "plain.root", CLASSES, entries=30)
    assert judge_ddt([ModelFiles(name="m", paths=(str(path),))], CLASSES, ["top"], None) == {}


def test_points_stand_beside_the_curve_of_their_model(source, tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        "weaver_tt.pages.pictures.write_picture",
        lambda name, caption, figure, folder: drawn.update({name: (caption, figure)}),
    )
    points = judge_ddt([source], CLASSES, ["top"], None)
    draw_report([evaluate_model(source, CLASSES, None)], ["top"], tmp_path, points)
    caption, figure = drawn["roc_top"]
    assert "Points are decorrelated columns at the cut 0." in caption
    (container,) = figure.axes[0].containers
    (point,) = points["top"]["model"]
    expected = [point.signal.value, 1 / point.background.value]
    assert container.lines[0].get_xydata().tolist() == [pytest.approx(expected)]
    assert container.get_label() == "model: top_ddt_20p0 > 0"
