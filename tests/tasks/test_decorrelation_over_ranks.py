"""Terms of a batch on several ranks: each rank has those of its own rows."""

import pytest
import torch

# A step of a linear network by gradient descent, together with the other rank; and what one process
# finds with the terms of each rank's rows, and with that of all rows together.
SCRIPT = """
import torch
from torch import nn
from weaver_tt.config.load import from_mapping
from weaver_tt.data.rows.batch import Batch
from weaver_tt.engine.schedule import make_schedule
from weaver_tt.engine.update import Update
from weaver_tt.system import distributed
from weaver_tt.tasks.classification import Classification

ROWS, RATE = (40, 24), 0.1
METHODS = {"disco": {"strength": 3}, "kl": {"strength": 5}, "adversary": {"strength": 2}}

def task_of(method):
    chosen = {"variable": "mass", "classes": ["qcd"], "edges": [0, 1, 2, 3], "method": method}
    values = {
        "inputs": {"jet": {"length": None, "vars": [["x", None], ["y", None]]}},
        "labels": {"type": "simple", "value": ["top", "qcd"]},
        "task": {"name": "classification", "decorrelate": {**chosen, **METHODS[method]}},
    }
    torch.manual_seed(3)
    return Classification(from_mapping(values, "d.yaml"))

def entries(rank):
    random = torch.Generator().manual_seed(rank)
    rows = ROWS[rank]
    target = torch.arange(rows) % 2
    mass = torch.rand(rows, generator=random) * 3
    x = torch.stack([mass, torch.randn(rows, generator=random)], 1)
    monitors = {"spectator:mass": mass}
    return x, Batch({}, {}, {}, {"_label_": target}, monitors=monitors, size=rows, progress=1.0)

def network():
    torch.manual_seed(0)
    return nn.Linear(2, 2)

def step(method, rank):
    net, task = network(), task_of(method)
    modules = task.modules
    parameters = [*net.parameters(), *([] if modules is None else modules.parameters())]
    optimizer = torch.optim.SGD(parameters, lr=RATE)
    optimizer.param_groups[0]["initial_lr"] = RATE
    schedule = make_schedule("none", 1, 0.0, "min")
    update = Update(net, optimizer, schedule, task_modules=modules, batch_loss=task.batch_loss)
    x, batch = entries(rank)
    scored = task.score(net(x), batch)
    update(task.losses(scored), scored, batch)
    return {"net": net.state_dict(), "modules": {} if modules is None else modules.state_dict()}

def expected(method, groups):
    # each group of ranks has the term of its rows, and counts by their number
    net, task = network(), task_of(method)
    total = 0.0
    for ranks in groups:
        parts = [entries(rank) for rank in ranks]
        x = torch.cat([part for part, _ in parts])
        labels = torch.cat([batch.labels["_label_"] for _, batch in parts])
        mass = torch.cat([batch.monitors["spectator:mass"] for _, batch in parts])
        monitors = {"spectator:mass": mass}
        batch = Batch({}, {}, {}, {"_label_": labels}, monitors=monitors, size=len(x))
        scored = task.score(net(x), batch)
        [term] = task.batch_loss(scored, batch).values()
        total = total + len(x) * (task.losses(scored).mean() + term)
    (total / sum(ROWS)).backward()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter -= RATE * parameter.grad
    return net.state_dict()

with distributed.joined_ranks("gloo"):
    rank = distributed.rank()
    found = {}
    for method in METHODS:
        apart, together = expected(method, [[0], [1]]), expected(method, [[0, 1]])
        found[method] = {"step": step(method, rank), "apart": apart, "together": together}
    torch.save(found, f"found{rank}.pt")
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory, run_on_ranks):
    """What each of two ranks finds, by method."""
    folder = tmp_path_factory.mktemp("decorrelation")
    (folder / "script.py").write_text(SCRIPT)
    (ended,) = run_on_ranks(folder, (2, ["script.py"]))
    assert set(ended.codes) == {0}, ended.said
    return [torch.load(folder / f"found{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("method", ["disco", "kl", "adversary"])
def test_each_rank_has_the_term_of_its_own_rows(found, method):
    first, second = (of_rank[method] for of_rank in found)
    torch.testing.assert_close(first["step"]["net"], first["apart"], rtol=1e-5, atol=1e-6)
    # the term of all rows together is another one, but where it is a mean over rows
    difference = first["apart"]["weight"] - first["together"]["weight"]
    assert (difference.abs().max() > 1e-4) == (method != "adversary")
    # all ranks take the same step, an adversary included
    for part in ("net", "modules"):
        torch.testing.assert_close(first["step"][part], second["step"][part], rtol=0, atol=0)
