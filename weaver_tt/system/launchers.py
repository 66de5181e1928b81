"""Which rank this process is, as its launcher says: torchrun, mpirun or srun.

Variables of the environment alone, of which some are there without ranks too: a batch script has
those of Slurm's job. So they are asked only where ranks are wanted (``--backend``), and Slurm's are
those of a step with several tasks.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from weaver_tt.errors import ConfigError

# between these, a port is chosen for each job, so that two jobs on one machine do not meet
FIRST_PORT = 20_000
PORTS = 10_000

LOCALHOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Place:
    """One rank of several, and where rank 0 listens."""

    rank: int  # over all machines
    ranks: int
    local_rank: int  # on this machine
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class _Variables:
    """Names of the variables of one launcher."""

    rank: str
    ranks: str
    local_rank: str
    local_ranks: str = ""
    job: tuple[str, ...] = ()


TORCHRUN = _Variables("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
OPEN_MPI = _Variables(
    "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_SIZE",
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "OMPI_COMM_WORLD_LOCAL_SIZE",
    ("PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid"),
)
# MPICH, Intel MPI
MPICH = _Variables("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS", ("PMI_PORT",))
SLURM = _Variables(
    "SLURM_PROCID",
    "SLURM_STEP_NUM_TASKS",
    "SLURM_LOCALID",
    job=("SLURM_JOB_ID", "SLURM_STEP_ID"),
)


def find_place(variables: Mapping[str, str]) -> Place | None:
    """The rank that the ``variables`` of the environment give this process; None where none do.

    ``MASTER_ADDR`` and ``MASTER_PORT`` say where rank 0 listens, where they are there.

    Raises:
        ConfigError: ranks on several machines, and nothing says where rank 0 listens.
    """
    for launcher in (TORCHRUN, OPEN_MPI, MPICH, SLURM):
        if launcher.rank not in variables or launcher.ranks not in variables:
            continue
        ranks = int(variables[launcher.ranks])
        # a command within a batch script of Slurm is a step of one task
        if launcher is SLURM and ranks < 2:
            continue
        return Place(
            rank=int(variables[launcher.rank]),
            ranks=ranks,
            local_rank=int(variables.get(launcher.local_rank, "0")),
            address=variables.get("MASTER_ADDR") or _find_address(launcher, ranks, variables),
            port=int(variables.get("MASTER_PORT") or _choose_port(launcher, variables)),
        )
    return None


def _find_address(launcher: _Variables, ranks: int, variables: Mapping[str, str]) -> str:
    """Where rank 0 listens."""
    if launcher is SLURM:
        # tasks begin on the first machine
        return first_host(variables.get("SLURM_STEP_NODELIST", LOCALHOST))
    if ranks == 1 or variables.get(launcher.local_ranks) == str(ranks):
        return LOCALHOST
    raise ConfigError(
        "--backend: ranks on several machines need MASTER_ADDR, the name of the machine of rank 0 "
        "(mpirun -x MASTER_ADDR=...)"
    )


def first_host(machines: str) -> str:
    """The first of Slurm's list of machines: ``node[003-005,9],other`` is ``node003``."""
    first = re.match(r"(?:[^,\[]|\[[^\]]*\])*", machines)
    assert first is not None
    return re.sub(r"\[(\w+)[^\]]*\]", r"\1", first.group())


def _choose_port(launcher: _Variables, variables: Mapping[str, str]) -> int:
    """The same port on all ranks of a job, and another one for most other jobs."""
    job = " ".join(variables.get(name, "") for name in launcher.job)
    return FIRST_PORT + zlib.crc32(job.encode()) % PORTS
