"""Folds: who trains on what."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaver_tt.errors import ConfigError
from weaver_tt.expressions import evaluate
from weaver_tt.options.train import parse_options as parse_options
from weaver_tt.run.cross_validation import fold_options, parse_folds


def options(*more):
    return parse_options(["-i", "a.root", "-c", "d.yaml", "-n", "n.py", "-m", "out/net", *more])


def passes(text, values):
    return np.asarray(evaluate.evaluate(evaluate.parse_expression(text, "test"), {"event": values}))


@given(
    st.lists(
        st.one_of(st.integers(-(2**40), 2**40), st.floats(-1e6, 1e6)), min_size=1, max_size=30
    ),
    st.integers(2, 7),
)
def test_every_row_is_predicted_by_the_one_network_that_has_not_seen_it(numbers, k):
    values = np.array(numbers)
    parts = fold_options(options("--cross-validation", f"event%{k}"))
    seen = np.stack([passes(part.data.extra_selection_train, values) for part in parts])
    held_out = np.stack([passes(part.data.extra_selection_test, values) for part in parts])
    assert (held_out.sum(0) == 1).all()
    assert (seen == ~held_out).all()
    assert (held_out.argmax(0) == np.floor(values) % k).all()
    assert [part.data.extra_selection_val for part in parts] == [
        part.data.extra_selection_train for part in parts
    ]


@pytest.mark.parametrize(
    "numbers",
    [
        np.array([2**64 - 1, 2**63 + 3, 2**53 + 1, 7], dtype=np.uint64),
        np.array([-(2**63), -(2**53) - 1, 2**62 + 1, -3], dtype=np.int64),
    ],
)
def test_folds_of_event_numbers_beyond_2_to_53_are_those_of_whole_numbers(numbers):
    parts = fold_options(options("--cross-validation", "event%5"))
    found = np.stack([passes(part.data.extra_selection_test, numbers) for part in parts]).argmax(0)
    assert found.tolist() == [int(number) % 5 for number in numbers]
    # as a floating-point number 2^53 + 1 would be 2^53
    assert "floor(" not in parts[0].data.extra_selection_test


def test_without_cross_validation_there_is_one_run():
    one = options()
    assert fold_options(one) == [one]


def test_files_of_a_fold_carry_its_number():
    more = (
        "--tensorboard",
        "tb/x",
        "--load-model-weights",
        "old/net_{fold}_best_epoch_state.pt",
        "--extra-selection-train",
        "pt > 5 & eta < 2",
    )
    parts = fold_options(options("--cross-validation", "event % 3", *more))
    assert [part.network.model_prefix for part in parts] == [
        "out/net_fold-0",
        "out/net_fold-1",
        "out/net_fold-2",
    ]
    assert parts[1].train.tensorboard == "tb/x/fold-1"
    assert parts[2].network.load_model_weights == "old/net_fold-2_best_epoch_state.pt"
    assert parts[0].data.extra_selection_train == "(pt > 5 & eta < 2) & (((event) // 1 % 3) != 0)"
    assert parts[0].data.extra_selection_test == "((event) // 1 % 3) == 0"
    assert (
        fold_options(options("--cross-validation", "event%2", "--tensorboard", "off"))[
            0
        ].train.tensorboard
        == "off"
    )


@pytest.mark.parametrize("text", ["event", "event%1", "event%", "%3", "event%x", "event%-2"])
def test_what_is_no_variable_and_number_is_refused(text):
    with pytest.raises(ConfigError, match="--cross-validation"):
        parse_folds(text)
