"""correctionlib reads the thresholds that we evaluate."""

import json

import correctionlib
import numpy as np
import pytest

from weaver_tt.applications.decorrelation.ddt_json import DdtMaps, load_maps, save_maps
from weaver_tt.applications.decorrelation.threshold_map import RhoPtBins, Thresholds
from weaver_tt.errors import ConfigError

SOURCES = {"rho": "2*np.log((m)/(pt))", "pt": "pt", "discriminant": "score_a+score_b"}
BINS = RhoPtBins(
    pt_edges=np.array([500.0, 600, 800]),
    rho_edges=(np.array([-6.0, -4, -2]), np.array([-5.0, -3, -2, -1])),
)


@pytest.fixture
def written(tmp_path):
    thresholds = Thresholds(
        efficiency=0.0125,
        bins=BINS,
        thresholds=np.array([0.1, 0.2, 0.3, 0.4, 0.5]),
        errors=np.array([0.01, 0.02, 0.03, 0.04, 0.05]),
    )
    path = tmp_path / "ddt.json"
    save_maps(DdtMaps(sources=SOURCES, by_column={"ab_ddt_1p25": thresholds}), path, "of a test")
    return path


def test_correctionlib_gives_the_same_also_on_edges_and_beyond(written):
    maps = load_maps(written)
    assert maps.sources == SOURCES
    ours = maps.by_column["ab_ddt_1p25"]
    assert ours.efficiency == pytest.approx(0.0125)
    rho, pt = np.meshgrid([-9, -6, -5.5, -4, -3, -2.5, -2, -1, 0.0], [1, 500, 550, 600, 700, 800.0])
    rho, pt = rho.ravel(), pt.ravel()
    theirs = correctionlib.CorrectionSet.from_file(str(written))
    for name, values in (("ab_ddt_1p25", ours.thresholds), ("ab_ddt_1p25_error", ours.errors)):
        expected = values[ours.bins.find(rho, pt)]
        assert theirs[name].evaluate(rho, pt).tolist() == expected.tolist()
    assert theirs["ab_ddt_1p25"].evaluate(-3.5, 700.0) == 0.3


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: d["corrections"].clear(), "no thresholds"),
        (lambda d: d["corrections"][0].update(name="other"), "a correction 'other'"),
        (lambda d: d["corrections"][0]["data"].update(edges=[1, 0, 2]), "do not increase"),
        (lambda d: d["corrections"][0]["data"]["content"][0].update(content=[1]), "differ"),
        (lambda d: d["corrections"].pop(), "KeyError"),
    ],
)
def test_anything_else_is_refused(written, damage, message):
    document = json.loads(written.read_text())
    damage(document)
    written.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match=rf"ddt.json: not a map of thresholds .*{message}"):
        load_maps(written)
