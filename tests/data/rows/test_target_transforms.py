"""Transforms of targets and their inverses."""

import math

import pytest
import torch
from torch import tensor

from weaver_tt.config.schema import TargetTransform
from weaver_tt.data.rows.target_transforms import (
    domain_problem,
    times_column,
    to_learnt,
    to_quotient,
)
from weaver_tt.errors import ConfigError

RATIO = TargetTransform(kind="ratio", column="pt")
LOG = TargetTransform(kind="log")
STANDARDISED = TargetTransform(kind="standardised", mean=2.0, deviation=0.5)
COLUMNS = {"pt": tensor([10.0, 20.0])}


@pytest.mark.parametrize(
    ("chain", "learnt"),
    [
        ([], [10 * math.e, 20.0]),
        ([RATIO], [math.e, 1.0]),
        ([LOG], [math.log(10) + 1, math.log(20)]),
        ([STANDARDISED], [(10 * math.e - 2) / 0.5, 36.0]),
        ([RATIO, LOG], [1.0, 0.0]),
        ([RATIO, LOG, STANDARDISED], [-2.0, -4.0]),
    ],
)
def test_a_chain_is_applied_in_its_order_and_undone_exactly(chain, learnt):
    values = tensor([10 * math.e, 20.0])
    found = to_learnt(values, chain, COLUMNS)
    torch.testing.assert_close(found, tensor(learnt))
    back = times_column(to_quotient(found, chain), chain, COLUMNS)
    torch.testing.assert_close(back, values)


def test_every_output_of_a_row_is_multiplied_by_its_column():
    values = times_column(torch.ones(2, 3), [RATIO], COLUMNS)
    assert values.tolist() == [[10.0] * 3, [20.0] * 3]
    assert to_learnt(values, [RATIO], COLUMNS).tolist() == [[1.0] * 3] * 2


def test_what_has_no_image_is_found():
    values = tensor([-1.0, 2.0])
    everywhere = tensor([True, True])
    why, bad = domain_problem(values, [LOG], {}, everywhere)
    assert (why, bad.tolist()) == ("log needs numbers above 0", [True, False])
    momenta = {"pt": tensor([1.0, math.nan])}
    why, bad = domain_problem(values, [RATIO], momenta, everywhere)
    assert (why, bad.tolist()) == ("ratio needs 'pt' above 0", [False, True])
    # where one step does not matter, the next one may
    why, bad = domain_problem(values, [RATIO, LOG], momenta, tensor([True, False]))
    assert (why, bad.tolist()) == ("log needs numbers above 0", [True, False])
    chain = [RATIO, LOG, STANDARDISED]
    assert domain_problem(tensor([1.0, 2.0]), chain, COLUMNS, everywhere) is None
    assert domain_problem(values, [LOG], {}, ~everywhere) is None


def test_numbers_that_are_still_missing_are_said():
    with pytest.raises(ConfigError, match=r"standardised: its mean and deviation.*auto\.yaml"):
        to_learnt(tensor([1.0]), [TargetTransform(kind="standardised")], {})
