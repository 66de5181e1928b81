"""The page of the command line says what ``--help`` says.

``python tests/options/test_command_line_page.py`` writes its lists of flags anew.
"""

import re
import textwrap
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

from weaver_tt.cli import COMMANDS, TOPICS, load_object
from weaver_tt.options.flags import help_text, spellings, value_type
from weaver_tt.options.train import RunOptions

PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"
# commands that take the flags of a training, too
BESIDE_TRAINING = ["weaver_tt.options.check:CheckOptions", "weaver_tt.options.tune:TuneOptions"]
LIST = re.compile(r"<!-- flags of (\S+) -->\n(.*?)<!-- end -->\n", flags=re.S)


def flag_list(options):
    """A list with an entry for each flag of a dataclass, at most 100 columns wide."""
    lines = []
    hints = get_type_hints(options)
    for item in fields(options):
        settings = item.metadata["argparse"]
        names = [f"`{name}`" for name in spellings(item)]
        if settings.get("positional"):
            names = [f"`{item.name.upper()}`"]
        elif value_type(hints[item.name]) is bool and settings.get("action") is None:
            names.append("`--no-" + item.name.replace("_", "-") + "`")
        text = help_text(item).replace("%%", "%").replace("*", r"\*")
        if "choices" in settings:
            text += f" [{', '.join(settings['choices'])}]"
        lines += textwrap.wrap(
            f"- {', '.join(names)}: {text}",
            width=100,
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines) + "\n"


def with_flags(page):
    """The page with the lists as they should be."""

    def make_list(match):
        return f"<!-- flags of {match[1]} -->\n{flag_list(load_object(match[1]))}<!-- end -->\n"

    return LIST.sub(make_list, page)


def test_the_lists_of_the_page_are_those_of_the_flags():
    page = PAGE.read_text()
    assert with_flags(page) == page


def test_every_command_has_a_list_on_the_page():
    listed = [name for name, _ in LIST.findall(PAGE.read_text())]
    parts = [part.default_factory for part in fields(RunOptions)]
    of_training = [f"{part.__module__}:{part.__name__}" for part in parts]
    assert sorted(listed) == sorted(
        [*of_training, *BESIDE_TRAINING, *(command.options for command in COMMANDS.values())]
    )


def test_the_table_of_commands_is_that_of_the_help():
    table = PAGE.read_text().partition("| to | commands |")[2].partition("\n\n")[0]
    shown = {}
    for row in table.splitlines()[2:]:
        topic, commands = [cell.strip() for cell in row.strip("|").split(" | ")]
        shown[topic] = re.findall(r"\[`([a-z -]+)`\]", commands)
    assert shown == TOPICS


if __name__ == "__main__":
    PAGE.write_text(with_flags(PAGE.read_text()))
