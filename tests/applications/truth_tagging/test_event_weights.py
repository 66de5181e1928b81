"""Weights are probabilities of tag multiplicities, checked by enumeration of all outcomes."""

import itertools
import math

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaver_tt.applications.truth_tagging.event_weights import (
    TagRequest,
    event_weight,
    event_weight_error,
)
from weaver_tt.errors import ConfigError, DataError

efficiencies = st.lists(st.lists(st.floats(0, 1), max_size=5), min_size=1, max_size=4)


def jagged(events):
    return ak.values_astype(
        ak.Array([*events, [0.5]])[:-1], np.float64
    )  # a type even if all are empty


def brute_force(event, request):
    """Sum over all 2^J outcomes."""
    event = event[: request.leading]
    total = 0.0
    for outcome in itertools.product([0, 1], repeat=len(event)):
        if sum(outcome) == request.count or (request.more and sum(outcome) > request.count):
            total += math.prod(e if tag else 1 - e for e, tag in zip(event, outcome, strict=True))
    return total


@given(efficiencies, st.integers(0, 6), st.booleans(), st.one_of(st.none(), st.integers(1, 6)))
def test_weights_equal_the_enumeration_of_outcomes(events, count, more, leading):
    request = TagRequest(count=count, more=more, leading=leading)
    assert event_weight(jagged(events), request) == pytest.approx(
        [brute_force(event, request) for event in events], abs=1e-12
    )


@given(efficiencies)
def test_exact_multiplicities_add_up_to_one(events):
    total = sum(event_weight(jagged(events), TagRequest(count=count)) for count in range(6))
    assert total == pytest.approx(np.ones(len(events)))


def test_two_jets_are_equation_3_of_the_paper():
    event = ak.Array([[0.7, 0.2]])
    weights = [event_weight(event, TagRequest(count=count))[0] for count in (0, 1, 2)]
    assert weights == pytest.approx([0.3 * 0.8, 0.7 * 0.8 + 0.3 * 0.2, 0.7 * 0.2])


def test_events_with_too_few_jets_weigh_nothing():
    events = ak.Array([[0.9], []])[[0, 1]]
    assert event_weight(events, TagRequest(count=2)).tolist() == [0, 0]
    assert event_weight(events, TagRequest(count=2, more=True)).tolist() == [0, 0]
    assert event_weight(events, TagRequest(count=0, more=True)).tolist() == [1, 1]


def test_error_of_both_tagged_is_linear_propagation():
    efficiency, spread = ak.Array([[0.7, 0.2]]), ak.Array([[0.03, 0.01]])
    shifts = (0.2 * 0.03, 0.7 * 0.01)  # derivative times spread
    both = TagRequest(count=2)
    assert event_weight_error(efficiency, spread, both) == pytest.approx([sum(shifts)])
    assert event_weight_error(efficiency, spread, both, "none") == pytest.approx(
        [math.hypot(*shifts)]
    )


def test_error_for_at_least_one_tag_equals_the_shift_of_members_that_move_together():
    efficiency, spread = ak.Array([[0.3, 0.4, 0.1]]), ak.Array([[0.01, 0.02, 0.005]])
    one = TagRequest(count=1, more=True)
    moved = event_weight(efficiency + 1e-3 * spread, one) - event_weight(efficiency, one)
    assert event_weight_error(efficiency, spread, one) == pytest.approx(moved * 1e3, rel=1e-3)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.2)), min_size=1, max_size=5),
    st.integers(0, 5),
    st.booleans(),
)
def test_full_correlation_never_gives_less_than_none(event, count, more):
    efficiency, spread = (ak.Array([list(values)]) for values in zip(*event, strict=True))
    request = TagRequest(count=count, more=more)
    full, none = (
        event_weight_error(efficiency, spread, request, kind)[0] for kind in ("full", "none")
    )
    assert full >= none - 1e-12


def test_nan_beyond_the_networks_length_is_an_error_unless_it_is_not_counted():
    events = ak.Array([[0.5, 0.5], [0.5, 0.5, math.nan]])
    with pytest.raises(DataError, match=r"row 1, object 3: nan .*--leading 2"):
        event_weight(events, TagRequest(count=1))
    assert event_weight(events, TagRequest(count=1, leading=2)).tolist() == [0.5, 0.5]


def test_values_that_are_no_probabilities_are_refused():
    with pytest.raises(DataError, match=r"1\.5"):
        event_weight(ak.Array([[1.5]]), TagRequest(count=1))


def test_requests_name_their_columns_and_refuse_nonsense():
    assert TagRequest(count=2).column == "weight_exactly2"
    assert TagRequest(count=1, more=True, leading=4).column == "weight_atleast1"
    with pytest.raises(ConfigError):
        TagRequest(count=-1)
    with pytest.raises(ConfigError):
        TagRequest(count=1, leading=0)
