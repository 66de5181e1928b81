"""Commands on the pages: a shell makes of them what the commands understand.

Blocks of commands are run by bash in an empty folder with stand-ins that write down what they are
called with, so that loops, variables and patterns are those that a reader gets.
"""

import os
import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from tests.options.parsing import OF_TRAINING, parse
from weaver_tt.cli import COMMANDS
from weaver_tt.errors import WeaverError
from weaver_tt.options.check import CheckOptions
from weaver_tt.options.flags import spellings
from weaver_tt.options.train import RunOptions
from weaver_tt.options.tune import TuneOptions
from weaver_tt.system.examples import list_examples
from weaver_tt.weaver_compat.retired_flags import RETIRED

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])

BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
SHELL = {"", "sh", "bash"}  # languages of blocks
PROMPT = "$ "
STAND_IN = """#!/bin/bash
{ printf '%s\\x1f' "${0##*/}" "$@"; printf '\\x1e'; } >> "$WRITTEN_DOWN"
"""
# what of a shell the blocks need beside their commands
PROGRAMS = ["seq"]


def blocks(page):
    """Blocks of commands of a page; of those that show what is printed, the commands alone."""
    found = []
    for _, language, block in BLOCK.findall(page.read_text()):
        if language not in SHELL:
            continue
        text = block.replace("\\\n", "")
        lines = text.splitlines()
        typed = [line[len(PROMPT) :] for line in lines if line.startswith(PROMPT)]
        found.append("\n".join(typed) if typed else text)
    return [block for block in found if re.search(r"weaver-tt|train\.py|benchmarks/", block)]


def calls(block, folder):
    """What the commands of a ``block`` are called with: lists of words, the command first."""
    programs = folder / "programs"
    programs.mkdir()
    for name in ("weaver-tt", "weaver-tt-apply", "python"):
        (programs / name).write_text(STAND_IN)
        (programs / name).chmod(0o755)
    # it starts what it is given
    (programs / "srun").write_text('#!/bin/bash\nexec "$@"\n')
    (programs / "srun").chmod(0o755)
    for name in PROGRAMS:
        (programs / name).symlink_to(shutil.which(name))
    work = folder / "work"
    work.mkdir()
    written = folder / "written"
    written.touch()
    surroundings = {"PATH": str(programs), "WRITTEN_DOWN": str(written), "SLURM_ARRAY_TASK_ID": "3"}
    subprocess.run(
        [shutil.which("bash"), "-c", block],
        cwd=work,
        env=surroundings | {"LANG": os.environ.get("LANG", "C.UTF-8")},
        capture_output=True,
        check=False,
        timeout=60,
    )
    records = written.read_text().split("\x1e")[:-1]
    return [record.split("\x1f")[:-1] for record in records]


def check_call(words):
    """Whether a command with these words exists and understands them."""
    program, *rest = words
    if program == "weaver-tt-apply":
        parse("apply", rest)
        return
    if program == "python":
        script = rest[0]
        if script == "train.py":
            parse("train", rest[1:])
        elif script.startswith("benchmarks/"):
            source = (ROOT / script).read_text()
            for flag in (word for word in rest if word.startswith("--")):
                assert f'"{flag}"' in source, (script, flag)
        return
    length = 2 if rest[0] == "jec" else 1
    command = " ".join(rest[:length])
    assert command in {*COMMANDS, *OF_TRAINING}, command
    parse(command, rest[length:])


EXAMPLE = "weaver_tt:"
EXAMPLES = {
    *list_examples("data_configs", ".yaml"),
    *list_examples("network_configs", ".py"),
}
PAGES_WITH_COMMANDS = [page for page in PAGES if blocks(page)]


@pytest.mark.parametrize("page", PAGES_WITH_COMMANDS, ids=lambda page: page.name)
def test_commands_of_a_page_are_understood(page, tmp_path):
    for place, block in enumerate(blocks(page)):
        folder = tmp_path / str(place)
        folder.mkdir()
        for words in calls(block, folder):
            # `...` stands for what the page has said before
            if {"...", "…"} & {*words}:
                continue
            check_call(words)
            examples = [word for word in words if word.startswith(EXAMPLE)]
            assert {name.removeprefix(EXAMPLE) for name in examples} <= EXAMPLES


FLAG = re.compile(r"(?<![\w-])--[a-z][\w-]*")
# of pip, tensorboard, torchrun, Slurm and forks of Weaver, or one that a page says is refused
OTHERS = {
    *("--help", "--force-reinstall", "--no-deps", "--logdir", "--requeue"),
    *("--nproc-per-node", "--no-python", "--train-mode", "--num-epoch"),
}


def known_flags():
    """Flags of all commands and benchmarks, and those of Weaver that are answered by a line."""
    of_training = [item.default_factory for item in fields(RunOptions)]
    parts = [*of_training, CheckOptions, TuneOptions]
    parts += [part for command in COMMANDS.values() for part in command.parts]
    flags = {flag for part in parts for item in fields(part) for flag in spellings(item)}
    flags |= {flag.replace("--", "--no-", 1) for flag in flags}
    flags |= RETIRED.keys()
    for script in (ROOT / "benchmarks").glob("*.py"):
        flags |= set(re.findall(r'"(--[a-z-]+)"', script.read_text()))
    return flags | OTHERS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_flags_that_a_page_names_exist(page):
    prose = re.sub(BLOCK, "", page.read_text())
    named = {flag for code in re.findall(r"`([^`]+)`", prose) for flag in FLAG.findall(code)}
    assert named - known_flags() == set()


def test_a_shell_makes_words_of_loops_and_prompts_and_leaves_what_is_printed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```\nfor p in top qcd; do\n  weaver-tt simulate --process $p \\\n    -n 3\ndone\n```\n"
        "```\n$ weaver-tt init a.root\nweaver-tt is not called by this line\n```\n"
        "```python\nweaver-tt = 1\n```\n"
    )
    found = []
    for number, block in enumerate(blocks(page)):
        (tmp_path / str(number)).mkdir()
        found += calls(block, tmp_path / str(number))
    simulate = ["weaver-tt", "simulate", "--process"]
    assert found == [
        [*simulate, "top", "-n", "3"],
        [*simulate, "qcd", "-n", "3"],
        ["weaver-tt", "init", "a.root"],
    ]


def test_a_command_or_flag_that_does_not_exist_is_found():
    with pytest.raises(AssertionError, match="trian"):
        check_call(["weaver-tt", "trian"])
    with pytest.raises((SystemExit, WeaverError)):
        check_call(["python", "train.py", "-c", "d.yaml", "-i", "a.root", "--learning-rate", "1"])
