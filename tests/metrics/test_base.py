"""What all meters have in common: sums that add up, continue and say nothing of nothing."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import tensor

from weaver_tt.config.schema import NO_CLASS
from weaver_tt.metrics.base import LossMeter, Scored
from weaver_tt.metrics.classification import ClassificationMeter
from weaver_tt.metrics.efficiency import EfficiencyMeter
from weaver_tt.metrics.regression import RegressionMeter


def test_loss_is_divided_by_the_sum_of_absolute_weights(scored):
    meter = LossMeter()
    meter.update(scored([[0.0], [0.0]], [0, 0], weight=[2.0, -1.0]), tensor([1.0, 0.5]))
    assert meter.values(meter.totals()) == {"loss": pytest.approx((2 - 0.5) / 3)}


def test_loss_is_a_mean_over_entries_not_over_batches(scored):
    meter = LossMeter()
    meter.update(scored([[0.0]], [0]), tensor([4.0]))
    meter.update(scored([[0.0]] * 3, [0] * 3), tensor([0.0, 0.0, 0.0]))
    assert meter.values(meter.totals())["loss"] == 1.0


@pytest.mark.parametrize(
    "meter",
    [
        LossMeter(),
        ClassificationMeter(["a", "b"]),
        EfficiencyMeter(["tag"]),
        RegressionMeter(["x"]),
    ],
)
def test_a_meter_that_saw_nothing_says_nothing(meter):
    assert meter.values(meter.totals()) == {}


@pytest.mark.parametrize(
    ("meter", "output", "target"),
    [
        (ClassificationMeter(["a", "b"]), [[0.6, 0.4], [0.7, 0.3]], [0, 1]),
        (EfficiencyMeter(["tag"]), [[0.5], [0.9]], [[1.0], [0.0]]),
        (RegressionMeter(["x"]), [[1.0], [3.0]], [[0.0], [0.0]]),
    ],
)
def test_outputs_that_a_task_appended_do_not_count(scored, read, meter, output, target):
    plain = read(type(meter)(meter.names), scored(output, target))
    appended = [[*row, 99.0] for row in output]
    assert read(meter, scored(appended, target)) == plain


def test_networks_that_give_activated_outputs_have_no_loss(scored, read):
    assert read(LossMeter(), scored([[0.5]], [1])) == {}


def test_nan_outputs_do_not_break_a_meter(scored, read):
    nan = math.nan
    assert (
        read(EfficiencyMeter(["tag"]), scored([[nan]], [[1.0]], pt=tensor([nan])))["tag_rate"]
        == 1.0
    )
    assert read(ClassificationMeter(["a", "b"]), scored([[nan, nan]], [1]))["accuracy"] in (
        0.0,
        1.0,
    )


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0.01, 0.99), st.booleans(), st.floats(0.1, 3.0)),
        min_size=2,
        max_size=20,
    ),
    st.data(),
)
def test_totals_of_parts_add_up_to_totals_of_the_whole(scored, entries, data):
    cut = data.draw(st.integers(1, len(entries) - 1))

    def make(rows):
        return scored(
            [[p] for p, _, _ in rows], [[float(t)] for _, t, _ in rows], [w for _, _, w in rows]
        )

    whole, first, second = (EfficiencyMeter(["tag"]) for _ in range(3))
    whole.update(make(entries), None)
    first.update(make(entries[:cut]), None)
    second.update(make(entries[cut:]), None)
    torch.testing.assert_close(first.totals() + second.totals(), whole.totals())


def test_a_restored_meter_goes_on_where_it_was(scored, read):
    meter, later = RegressionMeter(["x"]), RegressionMeter(["x"])
    meter.update(scored([[1.0]], [[0.0]]), None)
    later.restore(meter.totals())
    assert read(later, scored([[3.0]], [[0.0]]))["mae_x"] == 2.0
    later = LossMeter()
    with pytest.raises(ValueError, match="LossMeter has 2 sums, was given 3"):
        later.restore(torch.zeros(3))


def test_sums_that_were_read_or_restored_are_not_changed_by_later_batches(scored):
    meter = RegressionMeter(["x"])
    meter.update(scored([[1.0]], [[0.0]]), None)
    totals = meter.totals()
    before = totals.clone()
    later = RegressionMeter(["x"])
    later.restore(totals)
    for further in (meter, later):
        further.update(scored([[3.0]], [[0.0]]), None)
    # one row with a residual of 1: weight, absolute, square, residual
    assert meter.blocks(totals)["sums"].flatten().tolist() == [1, 1, 1, 1]
    assert torch.equal(totals, before)


def test_detached_entries_have_no_graph(scored):
    output = tensor([[1.0]], requires_grad=True)
    entries = scored(output * 2, [0])
    assert entries.output.requires_grad
    assert not entries.detach().output.requires_grad
    assert entries.detach().output.tolist() == [[2.0]]


def test_losses_are_added_up_in_double_precision(scored):
    meter = LossMeter()
    # in single precision 2**24 + 1 is 2**24
    losses = tensor([2.0**24, 1.0])
    meter.update(scored([[0.0]] * 2, [0, 0]), losses)
    assert meter.values(meter.totals())["loss"] == (2**24 + 1) / 2


def test_entries_without_a_target_are_taken_out_with_all_that_belongs_to_them():
    scored = Scored(
        output=torch.arange(6.0).view(3, 2),
        target=tensor([[1.0, math.nan], [math.nan, math.inf], [2.0, 3.0]]),
        weight=tensor([1.0, 2.0, 3.0]),
        counts=tensor([2, 1]),
        spread=torch.arange(3.0)[:, None],
        monitors={"pt": tensor([10.0, 20.0, 30.0])},
    )
    some = scored.with_target()
    assert some.output.tolist() == [[0.0, 1.0], [4.0, 5.0]]
    assert some.weight.tolist() == [1.0, 3.0]
    assert some.spread.tolist() == [[0.0], [2.0]]
    assert some.monitors["pt"].tolist() == [10.0, 30.0]
    assert some.counts.tolist() == [2, 1]
    assert scored.with_all_targets().weight.tolist() == [3.0]
    # what the host knows need not be looked for
    assert replace(scored, all_defined=True).with_target().weight.tolist() == [1.0, 2.0, 3.0]
    classes = replace(scored, target=tensor([1, NO_CLASS, -1]))
    assert classes.with_target().target.tolist() == [1, -1]
