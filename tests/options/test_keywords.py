"""Options from Python: the flags as keyword arguments."""

from pathlib import Path

import numpy as np
import pytest

from weaver_tt.errors import ConfigError
from weaver_tt.options.keywords import options_from_keywords
from weaver_tt.options.train import parse_options


def test_keywords_make_the_options_that_the_flags_make():
    keywords = {
        "data_config": Path("d.yaml"),
        "data_train": ["a.root", Path("b.root")],
        "data_test": "c.root",
        "data_fraction": 1,
        "network_option": {"hidden": (64, 32), "name": "relu", "deep": False},
        "seed": 3,
        "gpus": "",
        "use_amp": True,
        "figures": False,
        "early_stopping": None,
    }
    flags = (
        "-c d.yaml -i a.root b.root -t c.root --data-fraction 1 -o hidden (64,32) -o name 'relu'"
    )
    flags += " -o deep False --seed 3 --gpus= --use-amp --no-figures"
    expected = parse_options(flags.split())
    expected.network.network_option[0][1] = "(64, 32)"
    assert options_from_keywords(keywords) == expected


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"num_epoch": 3}, "unknown key 'num_epoch'; did you mean 'num_epochs'"),
        ({"num_epochs": 3.0}, "num_epochs: expected a whole number, found 3.0"),
        ({"num_epochs": True}, "num_epochs: expected a whole number, found True"),
        ({"num_epochs": None}, "num_epochs: expected a whole number, found None"),
        ({"start_lr": "1e-3"}, "start_lr: expected a number, found '1e-3'"),
        ({"use_amp": 1}, "use_amp: expected true or false, found 1"),
        ({"seed": "a"}, "seed: expected a whole number, found 'a'"),
        ({"data_train": 3}, "data_train: expected a list of text or paths, found 3"),
        ({"amp_dtype": "fp8"}, "amp_dtype: 'fp8'; known: bf16, fp16"),
        ({"network_option": [("a", 1)]}, "network_option: expected a mapping such as"),
        ({"network_option": {"a": np.ones(2)}}, "network_option: a: expected numbers, text"),
        ({"network_option": {"a": [np.ones(2)]}}, "network_option: a: expected numbers, text"),
        ({"network_option": {"a": object}}, "network_option: a: expected numbers, text"),
    ],
)
def test_what_no_flag_would_take_is_refused(keywords, message):
    with pytest.raises(ConfigError, match=message):
        options_from_keywords(keywords)
