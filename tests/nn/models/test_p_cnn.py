"""The residual network against its plain form, and what padding does not do."""

import pytest
import torch
from torch import nn
from torch.nn.functional import batch_norm, conv1d, relu

from weaver_tt.nn.models.p_cnn import ParticleCNN, ResidualUnit

SIZES = ((5,), (6, 6), (6, 7), (8,))


def network():
    torch.manual_seed(0)
    made = ParticleCNN(4, 3, SIZES, [(9, 0.0)])
    for name, buffer in made.named_buffers():
        if "running" in name:
            nn.init.uniform_(buffer, 0.5, 1.5)
    return made


def plain(state, features, training):
    """The public form in functions, from its state_dict alone: nothing is masked but the input."""

    def norm(x, name):
        running = state[f"{name}.running_mean"].clone(), state[f"{name}.running_var"].clone()
        return batch_norm(x, *running, state[f"{name}.weight"], state[f"{name}.bias"], training)

    def conv(x, name, stride=1, padding=1):
        return conv1d(x, state[f"{name}.weight"], state.get(f"{name}.bias"), stride, padding)

    x = relu(norm(conv(norm(features, "fts_conv.0"), "fts_conv.1"), "fts_conv.2"))
    for stage, sizes in enumerate(SIZES[1:]):
        for unit in range(len(sizes)):
            name, stride = (
                f"resnet_units.resnet_unit_{stage}.{unit}",
                2 if stage > 0 and unit == 0 else 1,
            )
            shortcut = (
                conv(x, f"{name}.conv_sc", stride, 0) if f"{name}.conv_sc.weight" in state else x
            )
            x = relu(norm(conv(x, f"{name}.conv1", stride), f"{name}.bn1"))
            x = shortcut + relu(norm(conv(x, f"{name}.conv2"), f"{name}.bn2"))
    x = relu(x.mean(2) @ state["fc.0.0.weight"].T + state["fc.0.0.bias"])
    return x @ state["fc.1.weight"].T + state["fc.1.bias"]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("slots", [9, 16])
def test_rows_without_padding_get_what_the_plain_form_gives(training, slots):
    ours, features = network().train(training), torch.randn(5, 4, slots)
    state = {name: tensor.detach().clone() for name, tensor in ours.state_dict().items()}
    torch.testing.assert_close(
        ours(features, torch.ones(5, 1, slots)),
        plain(state, features, training),
        atol=1e-5,
        rtol=1e-4,
    )


def test_a_padded_row_gets_what_the_plain_form_gives_for_its_constituents_alone():
    ours, features = network().eval(), torch.randn(3, 4, 12)
    counts = torch.tensor([12, 5, 8])
    together = ours(features, (torch.arange(12) < counts[:, None]).unsqueeze(1).float())
    for row, count in enumerate(counts.tolist()):
        alone = plain(ours.state_dict(), features[row : row + 1, :, :count], training=False)
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=1e-4)


def test_names_are_those_of_the_public_example():
    names = set(network().state_dict())
    assert {
        "fts_conv.0.weight",
        "fts_conv.1.bias",
        "resnet_units.resnet_unit_0.0.conv_sc.weight",
        "fc.0.0.weight",
        "fc.1.bias",
    } <= names
    assert (
        "resnet_units.resnet_unit_0.1.conv_sc.weight" not in names
    )  # neither channels nor slots change


def test_a_stride_keeps_every_other_slot_and_whether_it_is_real():
    real = torch.tensor([[[1.0, 1.0, 1.0, 0.0, 0.0]], [[1.0, 1.0, 0.0, 0.0, 0.0]]])
    values, left = ResidualUnit(4, 6, stride=2)(torch.randn(2, 4, 5) * real, real)
    assert left.tolist() == [[[1, 1, 0]], [[1, 0, 0]]]
    assert values.shape == (2, 6, 3)
    assert (values * (1 - left)).abs().sum() == 0
