"""Collections of entries as dataclasses of arrays."""

from dataclasses import dataclass

import numpy as np

from weaver_tt.samples.simulate.columnar import Columnar, joined


@dataclass(slots=True, kw_only=True)
class Points(Columnar):
    number: np.ndarray  # (M,)
    place: np.ndarray  # (2, M)


POINTS = Points(number=np.array([1, 2, 3]), place=np.array([[1, 2, 3], [4, 5, 6]]))


def test_entries_are_chosen_in_all_arrays_at_once():
    assert len(POINTS) == 3
    assert POINTS[np.array([2, 0])].place.tolist() == [[3, 1], [6, 4]]
    assert POINTS[POINTS.number > 1].number.tolist() == [2, 3]


def test_collections_are_joined_one_after_another():
    both = joined(POINTS, POINTS[:1])
    assert both.number.tolist() == [1, 2, 3, 1]
    assert both.place.tolist() == [[1, 2, 3, 1], [4, 5, 6, 4]]
