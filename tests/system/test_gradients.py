"""Gradients over ranks: weighted averages, in messages whose order no batch decides."""

from __future__ import annotations

from unittest.mock import Mock

import pytest
from torch import nn, tensor

from weaver_tt.errors import TrainingError
from weaver_tt.system import distributed, gradients


@pytest.fixture
def exchange(request, monkeypatch):
    """Two parameters in a bucket each, and the messages that have been sent.

    The other rank has a batch that counts for 6, and the gradient 5 of ``a`` alone.
    """
    monkeypatch.setattr(gradients, "BUCKET_BYTES", 4)
    of_other = iter([6.0, 0.0, 6.0 * 5.0])
    sent = []

    def start_sum(message):
        sent.append(message.clone())
        message += next(of_other)
        return Mock()

    monkeypatch.setattr(distributed, "start_sum", start_sum)
    a = nn.Parameter(tensor([1.0]))
    b = nn.Parameter(tensor([1.0]))
    options = getattr(request, "param", {})
    return a, b, gradients.GradientExchange([a, b], **options), sent


def test_a_missing_gradient_counts_as_zero_and_keeps_its_place(exchange):
    a, b, gradients_of_ranks, sent = exchange
    gradients_of_ranks.begin(tensor(2.0))
    (3 * a).sum().backward()
    # the bucket of b comes first, and is not known to be empty before the end
    assert len(sent) == 1
    gradients_of_ranks.finish()
    assert [message.item() for message in sent] == [2.0, 0.0, 2.0 * 3.0]
    assert a.grad.item() == (2 * 3 + 6 * 5) / (2 + 6)
    assert b.grad.item() == 0


def test_what_is_ready_travels_while_the_backward_pass_goes_on(exchange):
    a, b, gradients_of_ranks, sent = exchange
    gradients_of_ranks.begin(tensor(2.0))
    (3 * a + b).sum().backward()
    assert len(sent) == 3
    gradients_of_ranks.finish()
    assert b.grad.item() == 2 / 8


@pytest.mark.parametrize("exchange", [{"overlap": False}], indirect=True)
def test_what_may_not_overlap_travels_after_the_backward_pass(exchange):
    a, b, gradients_of_ranks, sent = exchange
    gradients_of_ranks.begin(tensor(2.0))
    (3 * a + b).sum().backward()
    assert not sent
    gradients_of_ranks.finish()
    assert [message.item() for message in sent] == [2.0, 2.0 * 1.0, 2.0 * 3.0]
    assert a.grad.item() == (2 * 3 + 6 * 5) / (2 + 6)


@pytest.mark.parametrize("exchange", [{"are_weighted": True}], indirect=True)
def test_gradients_of_a_weighted_loss_are_only_added_up(exchange):
    a, _b, gradients_of_ranks, sent = exchange
    gradients_of_ranks.begin(tensor(2.0))
    (2 * 3 * a).sum().backward()
    gradients_of_ranks.finish()
    assert [message.item() for message in sent] == [2.0, 0.0, 2.0 * 3.0]
    assert a.grad.item() == (2 * 3 + 6 * 5) / (2 + 6)


def test_a_rank_without_a_batch_sends_zeros(exchange):
    a, _b, gradients_of_ranks, sent = exchange
    gradients_of_ranks.begin(tensor(0.0))
    gradients_of_ranks.finish()
    assert [message.item() for message in sent] == [0.0, 0.0, 0.0]
    assert a.grad.item() == 5


def test_gradients_of_earlier_passes_travel_once_with_the_last_one(exchange):
    a, b, gradients_of_ranks, sent = exchange
    # a batch that reaches both, and a last one that does not reach b
    (a + 7 * b).sum().backward()
    assert sent == []
    gradients_of_ranks.begin(tensor(2.0))
    (2 * a).sum().backward()
    gradients_of_ranks.finish()
    assert [message.item() for message in sent] == [2.0, 2.0 * 7, 2.0 * 3]
    assert a.grad.item() == (2 * 3 + 6 * 5) / (2 + 6)
    assert b.grad.item() == 2 * 7 / 8


def test_a_gradient_that_grows_after_it_was_sent_is_an_error(exchange):
    a, b, gradients_of_ranks, _ = exchange
    gradients_of_ranks.begin(tensor(2.0))
    (a + b).sum().backward()
    with pytest.raises(TrainingError, match="must be complete"):
        (a + b).sum().backward()
