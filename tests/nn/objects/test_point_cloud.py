"""The flat list of real objects: neighbours beside brute force, and the way to and from padding."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from weaver_tt.nn.objects.point_cloud import PointCloud, with_null_row

masks = st.integers(1, 6).flatmap(
    lambda slots: st.lists(
        st.lists(st.booleans(), min_size=slots, max_size=slots), min_size=1, max_size=4
    )
)


def euclidean(points):
    """The distance of two slots of a row."""
    return lambda row, one, other: float((points[row, :, one] - points[row, :, other]).norm())


def brute_force(mask, distance, k):
    """For each object the set of its k nearest others, as rows of a table, filled up with 0."""
    number, expected = {}, []
    for row, slot in mask.nonzero().tolist():
        number[row, slot] = len(number) + 1
    for row, slot in number:
        others = [
            (distance(row, slot, other), number[row, other])
            for r, other in number
            if r == row and other != slot
        ]
        nearest = [which for _, which in sorted(others)[:k]]
        expected.append(sorted(nearest + [0] * (k - len(nearest))))
    return expected


@given(mask=masks, k=st.integers(1, 8), dimensions=st.integers(1, 3), seed=st.integers(0, 2**20))
def test_neighbours_are_those_of_brute_force_and_none_where_a_row_is_short(
    mask, k, dimensions, seed
):
    mask = torch.tensor(mask)
    points = torch.randn(
        len(mask), dimensions, mask.shape[1], generator=torch.Generator().manual_seed(seed)
    )
    cloud = PointCloud(mask)
    nearest = cloud.nearest(cloud.gather(points), k).view(-1, k)
    assert nearest.sort(dim=1).values.tolist() == brute_force(mask, euclidean(points), k)


@given(mask=masks, k=st.integers(1, 8), dimensions=st.integers(1, 6), seed=st.integers(0, 2**20))
def test_of_objects_equally_far_the_first_are_taken(mask, k, dimensions, seed):
    """Places in coarse towers, whose distances are exact: most of them are equal."""
    mask = torch.tensor(mask)
    points = torch.randint(
        0, 2, (len(mask), dimensions, mask.shape[1]), generator=torch.Generator().manual_seed(seed)
    ).float()
    cloud = PointCloud(mask)
    nearest = cloud.nearest(cloud.gather(points), k).view(-1, k)
    assert nearest.sort(dim=1).values.tolist() == brute_force(mask, euclidean(points), k)


def test_objects_in_one_place_are_exactly_as_far_wherever_they_stand():
    """Of 40 objects in one place, one elsewhere sees the first: rounding does not choose."""
    place = torch.tensor([0.1, 0.7, 0.3])
    points = place.repeat(41, 1)
    points[17] = torch.tensor([0.9, 0.2, 1e3])
    cloud = PointCloud(torch.ones(1, 41, dtype=torch.bool))
    assert sorted(cloud.nearest(points, 5).view(41, 5)[17].tolist()) == [1, 2, 3, 4, 5]


def test_places_far_from_the_origin_lose_no_digits():
    """At 0, 1, 3 and 7 steps of 2^-10 beyond 1000: the products x_i x_j end at steps of 2^-4."""
    points = 1000 + torch.tensor([[0.0], [1.0], [3.0], [7.0]]) / 1024
    cloud = PointCloud(torch.ones(1, 4, dtype=torch.bool))
    assert cloud.nearest(points, 1).tolist() == [2, 1, 2, 3]


def test_three_objects_on_a_line_and_one_alone():
    cloud = PointCloud(torch.tensor([[True, True, True], [False, True, False]]))
    points = cloud.gather(torch.tensor([[[0.0, 1.0, 3.0]], [[9.0, 0.0, 9.0]]]))
    assert cloud.nearest(points, 1).tolist() == [2, 1, 2, 0]
    assert cloud.nearest(points, 2).view(4, 2).sort(dim=1).values.tolist() == [
        [2, 3],
        [1, 3],
        [1, 2],
        [0, 0],
    ]


def test_objects_in_the_same_place_are_each_others_neighbours_not_their_own():
    cloud = PointCloud(torch.ones(1, 3, dtype=torch.bool))
    nearest = cloud.nearest(torch.tensor([[0.3, 0.4], [0.3, 0.4], [2.0, 2.0]]), 1)
    assert nearest[:2].tolist() == [2, 1]


def test_neighbours_by_minkowski_are_those_of_smallest_mass_together():
    """Massless particles at 0, 0.1, 1 and 1.2 in phi: |(a - b)^2| = 2 E_a E_b (1 - cos phi_ab).

    With energies 100, 100, 1 and 100 the soft one is the nearest of all: to the first 0.92 against
    99.9 of the second.
    """
    phi = torch.tensor([0.0, 0.1, 1.0, 1.2], dtype=torch.float64)
    energy = torch.tensor([100.0, 100.0, 1.0, 100.0], dtype=torch.float64)
    vectors = torch.stack((energy * phi.cos(), energy * phi.sin(), energy, energy), dim=1)
    cloud = PointCloud(torch.ones(1, 4, dtype=torch.bool))
    assert cloud.nearest(vectors, 1, minkowski=True).tolist() == [3, 3, 4, 3]
    # while in their four components the first two are each other's
    assert cloud.nearest(vectors, 1).tolist()[:2] == [2, 1]


@given(mask=masks, k=st.integers(1, 8), seed=st.integers(0, 2**20))
def test_neighbours_by_minkowski_are_those_of_brute_force(mask, k, seed):
    mask = torch.tensor(mask)
    random = torch.Generator().manual_seed(seed)
    vectors = torch.randn(len(mask), 4, mask.shape[1], generator=random, dtype=torch.float64)
    cloud = PointCloud(mask)
    nearest = cloud.nearest(cloud.gather(vectors), k, minkowski=True).view(-1, k)

    def distance(row, one, other):
        px, py, plus, minus = (vectors[row, :, one] - vectors[row, :, other]).tolist()
        energy, pz = (plus + minus) / 2, (plus - minus) / 2
        return abs(energy**2 - px**2 - py**2 - pz**2)

    assert nearest.sort(dim=1).values.tolist() == brute_force(mask, distance, k)


def test_where_the_longest_row_is_known_a_traced_graph_has_no_more_places(monkeypatch):
    mask = torch.tensor([[True, False, True, False, False], [False] * 5])
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    assert PointCloud(mask).width == 5
    assert PointCloud(mask, at_most=3).others().tolist() == [[0, 2, 0], [1, 0, 0]]


def test_neighbours_are_found_in_float32_under_autocast_too():
    points = torch.randn(1, 2, 30, generator=torch.Generator().manual_seed(0)) * 1e-3 + 1
    cloud = PointCloud(torch.ones(1, 30, dtype=torch.bool))
    expected = cloud.nearest(cloud.gather(points), 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(cloud.nearest(cloud.gather(points), 4), expected)


@given(mask=masks, channels=st.integers(1, 3))
def test_scatter_undoes_gather_on_real_objects_and_sums_count_nothing_else(mask, channels):
    mask = torch.tensor(mask)
    padded = torch.arange(1.0, 1 + len(mask) * channels * mask.shape[1]).view(
        len(mask), channels, -1
    )
    cloud = PointCloud(mask)
    real = padded * mask.unsqueeze(1)
    assert torch.equal(cloud.scatter(cloud.gather(padded)), real)
    torch.testing.assert_close(cloud.sum_row(cloud.gather(padded)), real.sum(2))


@pytest.mark.parametrize("slots", [1, 4])
def test_a_batch_without_objects_has_sums_of_zero_and_no_neighbours(slots):
    cloud = PointCloud(torch.zeros(2, slots, dtype=torch.bool))
    points = cloud.gather(torch.randn(2, 3, slots))
    assert points.shape == (0, 3)
    assert cloud.nearest(points, 4).shape == (0,)
    assert cloud.sum_row(points).tolist() == [[0, 0, 0]] * 2
    assert cloud.scatter(points).abs().sum() == 0


def test_row_zero_of_a_table_is_no_object():
    assert with_null_row(torch.tensor([[1.0, 2.0], [3.0, 4.0]])).tolist() == [
        [0, 0],
        [1, 2],
        [3, 4],
    ]


@given(mask=masks, seed=st.integers(0, 2**20))
def test_shares_and_maxima_of_a_row_are_those_of_its_objects(mask, seed):
    mask = torch.tensor(mask)
    cloud = PointCloud(mask, shortest_first=True)
    values = torch.randn(int(mask.sum()), 2, generator=torch.Generator().manual_seed(seed))
    shares = cloud.softmax_row(values)
    most = cloud.max_row(values)
    for row in range(len(mask)):
        own = values[cloud.rows == row]
        torch.testing.assert_close(shares[cloud.rows == row], own.softmax(0))
        expected = torch.cat((own, torch.zeros(1, 2))).amax(0)
        assert torch.equal(most[row], expected)


@given(mask=masks)
def test_rows_that_are_listed_shortest_first_come_back_in_the_order_of_the_mask(mask):
    mask = torch.tensor(mask)
    cloud = PointCloud(mask, shortest_first=True)
    assert cloud.counts.tolist() == sorted(mask.sum(1).tolist())
    assert torch.equal(cloud.restore_order(cloud.counts), mask.sum(1))
    plain = PointCloud(mask)
    assert torch.equal(plain.restore_order(plain.counts), mask.sum(1))
    # what a row holds goes with it
    values = torch.arange(mask.numel()).view(len(mask), 1, -1)
    sums = cloud.restore_order(cloud.sum_row(cloud.gather(values)))
    assert torch.equal(sums, plain.sum_row(plain.gather(values)))
