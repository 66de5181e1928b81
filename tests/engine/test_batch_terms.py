"""Means of a loss's batch terms over an epoch."""

import pytest
import torch
from torch import tensor

from weaver_tt.engine.batch_terms import BatchTerms, sum_terms_over_ranks, term_means
from weaver_tt.errors import ConfigError


def test_a_mean_over_batches_counts_each_by_its_weight():
    terms = BatchTerms()
    terms.add("correlation", tensor(0.5), tensor(3.0))
    terms.add("correlation", tensor(0.1), tensor(1.0))
    terms.add("norm", tensor(2.0), tensor(1.0))
    assert term_means(terms.sums()) == pytest.approx({"correlation": 0.4, "norm": 2.0})


def test_readings_between_two_points_leave_out_what_came_before():
    terms = BatchTerms()
    terms.add("correlation", tensor(0.5), tensor(3.0))
    before = terms.sums()
    assert term_means(terms.sums(), before) == {}
    terms.add("correlation", tensor(0.25), tensor(2.0))
    terms.add("norm", tensor(2.0), tensor(2.0))
    assert term_means(terms.sums(), before) == {"correlation": 0.25, "norm": 2.0}


def test_an_interrupted_epoch_goes_on_and_its_sums_are_not_changed():
    first = BatchTerms()
    first.add("norm", tensor(1.0), tensor(1.0))
    saved = first.sums()
    again = BatchTerms(sums=saved)
    again.add("norm", tensor(4.0), tensor(2.0))
    assert term_means(again.sums()) == {"norm": 3.0}
    assert saved["norm"].tolist() == [1.0, 1.0]


def test_batches_that_do_not_count_have_no_mean():
    terms = BatchTerms()
    terms.add("norm", tensor(1.0), tensor(0.0))
    assert term_means(terms.sums()) == {}


def test_a_term_must_not_hide_a_metric():
    with pytest.raises(ConfigError, match="'accuracy' is the name of a metric"):
        BatchTerms(["loss", "accuracy"]).add("accuracy", tensor(1.0), tensor(1.0))


def test_ranks_without_a_term_add_nothing(monkeypatch):
    of_ranks = [{"a": tensor([1.0, 2.0])}, {}, {"a": tensor([3.0, 2.0]), "b": tensor([1.0, 1.0])}]
    monkeypatch.setattr(
        "weaver_tt.engine.batch_terms.gather_from_ranks", lambda sums: [sums, *of_ranks[1:]]
    )
    total = sum_terms_over_ranks(of_ranks[0])
    assert {name: sums.tolist() for name, sums in total.items()} == {
        "a": [4.0, 4.0],
        "b": [1.0, 1.0],
    }
    assert torch.equal(of_ranks[0]["a"], tensor([1.0, 2.0]))
