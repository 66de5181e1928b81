"""The nodes of trees as one list, and the edges between each node and its mother.

Shapes: N rows, P slots, M nodes of all rows, E edges, C features, last dimension. Which node is
whose mother comes as a place in the row, so that nodes may stand in any order.
"""

from __future__ import annotations

import torch
from torch import Tensor

from weaver_tt.data.rows.host_counts import is_traced
from weaver_tt.errors import DataError
from weaver_tt.nn.objects.point_cloud import PointCloud, with_null_row
from weaver_tt.nn.objects.real_objects import find_real, sum_by_index
from weaver_tt.nn.objects.sharing import made_once

PARENT = "lund_parent"  # the group and column that mothers are in, for messages
NO_MOTHER = -1


class LundTrees(PointCloud):
    """The nodes of ``mask`` (N, P), True for real ones, joined by ``parent`` (N, P).

    That is the slot in the same row of a node's mother, -1 without one. Each link is two edges: the
    first half of the edges goes from mothers to their daughters, the other half back.

    Raises:
        DataError: a mother is none of the row's nodes, or nodes are their own ancestors. On a GPU,
            where reading the answer would wait, the device itself stops with a message.
    """

    def __init__(self, mask: Tensor, parent: Tensor) -> None:
        super().__init__(mask)
        slots = mask.shape[1]
        places = self.gather_values(parent)  # (M,)
        is_real = mask.flatten().to(torch.int64)
        table_row = is_real.cumsum(0) * is_real  # (N P,) of each slot, 0 on padding
        first_slot = self.rows * slots
        in_row = places.clamp(min=0)
        if not is_traced():
            # beyond the row, which is checked below
            in_row = in_row.clamp(max=slots - 1)
        mother_slot = in_row.to(torch.int64) + first_slot
        has_mother = (places != NO_MOTHER).to(torch.int64)
        mother = table_row.index_select(0, mother_slot) * has_mother  # (M,) row of a table
        if not is_traced():
            self._check(places, mother)
        self.padded_parent = parent
        self.is_exported = torch.onnx.is_in_onnx_export()
        # where each node's edge from its mother is among those edges, as a row of a table
        self.edge_from_mother = has_mother.cumsum(0) * has_mother  # (M,)
        self.is_link: Tensor | None = None
        if is_traced() or mask.device.type != "cpu":
            # their number is not known without waiting: a node without mother has an edge, too,
            # which counts as nothing
            self.is_link = has_mother.unsqueeze(1)  # (M, 1)
            self.daughters = torch.arange(self.rows.shape[0], device=mask.device)
            self.mothers = (mother - 1).clamp(min=0)
        else:
            self.daughters = find_real(has_mother > 0)  # (E / 2,)
            self.mothers = mother.index_select(0, self.daughters) - 1
        self.receivers = torch.cat((self.daughters, self.mothers))  # (E,)
        self.senders = torch.cat((self.mothers, self.daughters))  # (E,)
        ones = has_mother.index_select(0, self.daughters).unsqueeze(1).to(torch.float32)
        own = has_mother.unsqueeze(1).to(torch.float32)
        self.neighbours = own + self._sum_at_mothers(ones)  # (M, 1) number of each node

    @property
    def real_edges(self) -> Tensor | None:
        """(E, 1), 1 for edges that are there; None: all are."""
        return None if self.is_link is None else self.is_link.repeat(2, 1)

    def mean_of_neighbours(self, messages: Tensor) -> Tensor:
        """Mean over the edges that a node receives: (E, C) -> (M, C); 0 without any."""
        from_mothers, from_daughters = messages.chunk(2)
        if self.is_link is None:
            received = with_null_row(from_mothers).index_select(0, self.edge_from_mother)
        else:
            received = from_mothers * self.is_link
            from_daughters = from_daughters * self.is_link
        total = received + self._sum_at_mothers(from_daughters)
        return total / self.neighbours.clamp(min=1)

    def _sum_at_mothers(self, values: Tensor) -> Tensor:
        """Sum over a node's daughters of what comes from them: (E / 2, C) -> (M, C)."""
        if not self.is_exported:
            return sum_by_index(values, self.mothers, self.rows.shape[0]).to(values.dtype)
        # an ONNX graph knows no index_add: each slot is asked of which others it is the mother
        slots = torch.arange(self.padded_parent.shape[1], device=values.device)
        is_mother = slots.view(1, -1, 1) == self.padded_parent.unsqueeze(1)  # (N, P, P)
        padded = self.scatter(values)  # (N, C, P), 0 on padding
        sums = torch.matmul(padded, is_mother.to(values.dtype).transpose(1, 2))
        return self.gather(sums)

    def _check(self, places: Tensor, mother: Tensor) -> None:
        """Check that mothers are nodes of the row, and that each node has a first ancestor.

        ``places`` (M,) as given, ``mother`` (M,) their rows of a table.
        """
        in_row = places.to(torch.int64) == places
        in_row &= places < self.shape[1]
        in_row &= (places >= 0) & (mother > 0) | (places == NO_MOTHER)
        # the table of mothers, again and again applied to itself: 1, 2, 4, … generations
        ancestor = with_null_row(mother.unsqueeze(1)).squeeze(1)  # (M + 1,)
        for _ in range(self.shape[1].bit_length()):
            ancestor = ancestor.index_select(0, ancestor)
        ends = ancestor[1:] == 0
        if places.device.type != "cpu":
            message = f"{PARENT}: a mother is not in its row, or there is a circle of mothers"
            torch._assert_async((in_row & ends).all(), message)
            return
        for is_good, what in (
            (in_row, "is none of its nodes"),
            (ends, "is in a circle of mothers"),
        ):
            if is_good.all():
                continue
            node = int(is_good.logical_not().nonzero()[0, 0])
            row = int(self.rows[node])
            slot = int(self.slots[node]) % self.shape[1]
            raise DataError(
                f"column {PARENT!r}, row {row} of the batch: mother {places[node]:g} of node "
                f"{slot} {what} (there are {int(self.counts[row])}); expected its place in the "
                f"row, from 0, or {NO_MOTHER} for the first"
            )


@made_once
def make_trees(mask: Tensor, parent: Tensor) -> LundTrees:
    """The nodes of ``mask`` (N, P), joined by ``parent`` (N, P)."""
    return LundTrees(mask, parent)
