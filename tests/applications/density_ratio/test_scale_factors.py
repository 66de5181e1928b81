"""Scale factors of two ratios, with numbers worked out by hand."""

import math

import awkward as ak
import numpy as np
import pytest
import uproot

from weaver_tt.applications.density_ratio.scale_factors import (
    GlobalFactor,
    Prediction,
    TaggedShare,
    measure_share,
    write_scale_factors,
)
from weaver_tt.errors import DataError
from weaver_tt.formats.writers import open_writer

NAN = float("nan")


def share(value, error):
    return TaggedShare(share=value, error=error, tagged=value, all=1.0)


FACTOR = GlobalFactor(data=share(0.3, 0.003), simulation=share(0.2, 0.004))
TAGGED = {
    "jet_ratio": [[1.2, 0.5], [], [2.0, NAN]],
    "jet_ratio_std": [[0.12, 0.05], [], [0.1, NAN]],
    "jet_pt": [[50.0, 40.0], [], [30.0, 20.0]],
    "data": [[1, 0], [], [0, 0]],
}
ALL = TAGGED | {
    "jet_ratio": [[0.8, 1.0], [], [2.5, NAN]],
    "jet_ratio_std": [[0.08, 0.2], [], [0.5, NAN]],
    "data": [[1, 1], [], [1, 1]],
}


def write(path, columns):
    with open_writer(path) as writer:
        chosen = {name: ak.Array(values) for name, values in columns.items() if values is not None}
        writer.write(chosen)
    return str(path)


def divide(tmp_path, tagged=TAGGED, of_all=ALL):
    predictions = [
        Prediction(path=write(tmp_path / f"{name}.root", columns), ratio="jet_ratio")
        for name, columns in (("tagged", tagged), ("all", of_all))
    ]
    output = str(tmp_path / "sf.root")
    written = write_scale_factors(*predictions, output, "jet_sf", FACTOR)
    return uproot.open(output)["tree"].arrays(), written


def test_the_global_factor_has_the_errors_of_both_samples():
    assert FACTOR.value == pytest.approx(1.5)
    assert FACTOR.error == pytest.approx(1.5 * math.hypot(0.01, 0.02))


def test_one_ratio_over_the_other_times_the_global_factor(tmp_path):
    found, written = divide(tmp_path)
    assert found.jet_sf[0].tolist() == pytest.approx([1.2 / 0.8 * 1.5, 0.5 * 1.5])
    assert found.jet_sf[1].tolist() == []
    assert found.jet_sf[2].tolist() == pytest.approx([1.2, NAN], nan_ok=True)
    # relative spreads 10 % and 10 %, 10 % and 20 %, 5 % and 20 %
    spreads = [
        2.25 * math.hypot(0.1, 0.1),
        0.75 * math.hypot(0.1, 0.2),
        1.2 * math.hypot(0.05, 0.2),
    ]
    assert found.jet_sf_std[0].tolist() == pytest.approx(spreads[:2])
    assert found.jet_sf_std[2, 0] == pytest.approx(spreads[2])
    assert found.jet_pt.tolist() == TAGGED["jet_pt"]
    assert (written.objects, written.without) == (4, 1)
    assert written.mean == pytest.approx((2.25 + 0.75 + 1.2) / 3)


def test_without_ensembles_there_is_no_spread(tmp_path):
    found, written = divide(
        tmp_path, TAGGED | {"jet_ratio_std": None}, ALL | {"jet_ratio_std": None}
    )
    assert "jet_sf_std" not in found.fields
    assert written.spread is None


def test_rows_have_scale_factors_as_objects_have(tmp_path):
    found, _ = divide(tmp_path, {"jet_ratio": [1.0, 2.0]}, {"jet_ratio": [2.0, 1.0]})
    assert found.jet_sf.tolist() == pytest.approx([0.75, 3.0])


@pytest.mark.parametrize(
    ("of_all", "message"),
    [
        (ALL | {"jet_pt": [[50.0, 40.0], [], [31.0, 20.0]]}, "differ in the column 'jet_pt'"),
        ({name: values[:2] for name, values in ALL.items()}, "has 3 rows, .* 2: expected"),
        ({"ratio": [1.0, 1.0, 1.0]}, "jet_ratio"),
        (ALL | {"jet_ratio": [[1.0], [1.0], [1.0]]}, "ratios of different numbers of objects"),
    ],
)
def test_predictions_of_other_rows_are_refused(tmp_path, of_all, message):
    with pytest.raises(DataError, match=message):
        divide(tmp_path, of_all=of_all)


def test_the_tagged_share_by_weight_and_its_error_by_event(tmp_path):
    path = write(
        tmp_path / "data.root",
        {"jet_istag": [[1, 1], [0], [1, 0, 0]], "genweight": [1.0, 2.0, -0.5]},
    )
    plain = measure_share([path], "jet_istag", None)
    assert plain.share == pytest.approx(0.5)
    # sums over events of tag - 1/2: 1, -1/2, -1/2
    assert plain.error == pytest.approx(math.sqrt(1 + 0.25 + 0.25) / 6)
    weighted = measure_share([path], "jet_istag", "genweight")
    assert weighted.share == pytest.approx(1.5 / 2.5)
    # 1 * 0.8, 2 * -0.6, -0.5 * -0.8
    assert weighted.error == pytest.approx(math.sqrt(0.64 + 1.44 + 0.16) / 2.5)
    selected = measure_share([path], "np.where(jet_istag >= 0, jet_istag, np.nan)", None)
    assert selected == plain


def test_a_sample_without_tags_has_no_share(tmp_path):
    path = write(tmp_path / "none.root", {"jet_istag": [[0, 0], [0]]})
    with pytest.raises(DataError, match=r"none\.root: the weights of tagged objects .* to 0"):
        measure_share([path], "jet_istag", None)


def test_the_factor_of_one_efficiency_in_bins_is_their_ratio():
    """SF = r_tagged / r_all * global is eff(data) / eff(simulation), whatever the spectra."""
    data = {"all": np.array([100.0, 300.0]), "efficiency": np.array([0.5, 0.4])}
    simulation = {"all": np.array([700.0, 100.0]), "efficiency": np.array([0.6, 0.3])}
    ratios = []
    for weight in (
        lambda sample: sample["all"] * sample["efficiency"],
        lambda sample: sample["all"],
    ):
        shapes = [weight(sample) / weight(sample).sum() for sample in (data, simulation)]
        ratios.append(shapes[0] / shapes[1])
    totals = [(s["all"] * s["efficiency"]).sum() / s["all"].sum() for s in (data, simulation)]
    factor = GlobalFactor(data=share(totals[0], 0.01), simulation=share(totals[1], 0.01))
    expected = data["efficiency"] / simulation["efficiency"]
    assert ratios[0] / ratios[1] * factor.value == pytest.approx(expected)
