"""Efficiencies of jets, by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import tensor

from weaver_tt.config.schema import DataConfig, InputGroup, Labels, Variable
from weaver_tt.data.rows.batch import Batch
from weaver_tt.data.rows.host_counts import with_host_counts
from weaver_tt.errors import ConfigError
from weaver_tt.expressions.evaluate import parse_expression
from weaver_tt.network.outputs import Activated
from weaver_tt.nn.objects import real_objects
from weaver_tt.tasks.object_efficiency import ObjectEfficiency

VARIABLES = (
    Variable(name="jet_pt", center=100.0, scale=0.01),
    Variable(name="jet_eta"),
    Variable(name="jet_flavour"),
)


def config(*labels, length=3, groups=("jets",)):
    """Jets with one or several tags."""
    value = {name: parse_expression(name, "test") for name in labels or ("tag",)}
    group = InputGroup(name="jets", variables=VARIABLES, length=length)
    return DataConfig(
        source="c.yaml",
        text="",
        inputs={"jets": group},
        labels=Labels(object_targets=dict.fromkeys(groups, value)),
    )


def batch(mask, weight=None, counts=None, **labels):
    """Rows of padded jets."""
    mask = tensor(mask)
    counts = mask.sum(1) if counts is None else tensor(counts)
    inputs = {
        "jets": torch.arange(len(mask) * 3 * mask.shape[1], dtype=torch.float32).view(
            len(mask), 3, -1
        )
    }
    return Batch(
        inputs,
        {"jets": mask},
        {"jets": counts},
        {name: tensor(values) for name, values in labels.items()},
        weight=weight,
        size=len(mask),
    )


ONE_AND_TWO = [[True, False, False], [True, True, False], [False, False, False]]
TAGS = [[1.0, 9.0, 9.0], [0.0, 1.0, 9.0], [9.0, 9.0, 9.0]]


def test_padding_does_not_count():
    task = ObjectEfficiency(config())
    scored = task.score(
        tensor([[[0.0, 99.0, 99.0]], [[0.0, 0.0, 99.0]], [[99.0, 99.0, 99.0]]]),
        batch(ONE_AND_TWO, tag=TAGS),
    )
    assert task.losses(scored).tolist() == pytest.approx([math.log(2)] * 3)
    assert scored.target.flatten().tolist() == [1.0, 0.0, 1.0]


def test_an_event_counts_once_or_by_its_jets():
    rows = batch(ONE_AND_TWO, tag=TAGS)
    assert ObjectEfficiency(config()).score(torch.zeros(3, 1, 3), rows).weight.tolist() == [
        1.0,
        0.5,
        0.5,
    ]
    assert ObjectEfficiency(config(), reduction="object").score(
        torch.zeros(3, 1, 3), rows
    ).weight.tolist() == [1.0, 1.0, 1.0]


def test_event_weights_may_be_negative():
    rows = batch(ONE_AND_TWO, weight=tensor([-3.0, 2.0, 7.0]), tag=TAGS)
    scored = ObjectEfficiency(config()).score(torch.zeros(3, 1, 3), rows)
    assert scored.weight.tolist() == [-3.0, 1.0, 1.0]
    assert scored.monitors["weight"].tolist() == [-3.0, 2.0, 2.0]


def test_mu_weighs_the_untagged():
    task = ObjectEfficiency(config(), mu=10.0)
    logit = math.log(0.2 / 0.8)
    scored = task.score(
        torch.full((1, 1, 3), logit), batch([[True, True, False]], tag=[[1.0, 0.0, 0.0]])
    )
    assert task.losses(scored).tolist() == pytest.approx([-math.log(0.2), -10 * math.log(0.8)])


@pytest.mark.parametrize("mu", [0.1, 1.0, 10.0])
def test_the_loss_is_smallest_at_the_efficiency_for_any_mu(mu):
    task = ObjectEfficiency(config(), mu=mu)
    # one of five objects is tagged
    tags = [[1.0, 0, 0, 0, 0]]
    logit = torch.tensor(math.log(0.2 / 0.8) - math.log(mu), requires_grad=True)
    scored = task.score(logit.expand(1, 1, 5), batch([[True] * 5], tag=tags))
    task.losses(scored).sum().backward()
    assert logit.grad.item() == pytest.approx(0, abs=1e-5)
    assert task.activate(scored.output).flatten().tolist() == pytest.approx([0.2] * 5)


def test_extreme_logits_have_finite_losses():
    task = ObjectEfficiency(config())
    scored = task.score(
        torch.full((1, 1, 3), -200.0), batch([[True, True, False]], tag=[[1.0, 0.0, 0.0]])
    )
    assert task.losses(scored).tolist() == [200.0, 0.0]


def test_a_batch_without_any_jet_has_no_loss_and_a_zero_gradient():
    task, output = ObjectEfficiency(config()), torch.full((2, 1, 3), math.inf, requires_grad=True)
    losses = task.losses(task.score(output, batch([[False] * 3] * 2, tag=[[0.0] * 3] * 2)))
    losses.sum().backward()
    assert losses.sum().item() == 0.0
    assert output.grad.tolist() == [[[0.0] * 3]] * 2


def test_several_working_points_are_learnt_at_once():
    task = ObjectEfficiency(config("loose", "tight"))
    output = torch.zeros(1, 2, 3)
    output[0, 1, 0] = math.log(3.0)
    scored = task.score(
        output, batch([[True, False, False]], loose=[[1.0, 0, 0]], tight=[[0.0, 0, 0]])
    )
    assert task.losses(scored).tolist() == pytest.approx([(math.log(2) + math.log(4)) / 2])
    assert task.output_names == ["jet_eff_loose", "jet_eff_tight"]


def test_columns_are_jagged_as_the_jets():
    task = ObjectEfficiency(config())
    output = torch.arange(9.0).view(3, 1, 3)
    columns = task.columns(task.score(Activated(output, output / 10), batch(ONE_AND_TWO, tag=TAGS)))
    assert columns["jet_eff"].to_list() == [[0.0], [3.0, 4.0], []]
    assert columns["jet_eff_std"].to_list() == [[0.0], pytest.approx([0.3, 0.4]), []]
    assert columns["tag"].to_list() == [[1.0], [0.0, 1.0], []]


def test_jets_beyond_the_length_are_nan():
    task = ObjectEfficiency(config(length=2))
    rows = batch([[True, True], [True, False]], counts=[4, 1])
    found = task.columns(task.score(torch.arange(4.0).view(2, 1, 2), rows))["jet_eff"].to_list()
    assert found[0][:2] == [0.0, 1.0]
    assert [math.isnan(value) for value in found[0][2:]] == [True, True]
    assert found[1] == [2.0]


def test_data_without_labels_can_be_predicted():
    scored = ObjectEfficiency(config()).score(torch.zeros(3, 1, 3), batch(ONE_AND_TWO))
    assert scored.target is None


def test_monitors_are_in_physical_units():
    scored = ObjectEfficiency(config()).score(torch.zeros(1, 1, 3), batch([[True, True, False]]))
    assert scored.monitors["pt"].tolist() == [
        100.0,
        200.0,
    ]  # inputs 0 and 1 of channel 0, times 100 plus 100
    assert scored.monitors["flavour"].tolist() == [6.0, 7.0]  # channel 2 is not scaled


def test_the_object_can_be_named():
    taus = ObjectEfficiency(config(), object="tau")
    assert taus.output_names == taus.value_names == ["tau_eff"]
    assert ObjectEfficiency(config()).activate(tensor([0.0])).item() == 0.5
    assert len(ObjectEfficiency(config()).meters()) == 2


@pytest.mark.parametrize(
    ("options", "message"), [({"mu": -1.0}, "mu"), ({"reduction": "sum"}, "reduction")]
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        ObjectEfficiency(config(), **options)


def test_bad_shapes_and_labels_are_refused():
    with pytest.raises(ConfigError, match=r"expected \(3, 1, 3\)"):
        ObjectEfficiency(config()).score(torch.zeros(3, 3), batch(ONE_AND_TWO))
    with pytest.raises(ConfigError, match="per_object"):
        ObjectEfficiency(config(groups=()))


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (("tag",), {"calibration", "efficiency_vs_pt"}),
        (
            ("loose", "tight"),
            {
                "calibration_loose",
                "calibration_tight",
                "efficiency_vs_pt_loose",
                "efficiency_vs_pt_tight",
            },
        ),
    ],
)
def test_each_label_has_a_calibration_and_an_efficiency_against_pt(labels, names):
    task = ObjectEfficiency(config(*labels))
    rows = batch([[True, True, False]], **{name: [[1.0, 0.0, 9.0]] for name in labels})
    scored = task.score(torch.zeros(1, len(labels), 3), rows)
    meters = task.meters()
    for meter in meters:
        meter.update(replace(scored, output=task.activate(scored.output)), None)
    assert set(task.figures(meters, [meter.totals() for meter in meters])) == names


class OnlyFirstJets(ObjectEfficiency):
    """A task that leaves out some of the objects that padding has counted."""

    def score(self, output, batch):
        mask = batch.masks["jets"].clone()
        mask[:, 1:] = False
        return super().score(output, replace(batch, masks={"jets": mask}))


def test_a_task_that_leaves_out_objects_is_not_given_their_number(monkeypatch):
    # as on a GPU, where a wrong number would give objects that are not there
    monkeypatch.setattr(
        real_objects,
        "find_real",
        lambda mask, number: (
            mask.flatten().nonzero().squeeze(1)
            if number is None
            else real_objects._find_known_number(mask.flatten(), number)
        ),
    )
    counts = np.array([1, 2, 0])
    rows = batch(ONE_AND_TWO, tag=TAGS)
    rows.host_counts["jets"] = counts
    with_host_counts(rows.masks["jets"], counts)
    logits = torch.arange(9.0).view(3, 1, 3)
    assert ObjectEfficiency(config()).score(logits, rows).output.flatten().tolist() == [0, 3, 4]
    assert OnlyFirstJets(config()).score(logits, rows).output.flatten().tolist() == [0, 3]


def test_data_with_some_of_the_labels_has_no_target():
    scored = ObjectEfficiency(config("loose", "tight")).score(
        torch.zeros(3, 2, 3), batch(ONE_AND_TWO, loose=TAGS)
    )
    assert scored.target is None


class WithMass(ObjectEfficiency):
    """Efficiencies, and an output that no label goes with."""

    @property
    def output_names(self):
        return [*super().output_names, "mass"]


def test_the_loss_of_the_labels_does_not_see_outputs_that_a_task_appended():
    output = torch.tensor([[[0.0, 9.0, 9.0], [50.0, 9.0, 9.0]]])  # (1, 2, 3)
    task = WithMass(config())
    scored = task.score(output, batch([[True, False, False]], tag=[[1.0, 0.0, 0.0]]))
    assert task.losses(scored).tolist() == pytest.approx([math.log(2)])


def test_tags_are_to_be_checked_for_0_and_1():
    assert ObjectEfficiency(config("loose", "tight")).wanted_labels.binary == {"loose", "tight"}


def test_the_first_variable_that_ends_in_pt_is_the_pt_and_constants_are_not_unscaled():
    names = ("jet_ptrel", "jet_pt", "jet_track_pt")
    variables = [Variable(name=name, center=5.0, scale=0.0) for name in names]
    group = InputGroup(name="jets", variables=tuple(variables), length=3)
    conf = replace(config(), inputs={"jets": group})
    scored = ObjectEfficiency(conf).score(torch.zeros(1, 1, 3), batch([[True, True, False]]))
    # channel 1 holds 3, 4 and 5; a scale of 0 cannot be undone
    assert scored.monitors["pt"].tolist() == [3.0, 4.0]
    assert "flavour" not in scored.monitors


def test_an_event_is_shared_among_the_jets_that_the_network_sees():
    # four jets, of which the input holds two
    rows = batch([[True, True]], counts=[4], tag=[[1.0, 1.0]])
    scored = ObjectEfficiency(config(length=2)).score(torch.zeros(1, 1, 2), rows)
    assert scored.weight.tolist() == [0.5, 0.5]
    assert scored.counts.tolist() == [4]


def test_mu_must_be_above_zero_and_labels_of_one_group():
    with pytest.raises(ConfigError, match=r"task.mu: 0.0; expected a number above 0"):
        ObjectEfficiency(config(), mu=0.0)
    with pytest.raises(ConfigError, match="with the group that it labels"):
        ObjectEfficiency(config(groups=("jets", "muons")))


def test_the_network_files_own_loss_is_used():
    task = ObjectEfficiency(config(), loss=lambda output, target: 3 * target)
    scored = task.score(torch.zeros(3, 1, 3), batch(ONE_AND_TWO, tag=TAGS))
    assert task.losses(scored).tolist() == [3.0, 0.0, 3.0]
