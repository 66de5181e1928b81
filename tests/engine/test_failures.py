"""A training that cannot go on says why, where, and what may help."""

from collections import Counter
from dataclasses import replace

import pytest
import torch

from tests.engine.toy import CONFIG, Rows, training
from weaver_tt.config.schema import ObjectSelection
from weaver_tt.data.accounting import Accounting
from weaver_tt.engine.failures import check_any_batch, stop_at_nan, stop_without_entries
from weaver_tt.engine.loop import EpochMetrics
from weaver_tt.errors import TrainingError
from weaver_tt.expressions.evaluate import parse_expression


def test_a_nan_weight_is_noticed_with_learning_rate_and_advice(tmp_path):
    run = training(tmp_path / "net")
    run.start()
    with torch.no_grad():
        run.trainings[0].network.unwrapped.weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"learning rate 0\.1.*smaller --start-lr"):
        run.train(Rows())


def test_a_pass_in_which_nothing_counts_says_why(tmp_path):
    run = training(tmp_path / "net")
    run.start()
    run.train(Rows())
    with pytest.raises(
        TrainingError, match="nothing to learn from in training, epoch 0: of 8 rows"
    ):
        run.save_epoch([EpochMetrics([], [])])
    selection = ObjectSelection(
        group="jets", expression=parse_expression("pt > 20", "test"), columns=("pt",)
    )
    run.trainings[0].task.config = replace(CONFIG, objects={"jets": selection})
    loader = Rows()
    loader.accounting = Accounting(
        read=Counter(a=8), objects=Counter(jets=5), objects_dropped=Counter(jets=5)
    )
    run.trainings[0].state.batches = 0
    with pytest.raises(TrainingError, match="in training: no object of 'jets' passes"):
        run.train(loader)
    run.validate(loader)
    message = "in validation, epoch 0: no object of 'jets' passes its selection 'pt > 20': all 5"
    with pytest.raises(TrainingError, match=message):
        run.save_epoch([EpochMetrics([], [])])


def test_labels_without_a_value_are_counted_with_the_first_of_them(tmp_path):
    run = training(tmp_path / "net")
    run.start()
    loader = Rows()
    loader.accounting = Accounting(used=Counter(a=8))
    loader.accounting.undefined["y"] = 8
    loader.accounting.first["undefined", "y"] = ("jets.root", 2)
    message = r"of 8 rows none has .*labels without a value: y 8 \(first: jets.root, row 2\)"
    with pytest.raises(TrainingError, match=message):
        stop_without_entries(run.trainings[0], "validation", loader)


def test_no_batch_is_told_from_no_row(tmp_path):
    run = training(tmp_path / "net")
    run.start()
    loader = Rows()
    loader.accounting = Accounting(read=Counter(a=1), selected=Counter(a=1))
    with pytest.raises(TrainingError, match="gave no batch: a single row is selected"):
        check_any_batch(run.trainings[0], loader)
    # after a step nothing is wrong
    run.train(Rows())
    check_any_batch(run.trainings[0], Rows())


def test_the_metric_that_became_nan_is_named_with_epoch_and_step(tmp_path):
    run = training(tmp_path / "net")
    run.start()
    run.train(Rows())
    metrics = dict.fromkeys(run.trainings[0].task.watched_names, 1.0)
    with pytest.raises(TrainingError) as caught:
        stop_at_nan(run.trainings[0], metrics | {"loss": float("nan")}, "validation", Rows())
    said = str(caught.value)
    assert said.startswith("NaN in validation: the loss of entries, after epoch 0 (step 4): ")
    assert "nothing is saved" in said
