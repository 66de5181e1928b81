"""What an earlier run has left under the prefix of this one, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from weaver_tt.engine.checkpoint import check_trained_together
from weaver_tt.errors import ConfigError, OutputError, nearest
from weaver_tt.log import log
from weaver_tt.network.weights import LOAD_FLAG, file_of_weights
from weaver_tt.options.train import RunOptions
from weaver_tt.run.checks import is_onnx
from weaver_tt.run.cross_validation import fold_options
from weaver_tt.run.naming import AUTO
from weaver_tt.run.networks import weights_of_member
from weaver_tt.run.run_card import load_card, written_files
from weaver_tt.run_files import RunFiles
from weaver_tt.system.atomic_files import write_text
from weaver_tt.system.distributed import is_main, run_on_main
from weaver_tt.system.locks import locked
from weaver_tt.system.signals import Interrupted
from weaver_tt.system.wording import counted


def check_prefix(options: RunOptions) -> None:
    """Check that a training does not mix its files with those of another run, or with one going on.

    A prefix is free where no weights lie: with a log alone, or what a training left that failed
    before its first save. ``{auto}`` is always free. Of several ranks the first one looks.

    Raises:
        ConfigError: another run's weights lie there and neither ``--overwrite``, ``--resume`` nor
            ``--load-epoch`` says what should become of them; or one of these cannot be followed.
        OutputError: another process trains there.
    """
    if AUTO in options.network.model_prefix:
        return
    run_on_main(lambda: _check_prefix(options))


@contextmanager
def holding_prefix(options: RunOptions) -> Iterator[None]:
    """Keep other trainings away from the prefix. Of several ranks the first one does that.

    Raises:
        OutputError: another process trains there.
    """
    files = RunFiles(options.network.model_prefix)
    with ExitStack() as lock:

        def begin() -> None:
            lock.enter_context(locked(files.lock, f"--model-prefix {files.prefix}"))

        run_on_main(begin)
        yield


@contextmanager
def requesting_requeue(request: Path) -> Iterator[None]:
    """Leave the file ``request`` where what is done inside is interrupted.

    For batch jobs that do not see the exit code, such as those of torchrun. One that is there goes
    first: a command that fails at once must not be given for ever. What ``{auto}`` stands for is
    another prefix each time, and nothing goes on there.
    """
    leaves_request = AUTO not in str(request) and is_main()
    # a prefix below no folder is an error of the run itself
    if leaves_request and request.exists():
        request.unlink()
    try:
        yield
    except Interrupted as interruption:
        if leaves_request:
            write_text(request, f"{interruption}\n")
        raise


def _check_prefix(options: RunOptions) -> None:
    files = RunFiles(options.network.model_prefix)
    if files.lock.exists():
        with locked(files.lock, f"--model-prefix {files.prefix}"):
            pass
    for files in _runs_of(options):
        if options.train.load_epoch is not None:
            _check_epoch(files, options)
            continue
        weights = files.weights()
        if not weights:
            continue
        if options.train.overwrite:
            _check_listed(files)
            _check_first_weights(files, options)
        elif options.train.resume:
            _check_resumable(files)
        else:
            raise ConfigError(
                f"--model-prefix {files.prefix}: another run lies there ({weights[0]}); "
                "--resume continues it, --load-epoch N continues it after epoch N, --overwrite "
                "removes it, and any other --model-prefix leaves it as it is"
            )


def _runs_of(options: RunOptions) -> list[RunFiles]:
    """The runs that a training could mix its files with: its own prefix, or those of all folds."""
    if options.train.cross_validation is None:
        return [RunFiles(options.network.model_prefix)]
    # an earlier run may have had more folds than this one
    folds = RunFiles(options.network.model_prefix).folds()
    for number, fold in enumerate(fold_options(options)):
        folds[number] = RunFiles(fold.network.model_prefix)
    return list(folds.values())


def _check_listed(files: RunFiles) -> None:
    """Raise ConfigError where no run card says which files belong to the run."""
    card = load_card(files.prefix)
    if not card or "files" not in card:
        raise ConfigError(
            f"--overwrite: weights lie at {files.prefix}, and no run card {files.card} says which "
            "files belong to them; remove them by hand, or take another --model-prefix"
        )


def _check_first_weights(files: RunFiles, options: RunOptions) -> None:
    """Raise ConfigError where ``--overwrite`` would remove the weights to begin with."""
    card = load_card(files.prefix)
    removed = {path.resolve() for path in written_files(files.prefix, card)} if card else set()
    for fold in fold_options(options):
        for member in range(fold.network.ensemble):
            weights = weights_of_member(fold.network, member)
            path = file_of_weights(weights) if weights else None
            if path and Path(path).resolve() in removed:
                raise ConfigError(
                    f"--overwrite would remove {path}, which {LOAD_FLAG} reads: it is a file of "
                    f"the earlier run {files.prefix}; give another --model-prefix"
                )


def _check_epoch(files: RunFiles, options: RunOptions) -> None:
    """Raise ConfigError where ``--load-epoch`` names an epoch that a network does not have."""
    number = options.train.load_epoch
    assert number is not None
    networks = [files]
    if options.network.ensemble > 1:
        networks = [files.member(member) for member in range(options.network.ensemble)]
    for network in networks:
        # the file to resume from may be of that moment
        if network.epoch(number).is_file() or network.resumable() or files.resumable():
            continue
        known = map(str, network.epochs())
        raise ConfigError(
            f"--load-epoch {number}: there is no {network.epoch(number)}; "
            f"{nearest(str(number), known)}"
        )


def _check_resumable(files: RunFiles) -> None:
    """Raise an error for a network that is there and has nothing to resume from."""
    if files.resumable():
        return
    check_trained_together(files)
    for network in [files, *files.members(None).values()]:
        if network.resumable() or not network.own_weights():
            continue
        epochs = network.epochs()
        if not epochs:
            raise ConfigError(
                f"--resume: there is no {network.resume}; another --model-prefix with "
                f"--load-model-weights {network.best} begins with those weights"
            )
        raise ConfigError(
            f"--resume: there is no {network.resume}; --load-epoch {max(epochs)} continues from "
            f"the weights of {epochs[max(epochs)]}"
        )


def remove_earlier_run(options: RunOptions) -> None:
    """``--overwrite``: remove exactly the files that the card of an earlier run lists.

    Of several ranks the first one does that.

    Raises:
        OutputError: one cannot be removed.
    """
    if options.train.overwrite and AUTO not in options.network.model_prefix:
        run_on_main(lambda: _remove_runs(_runs_of(options)))


def with_remembered_options(options: RunOptions) -> RunOptions:
    """``options`` with the network options of the training, for prediction and export.

    They are those of the run card of ``--model-prefix``; flags override them one by one.
    """
    model = options.network.model_prefix
    if is_onnx(model):
        return options
    files = RunFiles.of(model).run
    card = load_card(files.prefix)
    remembered = card["options"]["network"]["network_option"] if card else []
    given = {key for key, _ in options.network.network_option}
    taken = [pair for pair in remembered if pair[0] not in given]
    if not taken:
        return options
    words = ", ".join(" ".join(pair) for pair in taken)
    log.info("network options of the training, from %s: %s", files.card, words)
    pairs = [*taken, *options.network.network_option]
    return replace(options, network=replace(options.network, network_option=pairs))


def _remove_runs(runs: list[RunFiles]) -> None:
    for files in runs:
        card = load_card(files.prefix)
        if card:
            _remove_files(written_files(files.prefix, card), files)


def _remove_files(paths: list[Path], files: RunFiles) -> None:
    """Remove files, and their folders where these are empty then."""
    # the card goes last: whatever happens, it says what is left
    paths = [path for path in paths if path != files.card] + [files.card]
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"--overwrite: {path} cannot be removed: {error.strerror}") from error
        folder = path.parent
        while folder != files.card.parent and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent
    log.info("--overwrite: removed %s of the run %s", counted(len(paths), "file"), files.prefix)
