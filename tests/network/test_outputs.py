"""What modules return: the first tensor, float32 for all."""

from collections import namedtuple

import pytest
import torch

from weaver_tt.errors import ConfigError
from weaver_tt.network.outputs import Activated, first_tensor, to_float32, with_first_tensor

ONE = torch.ones(2, 1, dtype=torch.bfloat16)
INDEX = torch.zeros(2, dtype=torch.int64)


@pytest.mark.parametrize("output", [ONE, (ONE, None), [ONE, INDEX], {"a": ONE, "b": INDEX}])
def test_the_first_tensor_is_the_output(output):
    assert first_tensor(output) is ONE


HEADS = namedtuple("HEADS", ["logits", "index"])


@pytest.mark.parametrize("output", [ONE, (ONE, INDEX), [ONE, INDEX], HEADS(ONE, INDEX)])
def test_the_first_tensor_is_replaced_and_the_form_is_kept(output):
    found = with_first_tensor(output, INDEX)
    assert type(found) is type(output)
    assert first_tensor(found) is INDEX
    assert output is ONE or found[1] is INDEX


def test_the_first_tensor_of_a_dict_keeps_its_name_and_place():
    found = with_first_tensor({"a": ONE, "b": INDEX}, INDEX)
    assert list(found) == ["a", "b"]
    assert found["a"] is found["b"] is INDEX


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        ("text", "returns a str;"),
        ((), "returns a tuple that begins with a NoneType"),
        ([(ONE, ONE)], "returns a list that begins with a tuple"),
        ({}, "returns a dict that begins with a NoneType"),
    ],
)
def test_what_begins_with_no_tensor_is_explained(output, kind):
    with pytest.raises(ConfigError, match=kind):
        first_tensor(output)


def test_nested_outputs_become_float32_and_keep_their_form():
    heads = namedtuple("heads", ["logits", "index"])
    output = {"heads": heads(ONE, INDEX), "hidden": [ONE, (ONE.double(), "attention")]}
    found = to_float32(output)
    assert type(found["heads"]) is heads
    assert found["heads"].logits.dtype == torch.float32
    assert found["heads"].index is INDEX
    assert found["hidden"][0].dtype == torch.float32
    assert found["hidden"][1][0].dtype == torch.float32
    assert found["hidden"][1][1] == "attention"
    assert output["hidden"][0] is ONE  # the module's own output is not changed


def test_an_ensembles_output_stays_one():
    found = to_float32(Activated(ONE))
    assert isinstance(found, Activated)
    assert found.value.dtype == torch.float32
    assert found.spread is None
