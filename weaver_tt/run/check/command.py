"""``weaver-tt check``: what is in the data of a training, and whether it would run."""

from __future__ import annotations

from dataclasses import replace

from weaver_tt.errors import ConfigError
from weaver_tt.options.check import CheckRun
from weaver_tt.options.flags import check_bounds, words_of
from weaver_tt.options.train import check_all_bounds
from weaver_tt.run.check.findings import find_all
from weaver_tt.run.check.page import page, show_page
from weaver_tt.run.checks import check_exclusive_flags, check_training_options
from weaver_tt.run.starter_files import network_beside
from weaver_tt.system import distributed
from weaver_tt.system.json_files import json_text
from weaver_tt.system.terminal import console, prints_to_terminal, show_commands
from weaver_tt.system.wording import counted


def run_check(options: CheckRun) -> None:
    """Print what is found, as tables or as JSON.

    Raises:
        ConfigError: flags are missing or impossible, or the training would fail; what would fail
            has been printed.
    """
    data = options.data
    if not data.data_config or not (data.data_train or data.data_val or data.data_test):
        raise ConfigError(
            "--data-config and files (--data-train, --data-val or --data-test) must be given"
        )
    check_exclusive_flags(options)
    check_all_bounds(options)
    check_bounds(options.check)
    check_training_options(options.train)
    with distributed.joined_ranks(options.train.backend):
        number = distributed.run_on_main(lambda: print_findings(options))
        if number == 0:
            return
        raise ConfigError(f"{counted(number, 'problem')}, listed above")


def print_findings(options: CheckRun) -> int:
    """Print what is found; returns the number of problems."""
    findings = find_all(options)
    if options.check.json:
        print(json_text(findings.to_json()))
    elif prints_to_terminal():
        screen = console(stderr=False)
        show_page(screen, findings, _facts(options))
        if not findings.problems and options.data.data_train:
            show_commands(screen, [_training(options)])
    else:
        print(page(findings))
    return len(findings.problems)


def _facts(options: CheckRun) -> list[tuple[str, str]]:
    """What was looked at."""
    facts = [("data", options.data.data_config)]
    if options.network.network_config:
        facts.append(("network", options.network.network_config))
    flags = {"data_train": "train", "data_val": "validate", "data_test": "test"}
    for name, title in flags.items():
        patterns = getattr(options.data, name)
        if patterns:
            facts.append((title, " ".join(patterns)))
    return facts


def _training(options: CheckRun) -> list[str]:
    """The command that trains as was tried; where no network was, its file is to be chosen."""
    network = options.network
    if not network.network_config:
        network = replace(network, network_config=network_beside(options.data.data_config))
    parts = (options.data, network, options.train, options.output, options.label)
    return ["weaver-tt", "train", *(word for part in parts for word in words_of(part))]
