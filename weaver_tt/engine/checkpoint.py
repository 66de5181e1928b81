"""Checkpoints: the weights of each epoch, and one dict that resumes everything.

All are loadable with ``weights_only=True`` and written atomically.
"""

from __future__ import annotations

import glob
import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from weaver_tt.errors import ConfigError, OutputError, TrainingError, nearest
from weaver_tt.log import log
from weaver_tt.network.file import explain_missing_file
from weaver_tt.options.literals import read_options
from weaver_tt.run_files import RunFiles
from weaver_tt.system.atomic_files import writing
from weaver_tt.system.checksums import check_entries
from weaver_tt.system.file_shapes import (
    ANYTHING,
    COUNT,
    NUMBER,
    ListOf,
    NamesTo,
    Value,
    shape_problem,
)

T = TypeVar("T")

CHECKPOINT_FORMAT = 1

_TENSOR = Value((torch.Tensor,))
_NAMED = NamesTo(ANYTHING)
_RANDOM = {"torch": _TENSOR, "numpy": ListOf(ANYTHING, length=4), "python": ListOf(ANYTHING)}
_RANK = {
    "meters": ListOf(_TENSOR),
    "terms": _NAMED,
    "random": _RANDOM,
    # of the network, and of the task's modules
    "buffers": ListOf(NamesTo(_TENSOR), length=2),
}
RESUME = {
    "settings": {"ranks?": Value((int,), least=1)},
    "weights": NamesTo(_TENSOR),
    # checkpoints from before tasks could train something have no such entry
    "task_weights?": NamesTo(_TENSOR),
    "optimizer": {"state": _NAMED, "param_groups": ListOf({"params": ListOf(COUNT)})},
    "schedule": _NAMED,
    "scaler": _NAMED,
    # of the network, and of the task's modules if it has any; with --ema
    "average?": {"count": COUNT, "averages": ListOf(NamesTo(_TENSOR))},
    "steps": COUNT,
    "done": Value((int, float), least=0),
    "state": {
        "epoch": COUNT,
        "batches": COUNT,
        "meters": ListOf(_TENSOR),
        "terms?": _NAMED,
        "history?": NamesTo(NamesTo(NUMBER)),
        "best_epoch": Value((int,), least=-1),
        "best": NamesTo(NUMBER),
        "best_sums?": ListOf(_TENSOR),
        "completed?": Value((int,), least=-1),
    },
    "random": _RANDOM,
    # rank 1, 2, ...; checkpoints from before each rank's state was kept have no such entry
    "other_ranks?": ListOf(_RANK),
}
"""What ``PREFIX_resume.pt`` holds."""
RESUME_TOGETHER = {"settings": {"seed": ANYTHING}, "members": ListOf(RESUME)}
"""The same of an ensemble, whose members are trained together."""
Found = tuple[Path, dict[str, Any]]
"""The file that a network continues from, and what it says of this network."""
ADDED_SETTINGS = {
    "accumulate_batches": 1,
    "ema": None,
    "plateau_factor": 0.1,
    "plateau_patience": 3,
    "plateau_threshold": "1%",
}
"""What held in trainings from before there were these settings."""
RESUME_WAYS_OUT = (
    "--load-epoch N continues from the weights of epoch N; --load-model-weights begins with any"
)


def check_writable(files: RunFiles) -> None:
    """Make the folder and write to it once: a run fails at its start, not after its first epoch.

    Raises:
        OutputError: nothing can be written there.
    """
    trial = files.trial
    try:
        trial.parent.mkdir(parents=True, exist_ok=True)
        trial.write_bytes(b"")
        trial.unlink()
    except OSError as error:
        raise OutputError(
            f"--model-prefix {files.prefix}: cannot write to {trial.parent} "
            f"({error.strerror or error})"
        ) from error


def remove_epochs(files: RunFiles, numbers: Iterable[int]) -> None:
    """Remove the weights after the epochs ``numbers``; the best one has a file of its own."""
    for number in numbers:
        for path in files.of_epoch(number):
            path.unlink(missing_ok=True)


def find_states(model: str, epoch: int | None = None, members: int | None = None) -> list[Path]:
    """The files of weights that ``model`` names, one for each member of an ensemble.

    ``model`` is a file of weights itself, or a prefix, of which the best or the given ``epoch`` is
    taken. ``members`` is how many the run card says there are; without a card, what lies there
    decides. Files of an earlier run under the same prefix are never mixed in.

    Raises:
        ConfigError: weights are missing; names the nearest trained network. Or a single network and
            members lie there and no card decides.
    """
    # FILE.pt:PREFIX are the weights under PREFIX
    if model.endswith(".pt") or ".pt:" in model:
        file = Path(model.partition(".pt:")[0]).with_suffix(".pt")
        if not file.is_file():
            raise ConfigError(f"--model-prefix {model}: {explain_missing_file(file, '*.pt')}")
        return [Path(model)]
    files = RunFiles(model)
    single = files.state(epoch)
    if members is None:
        found = [member.state(epoch) for member in files.members(epoch).values()]
        if single.is_file() and found:
            raise ConfigError(
                f"--model-prefix {model}: there are {single} and {found[0]}; "
                f"say which: -m {single} or -m {files.member(0).prefix}"
            )
        wanted = found or [single]
    elif members == 1:
        wanted = [single]
    else:
        wanted = [files.member(number).state(epoch) for number in range(members)]
    for path in wanted:
        if not path.is_file():
            raise ConfigError(f"--model-prefix: {_explain_missing_state(files, path)}")
    return wanted


def _explain_missing_state(files: RunFiles, path: Path) -> str:
    """Why ``path``, weights of the run ``files``, is not there, and what probably was meant."""
    folder = path.parent
    if not folder.is_dir():
        # the closest folder that is there, and what lies beside the missing one
        missing = folder
        while not missing.absolute().parent.is_dir():
            missing = missing.parent
        beside = [str(other) for other in missing.parent.iterdir() if other.is_dir()]
        return f"no folder {missing}; {nearest(str(missing), beside)}"
    trained = RunFiles.trained(folder)
    if files.prefix not in trained:
        return f"no trained network {files.prefix} (no {path}); {nearest(files.prefix, trained)}"
    states = [str(state) for state in folder.glob(f"{glob.escape(Path(files.prefix).name)}_*")]
    states = [state for state in states if state.endswith("_state.pt")]
    return f"no {path}; {nearest(str(path), states)}"


def save_checkpoint(value: object, path: Path) -> None:
    """Write ``value``: ``path`` then holds either all of it or what it held before.

    Raises:
        OutputError: it cannot be written.
    """
    with writing(path) as file:
        torch.save(value, file)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a file that :func:`save_checkpoint` wrote, tensors on the CPU.

    Raises:
        TrainingError: it is no such file.
    """
    try:
        check_entries(path)
        value = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch's unpickler raises whatever the bytes lead to
        problem = f"{type(error).__name__} {str(error)[:200]}"
        raise TrainingError(f"{path}: cannot be read as a checkpoint ({problem})") from error
    if not isinstance(value, dict):
        raise TrainingError(f"{path}: holds a {type(value).__name__}, expected a checkpoint")
    return value


def join_states(states: Sequence[dict[str, Any]], seed: int | None) -> dict[str, Any]:
    """What an ensemble is continued from: all its members, of a run with ``seed``."""
    return {"format": CHECKPOINT_FORMAT, "settings": {"seed": seed}, "members": list(states)}


def load_resume(path: Path) -> list[dict[str, Any]]:
    """Read a file that a training can be continued from: what it says of each of its networks.

    Raises:
        TrainingError: it is of another version, or damaged; names the place.
    """
    saved = load_checkpoint(path)
    if saved.get("format") != CHECKPOINT_FORMAT:
        raise TrainingError(
            f"{path}: format {saved.get('format')!r}, expected {CHECKPOINT_FORMAT}: written by "
            "another version"
        )
    is_joint = "members" in saved
    problem = shape_problem(saved, RESUME_TOGETHER if is_joint else RESUME)
    if problem is not None:
        raise TrainingError(f"{path}: damaged: {problem}; {RESUME_WAYS_OUT}")
    return saved["members"] if is_joint else [saved]


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What torch runs into while it takes in the content of ``path``, as an error that names it.

    Raises:
        TrainingError: in place of such errors.
    """
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, RuntimeError) as error:
        problem = f"{type(error).__name__} {str(error)[:200]}"
        raise TrainingError(f"{path}: damaged ({problem}); {RESUME_WAYS_OUT}") from error


def save_resumable(value: object, files: RunFiles) -> None:
    """Write what ``files`` are continued from; what was there before stays beside it.

    Raises:
        OutputError: it cannot be written.
    """
    with writing(files.resume) as file:
        torch.save(value, file)
        file.flush()
        if files.resume.is_file():
            _keep(files.resume, files.resume_before)


def _keep(path: Path, kept: Path) -> None:
    """Give ``path`` the name ``kept`` too, so that it survives what is written over it."""
    second_name = kept.with_name(kept.name + ".part")
    try:
        second_name.unlink(missing_ok=True)
        os.link(path, second_name)
    except OSError:
        # file systems without a second name for a file: for a moment it has the new one alone
        os.replace(path, kept)
    else:
        os.replace(second_name, kept)


def load_resumable(files: RunFiles) -> list[Found]:
    """What each network of a training is continued from; nothing where there is no such file.

    It is the newest whole file: a damaged one is said, and the one before it is taken.

    Raises:
        TrainingError: all that are there are damaged.
    """
    if not files.resumable():
        return []
    path, of_networks = _newest_whole(files, load_resume)
    return [(path, of_network) for of_network in of_networks]


def check_trained_together(files: RunFiles) -> None:
    """Check that an ensemble was not begun by a version that trained one member after another.

    Raises:
        TrainingError: it was; says what can be done.
    """
    apart = [network for network in files.resumable_networks() if network != files]
    if files.resumable() or not apart:
        return
    raise TrainingError(
        f"{apart[0].resume}: this ensemble was begun by a version that trained one member after "
        "another, each with its own order of rows; members go on together now. Where all of them "
        "have an epoch N, --load-epoch N continues from its weights; --overwrite begins anew"
    )


def _newest_whole(files: RunFiles, read: Callable[[Path], T]) -> tuple[Path, T]:
    """The newest file that a network is continued from and that ``read`` does not refuse."""
    problems: list[str] = []
    for path in files.resumable():
        try:
            content = read(path)
        except TrainingError as error:
            problems.append(str(error))
            continue
        for problem in problems:
            log.warning("%s; taking %s, which was saved before it", problem, path)
        return path, content
    raise TrainingError("; ".join(problems))


def is_within_epoch(files: RunFiles) -> bool:
    """Whether a run continues in the middle of an epoch, or a member of it does.

    Raises:
        TrainingError: a network has nothing to resume from that is whole.
    """
    for network in files.resumable_networks():
        _, batches = _newest_whole(network, batches_into_epoch)
        if batches:
            return True
    return False


def batches_into_epoch(path: Path) -> int:
    """How many batches of an epoch a run had trained on that continues from ``path``.

    0 where it continues at the beginning of an epoch.

    Raises:
        TrainingError: it is no file to resume from, or damaged.
    """
    try:
        check_entries(path)
        # the weights are not read, only where they are
        saved = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        # members that are not done are all at the same place
        networks = saved.get("members", [saved])
        return max(int(network["state"]["batches"]) for network in networks)
    except Exception as error:
        problem = f"{type(error).__name__} {str(error)[:200]}"
        raise TrainingError(f"{path}: cannot be read as a checkpoint ({problem})") from error


def saved_seed(path: Path) -> int | None:
    """The seed of the training that continues from ``path``; None where it cannot be told."""
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return int(saved["settings"]["seed"])
    # whoever continues from it reports what is wrong with it
    except Exception:
        return None


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any], where: Path) -> None:
    """Continue with the moments in ``state``, read from the file ``where``.

    Raises:
        TrainingError: it is the state of another optimizer, or of other parameters.
    """
    own_groups = optimizer.state_dict()["param_groups"]
    saved_groups = state["param_groups"]
    sizes = [len(group["params"]) for group in own_groups]
    saved_sizes = [len(group["params"]) for group in saved_groups]
    if sizes != saved_sizes:
        raise TrainingError(
            f"{where}: the optimizer had groups of {saved_sizes} parameters, now {sizes}"
        )
    missing: set[str] = set()
    for own, saved in zip(own_groups, saved_groups, strict=True):
        # saved ones may have more: some optimizers add settings while they run
        missing |= own.keys() - saved.keys()
    if missing:
        names = ", ".join(sorted(missing))
        raise TrainingError(f"{where}: the state of another optimizer: it has no {names}")
    optimizer.load_state_dict(state)


def changed_settings(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """In words, the settings of a training that differ from those it had before."""
    changed = []
    for key, value in now.items():
        if key not in before and key not in ADDED_SETTINGS:
            # of before it was written down
            continue
        saved = before.get(key, ADDED_SETTINGS.get(key))
        # checkpoints from before options were values have KEY VALUE pairs of text
        if key == "optimizer_option" and isinstance(saved, list):
            saved = read_options(saved)
        if saved != value:
            changed.append(f"{key} was {saved!r}, now {value!r}")
    return changed


def check_settings(now: Mapping[str, Any], before: Mapping[str, Any], where: Path) -> None:
    """Check that a training is resumed with the settings of the file ``where``.

    Raises:
        TrainingError: some differ, which make another training; names all of them.
    """
    changed = changed_settings(now, before)
    if changed:
        raise TrainingError(
            f"{where}: cannot resume with a changed configuration: {'; '.join(changed)}. "
            "--load-epoch N continues from the weights of epoch N alone; another --model-prefix "
            "starts afresh"
        )


def random_state() -> dict[str, Any]:
    """The state of every random generator that a network may draw from."""
    _, keys, position, has_gauss, gauss = np.random.get_state()
    # numpy arrays cannot be loaded with weights_only, tensors can
    numpy_keys = torch.from_numpy(np.asarray(keys, dtype=np.int64))
    state = {
        "torch": torch.get_rng_state(),
        "numpy": [numpy_keys, int(position), int(has_gauss), float(gauss)],
        "python": random.getstate(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def set_random_state(state: Mapping[str, Any]) -> None:
    """Continue from :func:`random_state`."""
    torch.set_rng_state(state["torch"])
    keys, position, has_gauss, gauss = state["numpy"]
    numpy_keys = keys.numpy().astype(np.uint32)
    np.random.set_state(("MT19937", numpy_keys, position, has_gauss, gauss))
    version, internal, gauss_next = state["python"]
    # a checkpoint gives lists back as they are, Python wants a tuple
    random.setstate((version, tuple(internal), gauss_next))
    # with another number of GPUs there are no states to continue from
    if "cuda" in state and torch.cuda.device_count() == len(state["cuda"]):
        torch.cuda.set_rng_state_all(state["cuda"])
