"""Errors in a user's code, shown by the user's own lines: none of ours, none of a library's.

A user's code are the network file, what it imports from beside it, and other files that flags name.
Its errors travel as they are, so that whoever calls it may catch them; at the door, in the command
line and in the functions of ``weaver_tt.api``, they become one short message.
"""

from __future__ import annotations

import linecache
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from weaver_tt.errors import UserCodeError, WeaverError

OUR_FOLDER = str(Path(__file__).parents[1])
LIBRARY_FOLDERS = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib"))
INSTALLED = ("site-packages", "dist-packages")

# beginning of the names of modules that are made of a user's file, wherever it lies
USER_MODULE = "weaver_tt_network_"

# with the first line and three of the error, a message has twelve lines at most
MOST_FRAMES = 4
MOST_ERROR_LINES = 3
MOST_CHARACTERS = 300  # of a line


class CallNote(str):
    """A note on an error: which function or module of the user's was called, with what."""


@contextmanager
def noting_call(describe: Callable[[], str]) -> Iterator[None]:
    """Note on errors that pass what was called: ``describe()`` is asked for it then."""
    try:
        yield
    except WeaverError:
        raise
    except Exception as error:
        note_call(error, describe())
        raise


def note_call(error: Exception, call: str) -> None:
    """Note on ``error`` what was called, unless something further inside has been noted."""
    notes = list(getattr(error, "__notes__", []))
    if not any(isinstance(note, CallNote) for note in notes):
        # what add_note of Python 3.11 does: a traceback shows it too
        error.__notes__ = [*notes, CallNote(call)]


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn an error that arose in a user's code into one message; it stays as its cause.

    Raises:
        UserCodeError: in place of such an error. Others pass.
    """
    try:
        yield
    except WeaverError:
        raise
    except Exception as error:
        message = explain_user_error(error)
        if message is None:
            raise
        raise UserCodeError(message) from error


def explain_user_error(error: Exception) -> str | None:
    """The error, where it arose in a user's code, and what was called: twelve lines at most.

    None if no code of a user's was running.
    """
    frames = _user_frames(error.__traceback__)
    calls = [note for note in getattr(error, "__notes__", []) if isinstance(note, CallNote)]
    in_their_text = isinstance(error, SyntaxError) and is_user_file(error.filename or "")
    if not (frames or calls or in_their_text):
        return None
    lines = [f"{calls[0]} failed:" if calls else "an error in your code:"]
    for frame, number in _shown(frames):
        path = frame.f_code.co_filename
        lines.append(f'  File "{path}", line {number}, in {frame.f_code.co_name}')
        source = linecache.getline(path, number).strip()
        if source:
            lines.append(f"    {source}")
    return "\n".join(line[:MOST_CHARACTERS] for line in [*lines, *_error_lines(error)])


def _shown(frames: list[tuple[FrameType, int]]) -> list[tuple[FrameType, int]]:
    """The outermost frame, and as many of the innermost as there is room for."""
    if len(frames) <= MOST_FRAMES:
        return frames
    return [frames[0], *frames[1 - MOST_FRAMES :]]


def _error_lines(error: Exception) -> list[str]:
    """Type and message of the error; of a mistake in writing also its place."""
    if isinstance(error, SyntaxError):
        text = "".join(traceback.format_exception_only(type(error), error))
        # notes come behind it
        return text.splitlines()[: MOST_ERROR_LINES + 1]
    message = str(error).strip()
    kind = type(error).__name__
    lines = f"{kind}: {message}".splitlines() if message else [kind]
    return lines[:MOST_ERROR_LINES]


def _user_frames(trace: TracebackType | None) -> list[tuple[FrameType, int]]:
    """Frames of a user's code with their lines, from the outermost.

    What called this package, such as a script, is not among them.
    """
    frames: list[tuple[FrameType, int]] = []
    inside = False
    for frame, number in traceback.walk_tb(trace):
        path = frame.f_code.co_filename
        # the context managers of this file are frames too
        inside = inside or (_lies_in(path, OUR_FOLDER) and path != __file__)
        if inside and _is_users(frame):
            frames.append((frame, number))
    return frames


def _is_users(frame: FrameType) -> bool:
    name: Any = frame.f_globals.get("__name__", "")
    if str(name).startswith(USER_MODULE):
        return True
    return is_user_file(frame.f_code.co_filename)


def is_user_file(path: str) -> bool:
    """Whether a file is neither of this package nor of Python nor of an installed library."""
    # such as <frozen importlib._bootstrap>
    if not path or path.startswith("<"):
        return False
    if any(folder in INSTALLED for folder in Path(path).parts):
        return False
    return not any(_lies_in(path, folder) for folder in (OUR_FOLDER, *LIBRARY_FOLDERS))


def _lies_in(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")
