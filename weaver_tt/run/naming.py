"""What a run is called and what it draws its random numbers from."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from weaver_tt.engine.trackers.tensorboard import tensorboard_folder
from weaver_tt.options.train import RunOptions
from weaver_tt.run.run_card import load_card


def auto_name(options: RunOptions) -> str:
    """What ``{auto}`` stands for: time, network, optimiser, learning rate and batch size."""
    network = Path(options.network.network_config).stem
    return f"{time.strftime('%Y%m%d-%H%M%S')}_{network}_{options.train.optimizer}_lr{options.train.start_lr:g}_batch{options.data.batch_size}"


def with_run_name(options: RunOptions, name: str) -> RunOptions:
    """``options`` with the places that a run called ``name`` writes to filled in: model prefix, log file, TensorBoard's folder."""
    prefix = options.network.model_prefix.replace("{auto}", name)
    card = load_card(prefix) if options.train.resume else None
    folder = tensorboard_folder(
        options.train.tensorboard, prefix, card["options"]["train"]["tensorboard"] if card else None
    )
    train = replace(
        options.train,
        log=(options.train.log or f"{prefix}.log").replace("{auto}", name),
        tensorboard=folder or "off",
    )
    return replace(options, train=train, network=replace(options.network, model_prefix=prefix))


def choose_seed(options: RunOptions, prefix: str) -> int:
    """``--seed``; without it that of the run to be resumed, or a fresh one (told in the log, kept in the run card)."""
    if options.train.seed is not None:
        return options.train.seed
    card = load_card(prefix) if options.train.resume else None
    return int(card["seed"]) if card else secrets.randbelow(2**31)


def seed_of_member(seed: int, member: int) -> int:
    """A seed for one member, unlike that of any member of a run with another seed."""
    return int(np.random.SeedSequence((seed, member)).generate_state(1)[0]) >> 1
