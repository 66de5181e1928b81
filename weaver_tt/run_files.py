"""Names of all files and folders of a run.

What is written under a prefix, and the prefix that a file belongs to.
"""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass
from pathlib import Path

BEST = "_best_epoch_state.pt"
PLAIN_BEST = "_best_epoch_plain.pt"
WEIGHTS_ENDINGS = (
    r"_epoch-\d+_state\.pt",
    re.escape(BEST),
    r"_epoch-\d+_plain\.pt",
    re.escape(PLAIN_BEST),
)
FILE_ENDINGS = (
    *WEIGHTS_ENDINGS,
    r"_epoch-\d+_task\.pt",
    r"_epoch-\d+_plain_task\.pt",
    r"_resume\.pt",
    r"_resume_before\.pt",
    r"_run\.json",
    r"_metrics\.json",
    r"_history\.csv",
    r"_trackers\.json",
    r"_sample\.npz",
    r"_sample\.parquet",
    r"_lr_finder\.(?:png|json)",
    r"_reweighting\.(?:png|pdf)",
    r"\.auto\.yaml",
    r"\.log",
    r"\.lock",
    r"_requeue",
    r"\.onnx",
)
EVENT_FILE = "events.out.tfevents."  # beginning of the names of TensorBoard's files
# FILE.pt:PREFIX, the weights under PREFIX in a file, belongs to the run of that file
_RUN_FILE = re.compile(rf"(?:{'|'.join(FILE_ENDINGS)})$|(?:{'|'.join(WEIGHTS_ENDINGS)}):.+$")
_MEMBER = re.compile(r"_member-(\d+)$")
_FOLD = re.compile(r"_fold-(\d+)$")
# what stands for any number in the name of a file, such as PREFIX_epoch-{N}_state.pt
ANY_NUMBER = "{N}"


@dataclass(frozen=True)
class RunFiles:
    """Where the files of the run with this ``prefix`` lie.

    A member of an ensemble and a fold of a cross-validation have a prefix of their own: those of
    :meth:`member` and :meth:`fold`.
    """

    prefix: str

    @classmethod
    def of(cls, file: str | Path) -> RunFiles:
        """The run, or the member of an ensemble, that ``file`` belongs to.

        ``file`` is any file of a run, such as ``PREFIX_best_epoch_state.pt`` or ``PREFIX.log``, or
        ``model.onnx``, or the prefix itself.
        """
        return cls(_RUN_FILE.sub("", str(file)))

    @classmethod
    def trained(cls, folder: Path) -> dict[str, RunFiles]:
        """The runs in ``folder`` that have left weights, members with their run, by prefix."""
        runs = {}
        for path in sorted(folder.glob("*_state.pt")):
            files = cls.of(path).run
            runs[files.prefix] = files
        return runs

    # --- weights

    def epoch(self, number: int) -> Path:
        """The state_dict after epoch ``number``, counted from 0."""
        return self._path(f"_epoch-{number}_state.pt")

    def task_epoch(self, number: int) -> Path:
        """The state_dict of the task's own modules, if it has any, after epoch ``number``."""
        return self._path(f"_epoch-{number}_task.pt")

    @property
    def best(self) -> Path:
        """The state_dict after the best epoch."""
        return self._path(BEST)

    def plain_epoch(self, number: int) -> Path:
        """The state_dict after epoch ``number`` without averaging, where :meth:`epoch` has that."""
        return self._path(f"_epoch-{number}_plain.pt")

    def plain_task_epoch(self, number: int) -> Path:
        """The same of :meth:`task_epoch`."""
        return self._path(f"_epoch-{number}_plain_task.pt")

    @property
    def plain_best(self) -> Path:
        """The same of :attr:`best`."""
        return self._path(PLAIN_BEST)

    def of_epoch(self, number: int) -> list[Path]:
        """What a training may have written after epoch ``number``."""
        return [
            self.epoch(number),
            self.task_epoch(number),
            self.plain_epoch(number),
            self.plain_task_epoch(number),
        ]

    @property
    def resume(self) -> Path:
        """Everything that an interrupted training continues from."""
        return self._path("_resume.pt")

    @property
    def resume_before(self) -> Path:
        """The :attr:`resume` before: what is continued from where the newer one is damaged."""
        return self._path("_resume_before.pt")

    def resumable(self) -> list[Path]:
        """What is there to continue this one network from, newest first."""
        return [path for path in (self.resume, self.resume_before) if path.is_file()]

    def state(self, epoch: int | None) -> Path:
        """The state_dict after ``epoch``; None is the best one."""
        return self.best if epoch is None else self.epoch(epoch)

    def weaver_optimizer(self, epoch: int) -> Path:
        """Where Weaver keeps the moments of its optimizer after ``epoch``."""
        return self._path(f"_epoch-{epoch}_optimizer.pt")

    def epochs(self) -> dict[int, Path]:
        """The states of epochs that are there, by number."""
        return self._numbered("_epoch-", "_state.pt")

    # --- what else a training writes

    @property
    def card(self) -> Path:
        """The run card: what made these weights."""
        return self._path("_run.json")

    @property
    def lock(self) -> Path:
        """Who trains at this prefix, while that lasts."""
        return self._path(".lock")

    @property
    def requeue(self) -> Path:
        """There where a training was interrupted and asks to be continued."""
        return self._path("_requeue")

    @property
    def auto_yaml(self) -> Path:
        """What the training data says: input statistics, weight tables, bucket edges."""
        return self._path(".auto.yaml")

    @property
    def sample(self) -> Path:
        """Some rows as the network sees them, to compare an export on."""
        return self._path("_sample.npz")

    @property
    def raw_sample(self) -> Path:
        """The columns of the files that the rows of :attr:`sample` are made of."""
        return self._path("_sample.parquet")

    @property
    def log(self) -> Path:
        """The log, unless ``--log`` names another file."""
        return self._path(".log")

    @property
    def metrics(self) -> Path:
        """Metrics of the best epoch, or of a prediction."""
        return self._path("_metrics.json")

    @property
    def history(self) -> Path:
        """Every metric of every epoch, as a table."""
        return self._path("_history.csv")

    @property
    def tracked_runs(self) -> Path:
        """Which runs of MLflow and others are those of this network."""
        return self._path("_trackers.json")

    @property
    def figures(self) -> Path:
        """The folder of the figures that go with :attr:`metrics`."""
        return self._path("_figures")

    @property
    def reweighting(self) -> Path:
        """Spectra before and after reweighting, without the ending of the figure's format."""
        return self._path("_reweighting")

    @property
    def lr_finder_figure(self) -> Path:
        """Loss against learning rate, of ``--lr-finder``."""
        return self._path("_lr_finder.png")

    @property
    def lr_finder_numbers(self) -> Path:
        """The numbers of that figure, and the suggestion."""
        return self._path("_lr_finder.json")

    @property
    def trace(self) -> Path:
        """The trace of ``--profile``, for chrome://tracing."""
        return self._path("_profile") / "trace.json"

    def tracker_folder(self, tracker: str) -> Path:
        """Where the tracker ``tracker`` writes, unless a flag says otherwise."""
        return self._path(f"_{tracker}")

    @property
    def trial(self) -> Path:
        """A file that is written and removed at once, to see whether that is possible."""
        return self._path("_trial.part")

    # --- the runs beside it

    def member(self, number: int) -> RunFiles:
        """The files of one member of an ensemble."""
        return RunFiles(f"{self.prefix}_{member_name(number)}")

    @property
    def any_member(self) -> RunFiles:
        """How a message names the files of all members: with ``*`` in the place of the number."""
        return RunFiles(f"{self.prefix}_member-*")

    def members(self, epoch: int | None) -> dict[int, RunFiles]:
        """The members of which the state of ``epoch`` (None: the best) is there, by number."""
        ending = self.state(epoch).name.removeprefix(Path(self.prefix).name)
        return {number: self.member(number) for number in self._numbered("_member-", ending)}

    def fold(self, number: int) -> RunFiles:
        """The files of one fold of a cross-validation."""
        return RunFiles(f"{self.prefix}_{fold_name(number)}")

    def folds(self) -> dict[int, RunFiles]:
        """The folds of which a run card is there, by number."""
        return {number: self.fold(number) for number in self._numbered("_fold-", "_run.json")}

    @property
    def run(self) -> RunFiles:
        """The run that a member belongs to; a run itself."""
        return RunFiles(_MEMBER.sub("", self.prefix))

    @property
    def whole(self) -> RunFiles:
        """The cross-validation that a fold belongs to; a run itself."""
        return RunFiles(_FOLD.sub("", self.prefix))

    # --- what a training leaves

    def weights(self) -> list[Path]:
        """The weights that are there, of a single network or of the members of an ensemble."""
        found = self.own_weights()
        for ending in (BEST, f"_epoch-{ANY_NUMBER}_state.pt"):
            found += find_files(f"{self.prefix}_member-{ANY_NUMBER}{ending}")
        return found + self.resume_files()

    def own_weights(self) -> list[Path]:
        """Those of a single network, or of one member: not those of the members of this one."""
        found = [self.best] if self.best.is_file() else []
        return [*found, *self.epochs().values()]

    def resume_files(self) -> list[Path]:
        """What a single network, or each member of an ensemble, continues from, if it is there."""
        found: list[Path] = []
        for network in self.resumable_networks():
            found += network.resumable()
        return found

    def resumable_networks(self) -> list[RunFiles]:
        """This network and the members of an ensemble, those that can be continued."""
        numbers: set[int] = set()
        for ending in ("_resume.pt", "_resume_before.pt"):
            numbers |= self._numbered("_member-", ending).keys()
        networks = [self, *(self.member(number) for number in sorted(numbers))]
        return [network for network in networks if network.resumable()]

    def training_files(self, ensemble: int) -> list[str]:
        """What a training of ``ensemble`` networks writes, with ``{N}`` for the numbers of epochs.

        The log, figures and the files of trackers are not among them: their names are known only
        when they are there.
        """
        names = [
            *(str(self.card), str(self.auto_yaml), str(self.requeue)),
            *(str(self.sample), str(self.raw_sample)),
            *(str(self.resume), str(self.resume_before)),
            *(f"{self.reweighting}.png", f"{self.reweighting}.pdf"),
        ]
        networks = [self]
        if ensemble > 1:
            networks = [self.member(number) for number in range(ensemble)]
        for network in networks:
            names += [
                f"{network.prefix}_epoch-{ANY_NUMBER}_state.pt",
                f"{network.prefix}_epoch-{ANY_NUMBER}_task.pt",
                f"{network.prefix}_epoch-{ANY_NUMBER}_plain.pt",
                f"{network.prefix}_epoch-{ANY_NUMBER}_plain_task.pt",
                str(network.best),
                str(network.plain_best),
                str(network.metrics),
                str(network.history),
                str(network.tracked_runs),
            ]
        return names

    # --- how names are made

    def _path(self, ending: str) -> Path:
        return Path(f"{self.prefix}{ending}")

    def _numbered(self, before: str, after: str) -> dict[int, Path]:
        """Files that are there, with a number between ``before`` and ``after``, in its order."""
        found = {}
        for path in find_files(f"{self.prefix}{before}{ANY_NUMBER}{after}"):
            digits = path.name[len(Path(self.prefix).name + before) : -len(after)]
            found[int(digits)] = path
        return dict(sorted(found.items()))


def plain_weights_beside(path: Path) -> Path:
    """The file of the weights without averaging that belong to the state ``path``."""
    return path.with_name(re.sub(r"_state\.pt$", "_plain.pt", path.name))


def find_files(name: str) -> list[Path]:
    """The files that are there of this name, in which ``{N}`` stands for any whole number."""
    path = Path(name)
    if ANY_NUMBER not in path.name:
        return [path] if path.is_file() else []
    parts = path.name.split(ANY_NUMBER)
    pattern = re.compile(r"\d+".join(map(re.escape, parts)))
    candidates = path.parent.glob("*".join(map(glob.escape, parts)))
    return [found for found in sorted(candidates) if pattern.fullmatch(found.name)]


def member_name(number: int) -> str:
    """The name of one member of an ensemble: what ``{member}`` stands for in a path."""
    return f"member-{number}"


def fold_name(number: int) -> str:
    """The name of one fold of a cross-validation: what ``{fold}`` stands for in a path."""
    return f"fold-{number}"
