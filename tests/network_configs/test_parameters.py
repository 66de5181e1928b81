"""Numbers of parameters that the pages state are those of the networks."""

import re
from pathlib import Path

import pytest

from weaver_tt import api

DOCS = Path(__file__).parents[2] / "docs"
# of the table of docs/tagging.md; all but LundNet are on the constituents of jets
ROW = re.compile(r"^\| `(\w+)` \| ([\d,]+) \|", re.MULTILINE)
OTHER_INPUTS = {"lund_net": "lund"}
# where a page names the examples that a training was made with
STATED = [
    ("tagging.md", "deepak8", "pfn", "87,057 parameters"),
    ("mass-decorrelation.md", "particlenet_md", "pfn", "85,380 parameters"),
    ("mass-decorrelation.md", "decorrelation", "mlp", "26,434\nweights"),
    ("mass-decorrelation.md", "top_tagging_flat_mass", "pfn", "83,842 parameters"),
]


def number_of_parameters(example, network):
    config = api.load_config(f"weaver_tt:{example}")
    module = api.build_network(config, f"weaver_tt:{network}").unwrapped
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_table_of_networks_has_their_numbers_of_parameters():
    rows = ROW.findall((DOCS / "tagging.md").read_text())
    assert len(rows) == 7
    for network, number in rows:
        example = OTHER_INPUTS.get(network, "top_tagging")
        assert f"{number_of_parameters(example, network):,}" == number, network


@pytest.mark.parametrize(("page", "example", "network", "text"), STATED)
def test_a_page_states_the_parameters_of_the_network_that_it_trains(page, example, network, text):
    number = f"{number_of_parameters(example, network):,}"
    assert text.startswith(number)
    assert text in (DOCS / page).read_text()
