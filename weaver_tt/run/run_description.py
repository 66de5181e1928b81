"""What trackers say of a run beside its curves: its name, its settings, what made it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from weaver_tt.engine.trackers.base import RunDescription, Setting
from weaver_tt.options.flags import default_of
from weaver_tt.options.literals import read_options
from weaver_tt.options.train import RunOptions
from weaver_tt.run.continuation import NOT_COMPARED
from weaver_tt.run_files import RunFiles
from weaver_tt.system.examples import PREFIX as EXAMPLE
from weaver_tt.system.json_files import json_text
from weaver_tt.system.terminal import command_text

# said in any case; of the other options, those that differ from their default
ALWAYS = ("batch_size", "num_epochs", "optimizer", "start_lr", "lr_scheduler")
# options that say where files are, or how a run goes, are no settings, but for this one
NO_SETTINGS = NOT_COMPARED - {"load_model_weights"}
COMMAND_WIDTH = 100  # characters of a line of the command
# configuration in the run card -> the name of a file of it
TEXTS = {"data": "data.yaml", "network": "network.py", "functions": "functions.py"}


def describe_run(
    options: RunOptions,
    prefix: str,
    seed: int,
    card: Mapping[str, Any],
    headline: Sequence[str],
) -> RunDescription:
    """What trackers say of the network ``prefix`` that is trained with ``options`` and ``seed``.

    ``card``: that of its run, empty on ranks that report nothing.
    """
    files = RunFiles(prefix)
    whole = files.run.whole
    return RunDescription(
        name=short_name(prefix),
        group=None if whole == files else short_name(whole.prefix),
        settings={**dict(settings_of(options)), "seed": seed},
        texts=texts_of(card),
        headline=list(headline),
    )


def short_name(prefix: str) -> str:
    """The end of a prefix that tells runs apart: many are called ``network``, in other folders."""
    return "/".join(Path(prefix).parts[-2:])


def settings_of(options: RunOptions) -> Iterator[tuple[str, Setting]]:
    """Names and values of what a network may be better or worse by.

    Data YAML and network file by their names and folders, as each folder that ``weaver-tt init``
    writes has a ``data.yaml``; options of the network as ``network.KEY``.
    """
    yield "data", short_name(_without_ending(options.data.data_config))
    yield "network", short_name(_without_ending(options.network.network_config))
    for part in (options.data, options.network, options.train):
        for item in fields(part):
            value = getattr(part, item.name)
            if item.metadata["argparse"].get("nargs") == 2:
                kind = item.name.removesuffix("_option")
                for key, of_key in read_options(value).items():
                    yield f"{kind}.{key}", as_setting(of_key)
            elif item.name in ALWAYS or (
                item.name not in NO_SETTINGS and value != default_of(item)
            ):
                yield item.name, as_setting(value)


def _without_ending(file: str) -> str:
    return str(Path(file.removeprefix(EXAMPLE)).with_suffix(""))


def as_setting(value: Any) -> Setting:
    """``value`` as trackers take it: a number, or text."""
    return value if isinstance(value, bool | int | float | str) else str(value)


def texts_of(card: Mapping[str, Any]) -> dict[str, str]:
    """What made a run, by names of files: the command, the configurations, the card itself."""
    if not card:
        return {}
    # a line as long as a command is would be cut off
    words = shlex.split(str(card["command"]))
    texts = {"command.txt": command_text(words, COMMAND_WIDTH).strip()}
    for kind, text in card["configs"].items():
        texts[TEXTS[kind]] = text
    # the configurations have been said
    rest = {key: value for key, value in card.items() if key != "configs"}
    return texts | {"run_card.json": json_text(rest)}
