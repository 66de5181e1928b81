"""What stands above figures, from flags."""

import pytest

from weaver_tt.options.figures import LabelOptions


@pytest.mark.parametrize(
    ("options", "left", "right"),
    [
        ({}, "", ""),
        ({"label": "CMS"}, "", ""),
        ({"label_simulation": True}, "Simulation", ""),
        ({"label_simulation": True, "label_text": " Preliminary "}, "Simulation Preliminary", ""),
        ({"label_text": "Preliminary"}, "Preliminary", ""),
        ({"label_energy": "13.6"}, "", "13.6 TeV"),
        ({"label_energy": "240 GeV"}, "", "240 GeV"),
    ],
)
def test_words_stand_to_the_left_and_the_energy_to_the_right(options, left, right):
    label = LabelOptions(**options)
    assert (label.left, label.right) == (left, right)
    assert label.is_given == bool(options)
