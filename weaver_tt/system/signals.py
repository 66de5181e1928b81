"""Signals that ask a command to end early, and processes that only their parent ends.

Batch systems send SIGTERM, SIGUSR1 or SIGHUP some time before they kill, and a person presses
Ctrl-C. The handler does nothing but note which one came: whoever is in the middle of something
asks :func:`interruption` where it can end.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

# exit code of a command that has ended early and goes on where it is given again: EX_TEMPFAIL
RESUME_ME = 75

INTERRUPTING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)

# seconds in which a second Ctrl-C is the first one again: launchers pass on what the terminal has
# sent to all processes already
SAME_PRESS = 1.0

# seconds between two looks of a process at its parent
LOOK_EVERY = 0.2


class Interrupted(KeyboardInterrupt):
    """A command ends early, as it was asked to; the same command goes on.

    The message says who asked, and what is kept.
    """


# the first signal that has come, and when
_noted: signal.Signals | None = None
_noted_at = 0.0
# whether signals are only noted
_is_deferring = False
# when the command is to end, on the clock of time.monotonic, and the flag that says so
_deadline: tuple[float, str] | None = None


@contextmanager
def handling_signals() -> Iterator[None]:
    """Inside, signals raise :class:`Interrupted`, or are noted in :func:`deferring_signals`.

    A second Ctrl-C is a plain KeyboardInterrupt at once. What is ignored, such as SIGHUP under
    ``nohup``, stays ignored. Outside of the main thread nothing is changed.
    """
    global _noted, _deadline
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handled = [number for number in INTERRUPTING if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, _note) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _noted = None
        _deadline = None


def _note(number: int, frame: FrameType | None) -> None:
    global _noted, _noted_at
    now = time.monotonic()
    if _noted is None:
        _noted = signal.Signals(number)
        _noted_at = now
        if not _is_deferring:
            raise Interrupted(_noted.name)
    elif number == signal.SIGINT and now - _noted_at > SAME_PRESS:
        raise KeyboardInterrupt


@contextmanager
def deferring_signals() -> Iterator[None]:
    """Inside, a signal is noted and nothing else; one that nobody asked for is raised at the end.

    Raises:
        Interrupted: a signal came that :func:`interruption` was not asked for.
    """
    global _is_deferring
    before = _is_deferring
    _is_deferring = True
    try:
        yield
    finally:
        _is_deferring = before
    if _noted is not None and not _is_deferring:
        raise Interrupted(_noted.name)


def end_after(seconds: float, flag: str) -> None:
    """Ask for the end ``seconds`` from now, which ``flag`` has asked for."""
    global _deadline
    _deadline = time.monotonic() + seconds, flag


def interruption() -> str | None:
    """Who has asked this process to end early: a signal or a flag; None if nobody has."""
    if _noted is not None:
        return _noted.name
    if _deadline is not None and time.monotonic() >= _deadline[0]:
        return _deadline[1]
    return None


def end_if_asked(kept: str) -> None:
    """End here if somebody has asked for it; ``kept`` says what of the work is.

    Raises:
        Interrupted: somebody has.
    """
    asked_by = interruption()
    if asked_by is not None:
        end_early(f"{asked_by}: {kept}")


def end_early(message: str) -> NoReturn:
    """End as it was asked for; further signals change nothing any more.

    Launchers send some to processes that have not ended at once.

    Raises:
        Interrupted: with the ``message``.
    """
    global _noted, _noted_at
    if _noted is None:
        _noted = signal.SIGTERM
        _noted_at = time.monotonic()
    raise Interrupted(message)


# --- worker processes


def end_with_parent() -> None:
    """Make this worker process one that its parent alone ends: by SIGTERM, or by its own death.

    Batch systems send their signals to every process of a job. A worker that ended by them would
    leave the parent without the rows of the step that it is to finish.
    """
    for number in INTERRUPTING:
        if number != signal.SIGTERM:
            signal.signal(number, signal.SIG_IGN)
    can_tell_senders = hasattr(signal, "sigtimedwait")
    if can_tell_senders:
        # taken up by the thread, which can tell where it comes from
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    known = multiprocessing.parent_process()
    # the parent may be gone already: whoever is it now is another one
    parent = os.getppid() if known is None or known.pid is None else known.pid
    threading.Thread(target=_follow, args=(parent, can_tell_senders), daemon=True).start()


def _follow(parent: int, can_tell_senders: bool) -> None:
    """End this process once its ``parent`` is gone, or has sent SIGTERM."""
    while os.getppid() == parent:
        if not can_tell_senders:
            time.sleep(LOOK_EVERY)
            continue
        received = signal.sigtimedwait({signal.SIGTERM}, LOOK_EVERY)
        if received is not None and received.si_pid == parent:
            break
    os._exit(0)


# --- ranks


@contextmanager
def ending_with_parent() -> Iterator[None]:
    """Inside, this process asks itself to end, by SIGTERM, once its parent is gone.

    For ranks, whose launcher may be killed: nobody would end them, and they hold their GPUs.
    """
    over = threading.Event()
    thread = threading.Thread(target=_ask_to_end, args=(os.getppid(), over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _ask_to_end(parent: int, over: threading.Event) -> None:
    while not over.wait(LOOK_EVERY):
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
            return
