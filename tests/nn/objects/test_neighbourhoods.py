"""Neighbours in (eta, phi) beside brute force, and what is done around each object."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from weaver_tt.errors import ConfigError
from weaver_tt.nn.objects.neighbourhoods import Scales, find_neighbourhoods
from weaver_tt.nn.objects.point_cloud import PointCloud

masks = st.integers(1, 6).flatmap(
    lambda slots: st.lists(
        st.lists(st.booleans(), min_size=slots, max_size=slots), min_size=1, max_size=4
    )
)


def brute_force(mask, points, k):
    """For each object its k nearest, itself first, as rows of a table; 0 where there are fewer."""
    number = {place: index + 1 for index, place in enumerate(map(tuple, mask.nonzero().tolist()))}
    expected = []
    for row, slot in number:
        others = []
        for other_row, other in number:
            if other_row != row:
                continue
            eta, phi = (points[row, :, slot] - points[row, :, other]).tolist()
            # the shorter way round
            phi = math.atan2(math.sin(phi), math.cos(phi))
            own = other == slot
            others.append((not own, round(eta**2 + phi**2, 6), number[row, other]))
        nearest = [which for *_, which in sorted(others)[:k]]
        expected.append(nearest + [0] * (k - len(nearest)))
    return expected


@given(mask=masks, k=st.integers(1, 8), seed=st.integers(0, 2**20))
def test_neighbours_are_those_of_brute_force_from_the_nearest_to_the_farthest(mask, k, seed):
    """In coarse towers, many of which are equally far or the same, all around the beam."""
    mask = torch.tensor(mask)
    random = torch.Generator().manual_seed(seed)
    eta, phi = torch.randint(-2, 3, (2, *mask.shape), generator=random).float()
    points = torch.stack((eta / 2, phi * 1.25), dim=1)  # up to 5 apart: 2 pi - 5 the other way
    cloud = PointCloud(mask)
    nearest = cloud.nearest_in_angle(cloud.gather(points), k)
    assert nearest.tolist() == brute_force(mask, points, k)


def test_sets_of_neighbours_by_hand():
    nested = Scales(8, [(4, 1), (2, 2), (1, 1)])
    assert nested.sizes == [2, 2, 8]
    assert nested.listed(8) == [slice(0, 8, 1)]
    assert nested.width(8) == 8
    assert nested.width(3) == 3
    listed = torch.arange(8)
    assert [listed[taken].tolist() for taken in nested.slices(8)] == [[0, 1], [0, 2], [*range(8)]]
    assert Scales(5).sizes == [5]
    # three of eight: they are listed one after another
    apart = Scales(8, [(8, 1), (4, 1)])
    assert [listed[taken].tolist() for taken in apart.listed(8)] == [[0], [0, 1]]
    assert apart.width(8) == 3
    assert [listed[:3][taken].tolist() for taken in apart.slices(8)] == [[0], [1, 2]]
    assert apart.width(1) == 2
    assert [listed[:2][taken].tolist() for taken in apart.slices(1)] == [[0], [1]]


def test_a_set_without_neighbours_is_refused():
    with pytest.raises(ConfigError, match=r"layer_params: \[\(8, 1\)\] of 4 neighbours"):
        Scales(4, [(8, 1)])


def three_rows():
    """Rows of 1, 3 and 2 objects on a line, up to two neighbours of each."""
    mask = torch.tensor([[1, 1, 1], [1, 0, 0], [0, 1, 1]]).bool()
    eta = torch.tensor([[0.0, 1.0, 3.0], [5.0, 9.0, 9.0], [9.0, 2.0, 1.0]])
    cloud = PointCloud(mask, shortest_first=True)
    return find_neighbourhoods(cloud, torch.stack((eta, torch.zeros(3, 3)), dim=1), 2)


def test_only_edges_that_are_there_are_listed():
    edges = three_rows()
    # objects: the one of row 1; two of row 2; three of row 0. The senders are numbered from 1.
    assert edges.senders.tolist() == [1, 2, 3, 3, 2, 4, 5, 5, 4, 6, 5]
    assert edges.first.tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert edges.second.tolist() == [0, 1, 2, 2, 1, 3, 4, 4, 3, 5, 4]
    assert edges.real is None
    assert edges.received.flatten().tolist() == [1, 2, 2, 2, 2, 2]
    assert edges.sent.flatten().tolist() == [1, 2, 2, 2, 3, 1]


def test_sums_and_means_over_edges_by_hand():
    edges = three_rows()
    values = torch.arange(11.0).unsqueeze(1)
    assert edges.sum_neighbours(values).flatten().tolist() == [0, 3, 7, 11, 15, 19]
    # rows in the order of the list: of 1, 4 and 6 edges
    assert edges.mean_row(values).flatten().tolist() == [0, 10 / 4, 45 / 6]
    own = 100 * torch.arange(6.0).unsqueeze(1)
    receivers = [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    added = edges.add_receivers(values, own).flatten()
    assert added.tolist() == [100 * own + edge for edge, own in enumerate(receivers)]
    scaled = edges.scale_receivers(values, own).flatten()
    assert scaled.tolist() == [100 * own * edge for edge, own in enumerate(receivers)]


def test_gradients_around_objects_and_of_sets_are_right():
    edges = three_rows()
    random = torch.Generator().manual_seed(0)
    values = torch.randn(11, 2, generator=random, dtype=torch.float64, requires_grad=True)
    own = torch.randn(6, 2, generator=random, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(edges.add_receivers, (values, own))
    assert torch.autograd.gradcheck(edges.scale_receivers, (values, own))
    # with all of them among the sets, and without
    for reductions in ([(2, 1), (1, 1)], [(1, 2), (2, 1)]):
        scales = Scales(2, reductions)

        def take(given, scales=scales):
            return tuple(chosen for _, chosen in edges.sets(scales, given))

        assert torch.autograd.gradcheck(take, (values,))


def test_gradients_of_sums_are_right_which_torch_does_not_write_out():
    edges = three_rows()
    values = torch.ones(11, 2, requires_grad=True)
    own = torch.full((6, 2), 3.0, requires_grad=True)
    edges.add_receivers(values, own).sum().backward()
    assert own.grad[:, 0].tolist() == [1, 2, 2, 2, 2, 2]
    values.grad = None
    edges.scale_receivers(values, own).sum().backward()
    assert values.grad.unique().tolist() == [3]
    values.grad = None
    chosen = [of_set for _, of_set in edges.sets(Scales(2, [(2, 1), (1, 1)]), values)]
    (chosen[0].sum() + chosen[1].sum()).backward()
    # the nearest are in both sets
    assert values.grad[:, 0].tolist() == [2, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1]


def test_sets_of_edges_by_hand():
    edges = three_rows()
    values = torch.arange(11.0).unsqueeze(1)
    (nearest, of_nearest), (every, of_all) = edges.sets(Scales(2, [(2, 1), (1, 1)]), values)
    assert of_nearest.flatten().tolist() == [0, 1, 3, 5, 7, 9]
    assert nearest.sum_neighbours(of_nearest).flatten().tolist() == [0, 1, 3, 5, 7, 9]
    assert torch.equal(of_all, values)
    assert every.widths == [1, 2]


def test_listed_edges_are_those_of_the_scales():
    edges = three_rows()
    # the nearest one of each set
    chosen, index = edges.select(Scales(2, [(2, 1)]))
    assert index.tolist() == [0, 1, 3, 5, 7, 9]
    assert chosen.senders.tolist() == [1, 2, 3, 4, 5, 6]
    everything, index = edges.select(Scales(2, [(2, 1), (1, 1)]))
    assert everything is edges
    assert index is None
