"""The report's figures: files, captions, and what is left out."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from weaver_tt.metrics.divergence import Divergence
from weaver_tt.output.about import NetworkCost
from weaver_tt.report.ddt import DdtPoint, Share
from weaver_tt.report.evaluation import ColumnBins, evaluate_model
from weaver_tt.report.figures import draw_report, draw_spectra, draw_trade_off, figures_of_sizes
from weaver_tt.report.scores import ModelFiles
from weaver_tt.report.sculpting import Rejection, Sculpting

CLASSES = ["top", "qcd"]


@pytest.fixture(scope="module")
def models(tmp_path_factory, write):
    """Two models with a file each, without bins."""
    folder = tmp_path_factory.mktemp("drawing")
    paths = [write(folder / f"{seed}.parquet", CLASSES, entries=200, seed=seed) for seed in (1, 2)]
    return [
        evaluate_model(ModelFiles(name=name, paths=(str(path),)), CLASSES, None)
        for name, path in zip(["a b", "c/d"], paths, strict=True)
    ]


def test_each_figure_is_a_png_and_a_pdf_with_a_caption(models, tmp_path):
    pictures = draw_report(models, ["top"], tmp_path).every
    assert {picture.path.stem for picture in pictures} == {
        "roc_top",
        "calibration",
        "scores_a_b",
        "scores_c_d",
        "confusion_a_b",
        "confusion_c_d",
    }
    for picture in pictures:
        assert picture.path.stat().st_size > 5000
        assert picture.path.with_suffix(".pdf").exists()
        assert picture.caption.endswith(".")


def test_sizes_are_drawn_of_the_models_that_know_theirs(tmp_path, write):
    models = []
    for name, network in (("silent", None), ("small", NetworkCost(parameters=1000))):
        path = write(tmp_path / f"{name}.parquet", CLASSES, entries=200, network=network)
        models.append(evaluate_model(ModelFiles(name=name, paths=(str(path),)), CLASSES, None))
    (captioned,) = figures_of_sizes(models, "top")
    assert "top against qcd" in captioned[1]
    (axes,) = captioned[2].axes
    (container,) = axes.containers
    value = float(models[1].summary.against_rest.rejection(torch.tensor([0.3]))[0][0, 0])
    assert container.lines[0].get_xydata().tolist() == [[1000, pytest.approx(value)]]
    assert container.get_label() == "small"
    assert list(figures_of_sizes(models[:1], "top")) == []


def test_the_trade_off_has_a_point_for_each_model_and_column(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "weaver_tt.report.figures.write_picture",
        lambda name, caption, figure, folder: drawn.append((name, caption, figure)),
    )
    divergence = Divergence(value=0.3, error=0.02, random=0.1)
    models = {
        "one": SimpleNamespace(rejections=[Rejection(50.0, 5.0)], divergences=[divergence]),
        "perfect": SimpleNamespace(rejections=[Rejection(np.inf, np.nan)], divergences=[None]),
    }
    point = DdtPoint(
        column="one_ddt_5p0",
        target=0.05,
        signal=Share(30, 100, 100),
        background=Share(5, 100, 100),
        divergence=Divergence(value=0.15, error=0.02, random=0.1),
    )
    draw_trade_off(models, {"one": [point]}, "top", "mass", tmp_path)
    ((name, caption, figure),) = drawn
    assert name == "trade_off_mass"
    assert "where 50 % of top pass" in caption
    assert "cut at 0" in caption
    xy = [container.lines[0].get_xydata()[0].tolist() for container in figure.axes[0].containers]
    assert xy == [[50, pytest.approx(0.2)], [pytest.approx(20), pytest.approx(0.05)]]


def test_models_of_one_line_are_joined_in_the_trade_off(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "weaver_tt.report.figures.write_picture",
        lambda name, caption, figure, folder: drawn.append(figure),
    )

    def model(rejection, excess):
        divergence = Divergence(value=excess, error=0.02, random=0.0)
        return SimpleNamespace(rejections=[Rejection(rejection, 5.0)], divergences=[divergence])

    models = {"disco@1": model(40, 0.2), "plain": model(90, 0.3), "disco@2": model(20, 0.1)}
    draw_trade_off(models, {}, "top", "mass", tmp_path)
    (axes,) = drawn[0].axes
    lines = {line.get_label(): line.lines[0].get_xydata().tolist() for line in axes.containers}
    assert lines == {"disco": [[40, 0.2], [20, 0.1]], "plain": [[90, 0.3]]}
    assert [text.get_text() for text in axes.texts] == ["1", "2", ""]


def test_spectra_have_a_figure_for_each_signal_efficiency(tmp_path):
    every = np.array([[40.0, 60.0], [40.0, 60.0]])
    passing = np.stack([every / 4, every / 2])
    pictures = draw_spectra(
        ColumnBins("mass", np.array([0.0, 1.0, 2.0])),
        {"one": Sculpting(every, passing, [])},
        "top",
        tmp_path,
    )
    assert [picture.path.name for picture in pictures] == [
        "sculpting_mass_30.png",
        "sculpting_mass_50.png",
    ]
    assert "where 30 % of top pass" in pictures[0].caption
