"""Launchers: the variables that they set say which rank a process is."""

from __future__ import annotations

import pytest

from weaver_tt.errors import ConfigError
from weaver_tt.system.launchers import Place, find_place, first_host

SLURM = {
    "SLURM_PROCID": "5",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_NODELIST": "gpu[003-004]",
    "SLURM_JOB_ID": "123",
    "SLURM_STEP_ID": "0",
}
OPEN_MPI = {
    "OMPI_COMM_WORLD_RANK": "2",
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_LOCAL_RANK": "2",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "4",
}
PLACE = {"MASTER_ADDR": "first", "MASTER_PORT": "29500"}


def test_torchrun_says_it_before_what_it_runs_in():
    torchrun = {"RANK": "3", "WORLD_SIZE": "6", "LOCAL_RANK": "1"}
    assert find_place(SLURM | OPEN_MPI | torchrun | PLACE) == Place(3, 6, 1, "first", 29500)


def test_mpirun_on_one_machine_needs_no_address():
    place = find_place(SLURM | OPEN_MPI)
    assert (place.rank, place.ranks, place.local_rank) == (2, 4, 2)
    assert place.address == "127.0.0.1"
    intel = {"PMI_RANK": "1", "PMI_SIZE": "2", "MPI_LOCALRANKID": "1", "MPI_LOCALNRANKS": "2"}
    assert find_place(intel).rank == 1


def test_mpirun_on_several_machines_needs_an_address():
    several = OPEN_MPI | {"OMPI_COMM_WORLD_LOCAL_SIZE": "2"}
    with pytest.raises(ConfigError, match="MASTER_ADDR"):
        find_place(several)
    assert find_place(several | PLACE).address == "first"


def test_a_step_of_slurm_with_several_tasks_has_ranks():
    place = find_place(SLURM)
    assert (place.rank, place.ranks, place.local_rank, place.address) == (5, 8, 1, "gpu003")
    # another step of the same job, and another rank of the same step
    assert find_place(SLURM | {"SLURM_STEP_ID": "1"}).port != place.port
    assert find_place(SLURM | {"SLURM_PROCID": "0"}).port == place.port


def test_a_command_inside_an_allocation_is_one_process():
    assert find_place({"SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_JOB_ID": "1"}) is None
    assert find_place(SLURM | {"SLURM_STEP_NUM_TASKS": "1"}) is None
    assert find_place({}) is None


@pytest.mark.parametrize(
    ("machines", "first"),
    [
        ("node7", "node7"),
        ("a1,b2", "a1"),
        ("gpu[003-006,9],cpu1", "gpu003"),
        ("r[1-2]n[03,05]-ib,x", "r1n03-ib"),
    ],
)
def test_the_first_machine_of_a_list(machines, first):
    assert first_host(machines) == first
