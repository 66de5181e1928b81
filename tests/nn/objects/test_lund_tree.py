"""Edges between the nodes of trees, and means over neighbours, by hand."""

import torch

from weaver_tt.nn.objects import lund_tree
from weaver_tt.nn.objects.lund_tree import LundTrees

# nodes 0 to 3 of the first row, whose slot 2 is empty; none; one node
MASK = torch.tensor([[1, 1, 0, 1, 1], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0]]) > 0
PARENT = torch.tensor([[-1.0, 0, 9, 0, 3], [7, 7, 7, 7, 7], [-1, 5, 5, 5, 5]])


def test_each_link_is_an_edge_from_the_mother_and_one_back():
    trees = LundTrees(MASK, PARENT)
    # slots 1 and 3 are nodes 1 and 2, with mother 0; slot 4 is node 3, with mother 2
    assert trees.senders.tolist() == [0, 0, 2, 1, 2, 3]
    assert trees.receivers.tolist() == [1, 2, 3, 0, 0, 2]
    assert trees.neighbours.flatten().tolist() == [2, 1, 2, 1, 0]
    assert trees.real_edges is None


def test_the_mean_is_over_the_neighbours_that_exist():
    trees = LundTrees(MASK, PARENT)
    messages = torch.tensor([[1.0], [2], [4], [8], [16], [32]])
    means = trees.mean_of_neighbours(messages).flatten().tolist()
    # the first node hears of its daughters (8, 16), the third of its mother (2) and daughter (32)
    assert means == [12, 1, 17, 4, 0]


def test_where_links_are_not_counted_the_others_count_as_nothing(monkeypatch):
    monkeypatch.setattr(lund_tree, "is_traced", lambda: True)
    trees = LundTrees(MASK, PARENT)
    # an edge for each of five nodes and one back; the first nodes of both rows have no mother
    assert trees.real_edges.flatten().tolist() == [0, 1, 1, 1, 0] * 2
    messages = torch.tensor([99.0, 1, 2, 4, 99, 99, 8, 16, 32, 99]).unsqueeze(1)
    assert trees.mean_of_neighbours(messages).flatten().tolist() == [12, 1, 17, 4, 0]
