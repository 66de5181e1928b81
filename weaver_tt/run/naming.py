"""What a run is called and what it draws its random numbers from."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from typing import Any

import numpy as np

from weaver_tt.engine.trackers.make import FOLDERS
from weaver_tt.options.train import RunOptions, TrainOptions
from weaver_tt.run.run_card import load_card
from weaver_tt.run_files import RunFiles
from weaver_tt.system.examples import find_example


def auto_name(options: RunOptions) -> str:
    """What ``{auto}`` stands for: time, network, optimizer, learning rate and batch size."""
    network = find_example(options.network.network_config, "network_configs", ".py").stem
    started = time.strftime("%Y%m%d-%H%M%S")
    rate = f"lr{options.train.start_lr:g}"
    batch = f"batch{options.data.batch_size}"
    return f"{started}_{network}_{options.train.optimizer}_{rate}_{batch}"


def with_run_name(options: RunOptions, name: str) -> RunOptions:
    """``options`` with the places that a run called ``name`` writes to filled in.

    These are the model prefix, the log file, and the folders of trackers, ``off`` for none.
    """
    prefix = options.network.model_prefix.replace("{auto}", name)
    card = load_card(prefix) if options.train.resume else None
    saved_options = card["options"]["train"] if card else {}
    folders: dict[str, Any] = {}
    for option, find_folder in FOLDERS.items():
        # a resumed run goes on in the folder that it had
        folder = find_folder(getattr(options.train, option), prefix, saved_options.get(option))
        folders[option] = folder or "off"
    log_file = options.train.log or str(RunFiles(prefix).log)
    return replace(
        options,
        train=replace(options.train, log=log_file.replace("{auto}", name), **folders),
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
    """``--seed``; without it the seed of the run to be resumed, or a fresh one.

    It is reported in the log and kept in the run card.
    """
    if options.train.seed is not None:
        return options.train.seed
    card = load_card(prefix) if options.train.resume else None
    return int(card["seed"]) if card else secrets.randbelow(2**31)


def seed_of_member(seed: int, member: int) -> int:
    """A seed for one member, unlike that of any member of a run with another seed."""
    sequence = np.random.SeedSequence((seed, member))
    # 31 bits: more than that some generators do not take
    return int(sequence.generate_state(1)[0]) >> 1
