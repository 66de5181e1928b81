"""Files of a run: bare weights of each epoch, one dict that resumes everything; loadable with ``weights_only=True``, written atomically."""

from __future__ import annotations

import glob
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from weaver_tt.errors import ConfigError, OutputError, TrainingError, nearest
from weaver_tt.run_files import MEMBER, MODEL_FILE
from weaver_tt.system.atomic_files import writing

CHECKPOINT_FORMAT = 1


@dataclass(frozen=True)
class Files:
    """Where the weights of the run ``prefix`` lie."""

    prefix: str

    def epoch(self, number: int) -> Path:
        """The bare state_dict after epoch ``number``, from 0."""
        return Path(f"{self.prefix}_epoch-{number}_state.pt")

    @property
    def best(self) -> Path:
        """The bare state_dict after the best epoch."""
        return Path(f"{self.prefix}_best_epoch_state.pt")

    @property
    def resume(self) -> Path:
        """All the rest."""
        return Path(f"{self.prefix}_resume.pt")

    def clean(self, latest: int) -> None:
        """Remove the weights of the epochs before ``latest``; those of the best one have a file of their own."""
        for path in Path(self.prefix).parent.glob(
            f"{glob.escape(Path(self.prefix).name)}_epoch-*_state.pt"
        ):
            number = re.search(r"_epoch-(\d+)_state\.pt$", path.name)
            if number and int(number[1]) < latest:
                path.unlink(missing_ok=True)

    def prepare(self) -> None:
        """Make the folder and write to it once, so that a run fails at its start and not after its first epoch; OutputError."""
        trial = Path(f"{self.prefix}_trial.part")
        try:
            trial.parent.mkdir(parents=True, exist_ok=True)
            trial.write_bytes(b"")
            trial.unlink()
        except OSError as error:
            raise OutputError(
                f"--model-prefix {self.prefix}: cannot write to {trial.parent} ({error.strerror or error})"
            ) from error


def run_prefix(model: str) -> str:
    """The prefix of the run that a prefix or a ``_state.pt`` file belongs to, without member."""
    return MEMBER.sub("", MODEL_FILE.sub("", model))


def find_states(model: str, epoch: int | None = None, members: int | None = None) -> list[Path]:
    """Weights that ``model`` names: itself if it is a file, else PREFIX's best (or given) epoch, or that of each of its ensemble's members.

    ``members``: how many the run card says there are; without a card, what lies there decides. Files of an earlier run under the same prefix are
    never mixed in. Raises ConfigError when weights are missing, or when both a single network and members lie there and no card decides.
    """
    if model.endswith(".pt") or ".pt:" in model:  # FILE.pt:PREFIX are the weights under PREFIX
        return [Path(model)]
    end = "_best_epoch_state.pt" if epoch is None else f"_epoch-{epoch}_state.pt"
    single, found = Path(model + end), _member_states(model, end)
    if members is None:
        if single.is_file() and found:
            raise ConfigError(
                f"--model-prefix {model}: there are {single} and {found[0]}; say which: -m {single} or -m {model}_member-0"
            )
        wanted = found or [single]
    else:
        wanted = (
            [single]
            if members == 1
            else [Path(f"{model}_member-{number}{end}") for number in range(members)]
        )
    for path in wanted:
        if not path.is_file():
            states = [str(path) for path in Path(model).parent.glob("*_state.pt")]
            raise ConfigError(f"--model-prefix {model}: no {path}; {nearest(str(path), states)}")
    return wanted


def _member_states(model: str, end: str) -> list[Path]:
    """Files of a run's members, by their number."""
    paths = Path(model).parent.glob(f"{Path(model).name}_member-*{end}")
    found = (
        (re.search(r"_member-(\d+)" + re.escape(end) + "$", path.name), path) for path in paths
    )
    return [path for _, path in sorted((int(match[1]), path) for match, path in found if match)]


def save_checkpoint(value: object, path: Path) -> None:
    """Write ``value`` so that ``path`` holds either all of it or what it held before; OutputError when it cannot be written."""
    with writing(path) as file:
        torch.save(value, file)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a file that :func:`save_checkpoint` wrote, tensors on the CPU; TrainingError when it is none."""
    try:
        value = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's unpickler raises whatever the bytes lead to
        raise TrainingError(
            f"{path}: cannot be read as a checkpoint ({type(error).__name__} {str(error)[:200]})"
        ) from error
    if not isinstance(value, dict):
        raise TrainingError(f"{path}: holds a {type(value).__name__}, expected a checkpoint")
    return value


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any], where: Path) -> None:
    """Continue with the moments of ``state``; TrainingError when it is another optimiser's."""
    own = optimizer.state_dict()["param_groups"]
    saved = state["param_groups"]
    sizes, before = (
        [len(group["params"]) for group in own],
        [len(group["params"]) for group in saved],
    )
    if sizes != before:
        raise TrainingError(
            f"{where}: the optimiser had groups of {before} parameters, now {sizes}"
        )
    different = sorted(
        {key for new, old in zip(own, saved, strict=True) for key in new.keys() - old.keys()}
    )  # some add keys later
    if different:
        raise TrainingError(
            f"{where}: the state of another optimiser: it has no {', '.join(different)}"
        )
    optimizer.load_state_dict(state)


def check_settings(now: Mapping[str, Any], before: Mapping[str, Any], where: Path) -> None:
    """Refuse to resume with settings that make another training; TrainingError naming all that differ."""
    changed = [
        f"{key} was {before.get(key)!r}, now {value!r}"
        for key, value in now.items()
        if before.get(key) != value
    ]
    if changed:
        raise TrainingError(
            f"{where}: cannot resume with a changed configuration: {'; '.join(changed)}. Start afresh without --resume"
        )


def random_state() -> dict[str, Any]:
    """The state of every random generator that a network may draw from."""
    _, keys, position, has_gauss, gauss = np.random.get_state()
    state = {
        "torch": torch.get_rng_state(),
        "numpy": [
            torch.from_numpy(np.asarray(keys, dtype=np.int64)),
            int(position),
            int(has_gauss),
            float(gauss),
        ],
        "python": random.getstate(),
    }
    return state | ({"cuda": torch.cuda.get_rng_state_all()} if torch.cuda.is_available() else {})


def set_random_state(state: Mapping[str, Any]) -> None:
    """Continue from :func:`random_state`."""
    torch.set_rng_state(state["torch"])
    keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    version, internal, gauss_next = state["python"]
    random.setstate((version, tuple(internal), gauss_next))
    if "cuda" in state and torch.cuda.device_count() == len(state["cuda"]):
        torch.cuda.set_rng_state_all(state["cuda"])
