"""The average of weights, by hand."""

import pytest
import torch
from torch import nn, tensor

from weaver_tt.engine.average import WeightAverage


class Part(nn.Module):
    """A weight, a statistic that is replaced and not written to, and a number of steps."""

    def __init__(self, value=0.0, dtype=torch.float32):
        super().__init__()
        self.weight = nn.Parameter(tensor([value], dtype=dtype))
        self.register_buffer("mean", tensor([value]))
        self.register_buffer("steps", tensor(0))
        self.register_buffer("scratch", tensor([0.0]), persistent=False)

    def set(self, value):
        """What a step does."""
        with torch.no_grad():
            self.weight.fill_(value)
        self.mean = tensor([value])
        self.steps += 1


def averaged(average, part):
    """The values of a part where the average takes their place."""
    with average.in_place_of_weights():
        return part.weight.item(), part.mean.item(), part.steps.item()


def test_the_first_steps_forget_the_initial_weights():
    part = Part(100.0)
    average = WeightAverage([part], 0.999)
    decays = []
    for value in (1.0, 2.0, 3.0):
        decays.append(average.decay)
        part.set(value)
        average.update()
    assert decays == pytest.approx([1 / 10, 2 / 11, 3 / 12])
    # 0.1 * 100 + 0.9 * 1 = 10.9; 2/11 * 10.9 + 9/11 * 2; a quarter of that and 3/4 * 3
    second = 2 / 11 * 10.9 + 9 / 11 * 2
    expected = second / 4 + 9 / 4
    weight, mean, steps = averaged(average, part)
    assert weight == pytest.approx(expected)
    # statistics are averaged with the weights, whole numbers are the latest
    assert mean == pytest.approx(expected)
    assert steps == 3


def test_later_on_the_decay_is_the_one_asked_for():
    part = Part(0.0)
    average = WeightAverage([part], 0.5)
    for count, decay in ((7, 8 / 17), (8, 0.5), (1000, 0.5)):
        average.count = count
        assert average.decay == decay
    part.set(1.0)
    average.update()
    part.set(2.0)
    average.update()
    assert averaged(average, part)[0] == 0.25 + 1.0


def test_the_average_takes_the_place_of_the_weights_for_a_while():
    part = Part(4.0)
    weight = part.weight
    average = WeightAverage([part], 0.9)
    part.set(8.0)
    average.update()
    with average.in_place_of_weights():
        assert part.weight is weight
        assert part.weight.item() == pytest.approx(0.1 * 4 + 0.9 * 8)
        assert "scratch" not in part.state_dict()
    assert (part.weight.item(), part.mean.item()) == (8.0, 8.0)
    # an interrupted validation puts them back before the end, and saves them
    with average.in_place_of_weights():
        average.put_weights_back()
        assert part.weight.item() == 8.0
    assert part.weight.item() == 8.0


def test_weights_are_put_back_after_an_error():
    part = Part(4.0)
    average = WeightAverage([part], 0.9)
    part.set(8.0)
    with pytest.raises(KeyError), average.in_place_of_weights():
        raise KeyError
    assert part.weight.item() == 8.0


def test_a_weight_with_two_names_is_averaged_once():
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
    network[1].weight = network[0].weight
    with torch.no_grad():
        network[0].weight.fill_(0.0)
    average = WeightAverage([network], 0.9)
    with torch.no_grad():
        network[0].weight.fill_(1.0)
    average.update()
    with average.in_place_of_weights():
        assert network[1].weight.item() == pytest.approx(0.9)


def test_small_changes_of_weights_of_half_precision_are_not_lost():
    part = Part(1.0, torch.bfloat16)
    average = WeightAverage([part], 0.999)
    average.count = 10**6
    part.set(1.0078125)  # the next number of bfloat16
    for _ in range(1000):
        average.update()
    # 1 - 0.999^1000 = 0.632 of the way
    assert average.state_dict()["averages"][0]["weight"].item() == pytest.approx(1.00494, abs=1e-5)
    with average.in_place_of_weights():
        assert part.weight.dtype == torch.bfloat16


def test_it_continues_from_what_was_saved_and_refuses_what_does_not_fit():
    first, second = Part(4.0), Part(-1.0)
    average, other = WeightAverage([first], 0.9), WeightAverage([second], 0.9)
    first.set(8.0)
    average.update()
    other.load_state_dict(average.state_dict())
    assert (other.count, averaged(other, second)) == (1, averaged(average, first))
    state = {"count": 1, "averages": [{"weight": tensor([1.0, 2.0])}]}
    with pytest.raises(ValueError, match="average of weight has another shape"):
        other.load_state_dict(state)
