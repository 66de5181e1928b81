"""One output for each input file of a prediction: which files a job takes, and how they are named.

``--predict-output 'scores/{file}.root'`` asks for it, and ``--data-test-share 3/100`` for the
fourth of a hundred shares of the files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from weaver_tt.errors import ConfigError, nearest
from weaver_tt.formats.file_groups import is_remote, parse_groups
from weaver_tt.options.train import RunOptions
from weaver_tt.run_files import RunFiles

# what stands in --predict-output for the name of the input file, its folder and its group
FILE = "{file}"
FOLDER = "{folder}"
GROUP = "{group}"
PLACEHOLDERS = (FILE, FOLDER, GROUP)

_IN_BRACES = re.compile(r"\{[^{}]*\}")
_SHARE = re.compile(r"(\d{1,7})/(\d{1,7})")


@dataclass(frozen=True, slots=True)
class FileToPredict:
    """An input file, the group that it is in, and the file that is written for it."""

    group: str
    path: str
    output: Path


def is_file_by_file(options: RunOptions) -> bool:
    """Whether the prediction writes one output for each input file."""
    return FILE in options.output.predict_output


def check_file_by_file(options: RunOptions) -> None:
    """Check what ``--predict-output`` and ``--data-test-share`` say, without a look at files.

    Raises:
        ConfigError: there is no such placeholder or share, or one needs another.
    """
    output = options.output.predict_output
    found = _IN_BRACES.findall(output)
    for name in found:
        if name not in PLACEHOLDERS:
            raise ConfigError(
                f"--predict-output {output}: nothing stands for {name}; "
                f"{nearest(name, PLACEHOLDERS)}"
            )
    if found and FILE not in found:
        raise ConfigError(
            f"--predict-output {output}: {found[0]} goes with {FILE}, which gives one output for "
            "each input file"
        )
    share = options.data.data_test_share
    if share is None:
        return
    parse_share(share)
    if FILE not in found:
        raise ConfigError(
            f"--data-test-share {share}: all shares would write {output}; one output for each "
            f"input file is asked for with {FILE} in its name, as in --predict-output "
            f"'scores/{FILE}{Path(output).suffix}'"
        )


def parse_share(text: str) -> tuple[int, int]:
    """``3/100`` as the number of a share, counted from 0, and how many there are.

    Raises:
        ConfigError: it is none.
    """
    match = _SHARE.fullmatch(text)
    number, shares = (int(match[1]), int(match[2])) if match else (0, 0)
    if not number < shares:
        raise ConfigError(
            f"--data-test-share {text}: expected the number of the share, counted from 0, and how "
            "many there are, such as 0/100 to 99/100"
        )
    return number, shares


def list_files_to_predict(options: RunOptions) -> list[FileToPredict]:
    """The files of ``--data-test`` that fall to this job, each with its output.

    Of N shares, share I has every N-th file from the I-th on, over all groups in their order, so
    that shares are alike in what they hold.

    Raises:
        ConfigError: two files would have the same output, or an output is an input file.
        DataError: no file matches a pattern.
    """
    output = options.output.predict_output
    files = []
    for group in parse_groups(options.data.data_test):
        for path in group.paths:
            files.append(FileToPredict(group.name, path, _output_of(path, group.name, output)))
    first_with: dict[Path, FileToPredict] = {}
    for file in files:
        other = first_with.setdefault(file.output, file)
        if other is not file:
            raise ConfigError(
                f"--predict-output {output}: {other.path} and {file.path} would both be written to "
                f"{file.output}; {FOLDER} and {GROUP} stand for the folder and the group of a file"
            )
    check_outputs(first_with, [file.path for file in files])
    if options.data.data_test_share is None:
        return files
    number, shares = parse_share(options.data.data_test_share)
    return files[number::shares]


def requeue_file(options: RunOptions) -> Path:
    """What a prediction leaves where it was interrupted: ``OUTPUT_requeue``.

    With one output for each input file, ``share-3-of-100_requeue`` in the folder of all of them.
    """
    output = Path(options.output.predict_output)
    if not is_file_by_file(options):
        return RunFiles(str(output.with_suffix(""))).requeue
    folder = output.parent
    while _IN_BRACES.search(str(folder)):
        folder = folder.parent
    name = "all"
    if options.data.data_test_share is not None:
        name = "share-{}-of-{}".format(*parse_share(options.data.data_test_share))
    return RunFiles(str(folder / name)).requeue


def _output_of(path: str, group: str, output: str) -> Path:
    place = PurePosixPath(urlsplit(path).path if is_remote(path) else os.path.abspath(path))
    names = {FILE: place.stem, FOLDER: place.parent.name, GROUP: group}
    return Path(_IN_BRACES.sub(lambda match: names[match.group()], output))


def check_outputs(outputs: Iterable[Path], inputs: Sequence[str]) -> None:
    """Check that no output takes the place of an input file.

    Raises:
        ConfigError: one would.
    """
    read = {os.path.realpath(path): path for path in inputs if not is_remote(path)}
    for output in outputs:
        taken = read.get(os.path.realpath(output))
        if taken is not None:
            raise ConfigError(
                f"--predict-output: {output} would take the place of the input file {taken}"
            )
