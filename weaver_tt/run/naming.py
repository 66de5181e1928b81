"""What a run is called and what it draws its random numbers from."""

from __future__ import annotations

import itertools
import secrets
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from weaver_tt.engine.checkpoint import check_writable, saved_seed
from weaver_tt.engine.trackers.make import FOLDERS
from weaver_tt.log import configure_log, open_log_file
from weaver_tt.options.train import RunOptions, TrainOptions
from weaver_tt.run.checks import is_continuation
from weaver_tt.run.run_card import load_card
from weaver_tt.run_files import RunFiles
from weaver_tt.system import distributed
from weaver_tt.system.distributed import run_on_main
from weaver_tt.system.examples import find_example

# what the name of a run stands in for
AUTO = "{auto}"


def auto_name(options: RunOptions) -> str:
    """What ``{auto}`` stands for: time, network, optimizer, learning rate and batch size."""
    network = find_example(options.network.network_config, "network_configs", ".py").stem
    started = time.strftime("%Y%m%d-%H%M%S")
    rate = f"lr{options.train.start_lr:g}"
    batch = f"batch{options.data.batch_size}"
    return f"{started}_{network}_{options.train.optimizer}_{rate}_{batch}"


def choose_name(options: RunOptions) -> str:
    """A name for a run that no other run has; its folder and, for ``{auto}``, its card are made.

    Runs that begin in the same second with the same settings would share what ``{auto}`` stands
    for: the second one gets ``-2``.

    Raises:
        OutputError: nothing can be written there.
    """
    name = auto_name(options)
    template = options.network.model_prefix
    for number in itertools.count(2):
        files = RunFiles(template.replace(AUTO, name))
        check_writable(files)
        # whoever makes the card has the name
        if AUTO not in template or _make_empty_card(files.card):
            return name
        name = f"{auto_name(options)}-{number}"
    raise AssertionError


def _make_empty_card(path: Path) -> bool:
    """Make a card that says nothing yet; whether there was none."""
    try:
        with path.open("x") as file:
            file.write("{}\n")
    except FileExistsError:
        return False
    return True


def open_run(options: RunOptions) -> RunOptions:
    """``options`` with a name for the run, whose folder and log exist from now on."""
    options = name_run(options)
    configure_log(file=options.train.log, rank=distributed.rank())
    return options


def name_run(options: RunOptions) -> RunOptions:
    """``options`` with a name for the run, whose folder exists from now on."""

    def begin() -> str:
        log_file = options.train.log
        if log_file is not None and AUTO not in log_file:
            # a log that cannot be written leaves no folder behind
            open_log_file(log_file).close()
        return choose_name(options)

    return with_run_name(options, run_on_main(begin))


def with_run_name(options: RunOptions, name: str) -> RunOptions:
    """``options`` with the places that a run called ``name`` writes to filled in.

    These are the model prefix, the log file, and the folders of trackers, ``off`` for none.
    """
    prefix = options.network.model_prefix.replace(AUTO, name)
    card = load_card(prefix) if is_continuation(options) else None
    saved_options = card["options"]["train"] if card else {}
    folders: dict[str, Any] = {}
    for option, find_folder in FOLDERS.items():
        # a continued run goes on in the folder that it had
        folder = find_folder(getattr(options.train, option), prefix, saved_options.get(option))
        folders[option] = folder or "off"
    log_file = options.train.log or str(RunFiles(prefix).log)
    return replace(
        options,
        train=replace(options.train, log=log_file.replace(AUTO, name), **folders),
        network=replace(options.network, model_prefix=prefix),
    )


def with_tracker_subfolders(options: TrainOptions, name: str) -> TrainOptions:
    """``options`` in which trackers write to ``name`` below their folders.

    Members of an ensemble and folds of a cross-validation must not write over each other.
    """
    folders: dict[str, Any] = {}
    for option in FOLDERS:
        folder = getattr(options, option)
        if folder not in (None, "off"):
            folders[option] = f"{folder}/{name}"
    return replace(options, **folders)


def choose_seed(options: RunOptions, prefix: str) -> int:
    """``--seed``; without it the seed of the run to be continued, or a fresh one.

    It is reported in the log and kept in the run card.
    """
    if options.train.seed is not None:
        return options.train.seed
    if is_continuation(options):
        card = load_card(prefix)
        if card:
            return int(card["seed"])
        # a run whose card is lost or damaged
        for path in RunFiles(prefix).resumable():
            seed = saved_seed(path)
            if seed is not None:
                return seed
    return draw_seed()


def draw_seed() -> int:
    """A fresh seed, of 31 bits."""
    return secrets.randbelow(2**31)


def seed_of_member(seed: int, member: int) -> int:
    """A seed for one member, unlike that of any member of a run with another seed."""
    sequence = np.random.SeedSequence((seed, member))
    # 31 bits: more than that some generators do not take
    return int(sequence.generate_state(1)[0]) >> 1
