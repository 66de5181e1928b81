"""What --print shows of a network."""

import pytest
import torch
from torch import nn

from weaver_tt.network.network import Network
from weaver_tt.network.summary import network_summary, output_text


def test_a_summary_counts_parameters_and_flops_without_data(file, config, build):
    network = build(file, config).train()
    text = network_summary(network, config)
    assert "parameters    13\n" in text  # 2*3+3 + 3*1+1
    assert (
        "FLOPs         18 forward, for one row with 7 objects in tracks" in text
    )  # 2 * (2*3 + 3*1)
    assert "input         tracks (N, 2, 7)" in text
    assert "output        (N, 1)" in text
    assert network.unwrapped.training is True


def test_a_part_that_is_called_with_a_parameter_is_summed_up_too(config):
    class Token(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = nn.Parameter(torch.zeros(1, 2))
            self.last = nn.Linear(2, 1)

        def forward(self, tracks):
            return self.last(self.token) + tracks.sum((1, 2)).unsqueeze(1)

    assert "FLOPs         4 forward" in network_summary(
        Network(Token(), ["tracks"]), config
    )  # 2 * 2 * 1


def test_running_statistics_are_shown_apart_from_what_is_trained(config):
    """Other libraries count them among the parameters: four of these, and no count of batches."""

    class Normed(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(2)
            self.last = nn.Linear(2, 1)
            self.register_buffer("scale", torch.ones(100))

        def forward(self, tracks):
            return self.last(self.norm(tracks.sum(2)))

    text = network_summary(Network(Normed(), ["tracks"]), config)
    assert "parameters    7, 11 with running statistics\n" in text


def test_a_training_counts_flops_on_rows_of_its_data(file, config, build):
    network = build(file, config)
    rows = {"tracks": torch.zeros(5, 2, 4), "event": torch.zeros(5, 1)}
    text = network_summary(network, config, rows)
    assert "FLOPs         18 forward, for one row, the mean of 5 of the data" in text
    assert "output        (N, 1)" in text


class NeedsSmallNumbers(nn.Module):
    """As a network may that takes a class number: random ones between 0 and 1 are none."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(2, 1)

    def forward(self, tracks):
        if (tracks % 1 != 0).any():
            raise IndexError("no such class\nand a second line")
        return self.last(tracks.sum(2))


def test_print_shows_the_rest_where_the_network_fails_on_a_made_up_row(config):
    text = network_summary(Network(NeedsSmallNumbers(), ["tracks"]), config)
    assert "parameters    3\n" in text
    assert "input         tracks (N, 2, 7)" in text
    assert "output        unknown" in text
    assert "fails on a full row of random numbers (IndexError: no such class); -i" in text


def test_on_rows_of_the_data_an_error_is_an_error(config):
    network = Network(NeedsSmallNumbers(), ["tracks"]).train()
    with pytest.raises(IndexError, match="no such class"):
        network_summary(network, config, {"tracks": torch.full((3, 2, 7), 0.5)})
    assert network.unwrapped.training


def test_a_layer_that_takes_its_size_from_the_first_row_has_no_parameters_before(config):
    class Lazy(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.LazyLinear(1)

        def forward(self, tracks):
            raise ValueError("not this row")

    assert "parameters    unknown before the first row" in network_summary(
        Network(Lazy(), ["tracks"]), config
    )


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        (torch.zeros(2, 3, 5), "(N, 3, 5)"),
        ((torch.zeros(2, 3), torch.zeros(2)), "(N, 3), (N)"),
        ({"scores": torch.zeros(2, 3), "rest": ["text"]}, "scores (N, 3), rest str"),
    ],
)
def test_shapes_of_all_outputs_are_shown(output, shown):
    assert output_text(output) == shown
