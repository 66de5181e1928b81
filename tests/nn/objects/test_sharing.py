"""What several networks make of one batch is made once, and only what they would make alike."""

import pytest
import torch

from weaver_tt.nn.objects.pairwise import make_layout
from weaver_tt.nn.objects.point_cloud import make_cloud
from weaver_tt.nn.objects.ragged import make_object_rows
from weaver_tt.nn.objects.real_objects import join_masks, join_slots, real_slots
from weaver_tt.nn.objects.sharing import made_once, sharing
from weaver_tt.nn.objects.trimming import drop_objects


@pytest.fixture
def doubled():
    """A function that counts its calls."""

    @made_once
    def double(values, times=2):
        double.calls += 1
        return values * times

    double.calls = 0
    return double


def test_equal_arguments_have_one_result_inside(doubled):
    x = torch.tensor([1.0, 2.0])
    with sharing():
        first = doubled(x)
        # what another network computes from the same input is another tensor of equal values
        assert doubled(x.clone()) is first
        assert doubled(x) is first
        assert doubled(x + 1).tolist() == [4, 6]
        assert doubled(x, 3).tolist() == [3, 6]
        assert doubled(x.double()).dtype == torch.float64
        assert doubled.calls == 4
    assert first.tolist() == [2, 4]


def test_nothing_is_remembered_outside_nor_for_one_network_nor_for_the_next_batch(doubled):
    x = torch.ones(2)
    for _ in range(2):
        doubled(x)
    with sharing(several=False):
        for _ in range(2):
            doubled(x)
    for _ in range(2):
        with sharing():
            doubled(x)
    assert doubled.calls == 6


def test_what_was_written_into_is_made_anew(doubled):
    x = torch.ones(2)
    with sharing():
        first = doubled(x)
        x.add_(1)
        assert doubled(x).tolist() == [4, 4]
        first.mul_(10)
        assert doubled(torch.ones(2)).tolist() == [2, 2]
    assert first.tolist() == [20, 20]


def test_what_holds_the_graph_of_a_network_is_its_own(doubled):
    weight = torch.ones(2, requires_grad=True)
    with sharing():
        for _ in range(2):
            # a second backward pass through one graph would be an error
            doubled(weight).sum().backward()
    assert weight.grad.tolist() == [4, 4]


def test_masks_of_equal_objects_have_one_layout_and_dropped_objects_their_own():
    mask = torch.arange(6) < torch.tensor([[6], [4], [5]])
    torch.manual_seed(1)
    with sharing():
        layout = make_layout(mask)
        assert make_layout(mask.clone()) is layout
        assert make_layout(mask, True) is not layout
        dropped = [drop_objects(mask, 0.5) for _ in range(2)]
        numbers = [make_layout(left).counts.tolist() for left in dropped]
    assert not torch.equal(*dropped)
    assert numbers == [left.sum(1).tolist() for left in dropped]


def test_tensors_in_tuples_are_arguments_too(doubled):
    @made_once
    def joined(parts):
        doubled.calls += 1
        return torch.cat(parts)

    x = torch.ones(2)
    y = torch.zeros(1)
    with sharing():
        first = joined((x, y))
        assert joined((x.clone(), y)) is first
        assert joined((y, x)).tolist() == [0, 1, 1]
        assert joined((x, y, y)).tolist() == [1, 1, 0, 0]
        x.add_(1)
        assert joined((x, y)).tolist() == [2, 2, 0]
        weight = torch.ones(1, requires_grad=True)
        assert joined((weight,)) is not joined((weight,))
    assert doubled.calls == 6


def test_clouds_and_rows_of_equal_masks_are_one():
    mask = torch.arange(6) < torch.tensor([[6], [4], [0]])
    other = mask.clone()
    other[1, 0] = False
    with sharing():
        for make in (make_cloud, make_object_rows):
            assert make(mask.clone()) is make(mask)
            assert make(other) is not make(mask)
    assert make_cloud(mask) is not make_cloud(mask)


def test_masks_of_networks_are_one_tensor_for_all_of_them():
    # as on a GPU, where values are not compared
    mask = torch.ones(2, 1, 3)
    with sharing():
        slots = real_slots(mask)
        assert real_slots(mask) is slots
        assert join_masks((slots, slots)) is join_masks((slots, slots))
        assert join_slots((mask, mask)) is join_slots((mask, mask))


def test_an_error_ends_the_sharing(doubled):
    with pytest.raises(ZeroDivisionError), sharing():
        raise ZeroDivisionError
    doubled(torch.ones(1))
    doubled(torch.ones(1))
    assert doubled.calls == 2
