"""Cores that this process may use."""

import os

from weaver_tt.system.cores import available_cores, machine_load


def test_cores_are_those_of_the_job_and_shared_by_ranks_of_torchrun(monkeypatch):
    # of a machine with many more cores
    monkeypatch.setattr(
        os, "sched_getaffinity", lambda process: {3, 5, 7, 9, 11, 13}, raising=False
    )
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert available_cores() == 6
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert available_cores() == 1
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert available_cores() == 1


def test_the_load_is_that_of_a_core(monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (6.0, 0.0, 0.0), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert machine_load() == 1.5
    monkeypatch.delattr(os, "getloadavg")
    assert machine_load() == 0
