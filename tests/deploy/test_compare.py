"""The comparison tries several N and P, rows without objects too, and misses no difference."""

import logging

import numpy as np
import pytest
import torch

from weaver_tt.config.schema import DataConfig, InputGroup, Variable
from weaver_tt.deploy.compare import (
    comparison_batches,
    largest_difference,
    select_inputs,
    with_empty_rows,
)
from weaver_tt.errors import DataError, OutputError
from weaver_tt.network.outputs import Activated

PAD = -7.0
GROUPS = [
    InputGroup(
        name="jets", variables=(Variable(name="pt"), Variable(name="eta", pad=PAD)), length=5
    ),
    InputGroup(name="event", variables=(Variable(name="met"),)),
]
CONFIG = DataConfig(source="test.yaml", text="", inputs={group.name: group for group in GROUPS})
RANDOM = np.random.default_rng(1)
SAMPLE = {
    "jets": RANDOM.random((40, 2, 5), np.float32),
    "event": RANDOM.random((40, 1), np.float32),
}


def double(inputs):
    return Activated(2 * inputs["jets"])


def shapes(dynamic: list[str]) -> set[tuple[int, int]]:
    return {
        (len(case.inputs["jets"]), case.inputs["jets"].shape[2])
        for case in comparison_batches(SAMPLE, CONFIG, dynamic)
    }


def test_every_number_of_rows_meets_every_number_of_objects():
    assert shapes(["jets"]) == {(rows, objects) for rows in (1, 7, 31) for objects in (1, 2, 5, 8)}


def test_a_fixed_number_of_objects_is_kept():
    assert shapes([]) == {(rows, 5) for rows in (1, 7, 31)}


def test_every_row_is_compared():
    seen = torch.cat(
        [
            case.inputs["jets"]
            for case in comparison_batches(SAMPLE, CONFIG, [])
            if case.inputs["jets"].shape[2] == 5
        ]
    )
    assert (seen.numpy() == SAMPLE["jets"]).all()


def test_many_objects_mean_few_rows_at_once():
    """200,000 slots over 100 x 100 pairs are 20 rows."""
    config = DataConfig(
        source="",
        text="",
        inputs={"jets": InputGroup(name="jets", variables=(Variable(name="pt"),), length=100)},
    )
    assert (
        max(
            len(case.inputs["jets"])
            for case in comparison_batches({"jets": np.zeros((40, 1, 100), np.float32)}, config, [])
        )
        == 20
    )


def test_more_objects_are_padding():
    case = next(
        case
        for case in comparison_batches(SAMPLE, CONFIG, ["jets"])
        if case.inputs["jets"].shape[2] == 8
    )
    assert (case.inputs["jets"][:, 0, 5:] == 0).all()
    assert (case.inputs["jets"][:, 1, 5:] == PAD).all()


def test_a_network_that_has_numbers_for_rows_without_objects_is_compared_on_two(caplog):
    with caplog.at_level(logging.INFO, logger="weaver_tt"):
        sample = with_empty_rows(SAMPLE, CONFIG, double)
    assert sample["jets"].shape == (42, 2, 5)
    for row in (0, 21):
        assert (sample["jets"][row, 0] == 0).all()
        assert (sample["jets"][row, 1] == PAD).all()
        assert (sample["event"][row] == SAMPLE["event"][0]).all()
    assert (sample["jets"][[*range(1, 21), *range(22, 42)]] == SAMPLE["jets"]).all()
    assert "two such are compared as well" in caplog.text


def mean_of_jets(inputs):
    """NaN for a row without jets: 0 / 0."""
    real = inputs["jets"][:, :1] > 0
    return Activated((inputs["jets"] * real).sum(2) / real.sum(2))


def fails_without_jets(inputs):
    if not (inputs["jets"][:, 0] > 0).any(1).all():
        raise ValueError("nothing to attend to")
    return double(inputs)


@pytest.mark.parametrize(
    ("network", "what"),
    [
        (mean_of_jets, "gives NaN or infinity for them"),
        (fails_without_jets, r"fails on them (ValueError: nothing to attend to)"),
    ],
)
def test_a_network_need_not_stand_rows_that_its_data_do_not_hold(network, what, caplog):
    with caplog.at_level(logging.WARNING, logger="weaver_tt"):
        sample = with_empty_rows(SAMPLE, CONFIG, network)
    assert sample is SAMPLE
    assert (
        f"rows without objects are not compared: the sample has none, and the network {what}"
        in (caplog.text)
    )


def test_a_row_without_objects_of_the_data_comes_first_whatever_the_network_says_of_it():
    jets = SAMPLE["jets"].copy()
    jets[3] = [[0.0], [PAD]]
    sample = with_empty_rows(SAMPLE | {"jets": jets}, CONFIG, mean_of_jets)
    order = [3, 0, 1, 2, *range(4, 40)]
    assert (sample["jets"] == jets[order]).all()
    assert (sample["event"] == SAMPLE["event"][order]).all()


def test_rows_of_scalars_alone_have_no_objects_to_lack():
    sample = {"event": SAMPLE["event"]}
    assert with_empty_rows(sample, CONFIG, mean_of_jets) is sample


def test_equal_networks_do_not_differ():
    assert largest_difference(double, double, SAMPLE, CONFIG, ["jets"]).size == 0


@pytest.mark.parametrize(("rows", "objects"), [(1, 1), (7, 8), (31, 5)])
def test_a_difference_at_one_shape_is_found(rows, objects):
    def wrong(inputs):
        output = double(inputs)[0]
        output[-1, 0, -1] += 0.25 * (tuple(output.shape) == (rows, 2, objects))
        return Activated(output)

    # values of 0 .. 2 are compared absolutely below 1 and relatively above
    assert 0.125 <= largest_difference(double, wrong, SAMPLE, CONFIG, ["jets"]).size <= 0.25 + 1e-6


def test_large_values_are_compared_relatively():
    one = lambda inputs: Activated(torch.full((len(inputs["event"]), 1), 100.0))  # noqa: E731
    other = lambda inputs: Activated(torch.full((len(inputs["event"]), 1), 101.0))  # noqa: E731
    assert largest_difference(one, other, SAMPLE, CONFIG, []).size == pytest.approx(0.01)


def test_a_difference_of_spreads_is_found():
    one = lambda inputs: Activated(inputs["event"], inputs["event"])  # noqa: E731
    other = lambda inputs: Activated(inputs["event"], inputs["event"] + 0.5)  # noqa: E731
    assert largest_difference(one, other, SAMPLE, CONFIG, []).size == pytest.approx(0.5)


def test_a_spread_is_rounded_as_the_values_that_it_is_of():
    # the momenta 999 and 1001 GeV are known to 6e-5 GeV each, and so is their spread, 1 GeV
    momentum = torch.full((1,), 1000.0)

    def of_spread(spread):
        rows = lambda inputs: momentum.expand(len(inputs["event"]), 1)  # noqa: E731
        return lambda inputs: Activated(rows(inputs), rows(inputs) * 0 + spread)

    found = largest_difference(of_spread(1.0), of_spread(1.005), SAMPLE, CONFIG, [])
    assert found.size == pytest.approx(5e-6, rel=1e-3)


def test_derived_outputs_and_their_spreads_are_compared_by_name():
    def with_derived(shift, shift_of_spread):
        return lambda inputs: Activated(
            inputs["event"],
            inputs["event"] * 0,
            inputs["event"] + shift,
            inputs["event"] * 0 + shift_of_spread,
        )

    names = ["y", "corrected_pt"]
    same = with_derived(0, 0)
    assert largest_difference(same, same, SAMPLE, CONFIG, [], names).size == 0
    for other, place in (
        (with_derived(0.5, 0), "corrected_pt of row"),
        (with_derived(0, 0.5), "corrected_pt_std of row"),
    ):
        found = largest_difference(same, other, SAMPLE, CONFIG, [], names)
        assert found.size == pytest.approx(0.5)
        assert found.place.startswith(place)


def test_equal_infinities_agree():
    logarithm = lambda inputs: Activated(-inputs["event"] / 0)  # noqa: E731
    assert largest_difference(logarithm, logarithm, SAMPLE, CONFIG, []).size == 0
    other = lambda inputs: Activated(inputs["event"] / 0)  # noqa: E731
    assert largest_difference(logarithm, other, SAMPLE, CONFIG, []).size > 1e30


def test_nan_in_one_of_the_two_is_a_difference():
    wrong = lambda inputs: Activated(double(inputs)[0] * torch.nan)  # noqa: E731
    assert largest_difference(double, wrong, SAMPLE, CONFIG, []).size > 1e30


def test_nan_in_both_agrees_with_a_warning(caplog):
    nan = lambda inputs: Activated(inputs["event"] * torch.nan)  # noqa: E731
    with caplog.at_level(logging.WARNING, logger="weaver_tt"):
        assert largest_difference(nan, nan, SAMPLE, CONFIG, []).size == 0
    assert "NaN for 40 values" in caplog.text


def test_outputs_of_another_shape_are_refused_and_told():
    frozen = lambda inputs: Activated(torch.zeros(3, 2, 5))  # noqa: E731
    with pytest.raises(
        OutputError,
        match=r"gives \(3, 2, 5\) where torch gives \(1, 2, 5\) "
        r"for jets \(1, 2, 5\), event \(1, 1\); the graph may have kept the number of rows",
    ):
        largest_difference(double, frozen, SAMPLE, CONFIG, ["jets"])


def test_a_network_that_needs_its_full_length_is_told_how_to_say_so():
    with pytest.raises(
        OutputError, match=r"the network itself fails for jets \(1, 2, 1\).*dynamic_axes"
    ):
        largest_difference(
            lambda inputs: Activated(inputs["jets"].view(-1, 2, 5)),
            double,
            SAMPLE,
            CONFIG,
            ["jets"],
        )


def test_a_difference_names_output_object_and_row():
    def wrong(inputs):
        output = double(inputs)[0].clone()
        # row 12 is the fourth of the batch that begins with row 9
        if len(output) == 31:
            output[3, 1, 2] = 7
        return Activated(output)

    jets = SAMPLE["jets"].copy()
    jets[12, 1, 2] = 0.25
    jets[12, :, 4] = [0, PAD]
    sample = SAMPLE | {"jets": jets}
    found = largest_difference(double, wrong, sample, CONFIG, [], ["eff", "rate"])
    assert found.size == 6.5
    assert found.place == (
        "rate of object 2 in row 12 of 40 (4 objects in jets), for jets (31, 2, 5), event (31, 1): "
        "7, in torch 0.5"
    )
    assert not found.is_of_length


def test_a_difference_of_spreads_is_named_by_its_ending():
    one = lambda inputs: Activated(inputs["event"], inputs["event"] * 0)  # noqa: E731
    other = lambda inputs: Activated(inputs["event"], inputs["event"] * 0 + 0.5)  # noqa: E731
    found = largest_difference(one, other, SAMPLE, CONFIG, [], ["eff"])
    assert found.place.startswith("eff_std of row 0 of 40 (5 objects in jets)")


def test_a_difference_at_other_lengths_alone_is_one_of_length():
    frozen = lambda inputs: Activated(inputs["jets"].sum(2) / 5)  # noqa: E731
    mean = lambda inputs: Activated(inputs["jets"].mean(2))  # noqa: E731
    found = largest_difference(mean, frozen, SAMPLE, CONFIG, ["jets"])
    assert found.is_of_length
    assert found.at_own_length < 1e-6
    # one object of five: a fifth
    assert found.size == pytest.approx(0.8 * SAMPLE["jets"][:, :, 0].max(), rel=1e-3)


def test_an_exported_network_that_fails_at_another_length_is_told_how_to_fix_it():
    def fails(inputs):
        if inputs["jets"].shape[2] != 5:
            raise OutputError("m.onnx: ONNX Runtime cannot run inputs")
        return double(inputs)

    with pytest.raises(
        OutputError,
        match=r"exported network fails for jets \(1, 2, 1\).*cannot run.*number of objects that it "
        r"was traced with.*leave axis 2 out of model_info\['dynamic_axes'\]",
    ):
        largest_difference(double, fails, SAMPLE, CONFIG, ["jets"])


def test_a_sample_of_other_data_is_named():
    with pytest.raises(DataError, match="no input 'jets'; did you mean 'jet'"):
        select_inputs({"jet": SAMPLE["jets"]}, CONFIG, ["jets"])
    with pytest.raises(
        DataError, match=r"'jets' of the sample has shape \(2, 4\) per row, test.yaml says \(2, 5\)"
    ):
        select_inputs({"jets": SAMPLE["jets"][:, :, :4]}, CONFIG, ["jets"])
    assert list(select_inputs(SAMPLE, CONFIG, ["event"])) == ["event"]


def test_one_value_a_row_may_come_without_its_axis():
    """A regression of one label gives (N,) in torch and (N, 1) in the file."""
    one = lambda inputs: Activated(inputs["event"][:, 0])  # noqa: E731
    other = lambda inputs: Activated(inputs["event"] + 0.5)  # noqa: E731
    # values between 0 and 1 are compared absolutely
    assert largest_difference(one, other, SAMPLE, CONFIG, []).size == pytest.approx(0.5)


def test_a_network_that_looks_for_a_third_object_is_told_how_to_say_so():
    third = lambda inputs: Activated(inputs["jets"][:, :, 2])  # noqa: E731
    with pytest.raises(OutputError, match=r"fails for jets \(1, 2, 1\).*index 2.*dynamic_axes"):
        largest_difference(third, third, SAMPLE, CONFIG, ["jets"])


def config_of_length(length):
    """Jets of one variable."""
    group = InputGroup(name="jets", variables=(Variable(name="pt"),), length=length)
    return DataConfig(source="", text="", inputs={"jets": group})


def test_a_group_of_one_object_is_compared_with_one_and_with_four():
    sample = {"jets": np.zeros((10, 1, 1), np.float32)}
    batches = list(comparison_batches(sample, config_of_length(1), ["jets"]))
    assert {batch.inputs["jets"].shape[2] for batch in batches} == {1, 4}


def test_seven_rows_are_compared_at_once_however_many_objects_they_have():
    """30 rows are one, one, seven, and three times seven; one alone is more than 200,000 slots."""
    sample = {"jets": np.zeros((30, 1, 1000), np.float32)}
    batches = list(comparison_batches(sample, config_of_length(1000), []))
    assert [len(batch.inputs["jets"]) for batch in batches] == [1, 1, 7, 7, 7, 7]
