"""What the YAML of a search says."""

import optuna
import pytest

from weaver_tt.errors import ConfigError
from weaver_tt.options.train import RunOptions
from weaver_tt.run.tune_space import load_space


@pytest.fixture
def space(tmp_path):
    """The space of a text."""

    def load(text):
        path = tmp_path / "space.yaml"
        path.write_text(text)
        return load_space(str(path))

    return load


def test_names_are_those_of_the_command_line(space):
    text = "network: {hidden: [2, 3]}\noptimizer: {eps: [1]}\nflags: {start-lr: [1], seed: [1, 2]}"
    assert list(space(text).dimensions) == ["-o hidden", "-p eps", "--start-lr", "--seed"]


def test_ranges_and_choices_become_distributions(space):
    found = space(
        """
        network:
          width: {low: 8, high: 64, step: 8}
          dropout: {low: 0, high: 0.5}
          layers: [[64, 64], [128]]
          norm: [true, none, batch]
        flags:
          start_lr: {low: 1e-4, high: 1, log: true}
          num_epochs: {low: 2, high: 9}
        """
    ).distributions()
    kinds = optuna.distributions
    assert found == {
        "-o width": kinds.IntDistribution(8, 64, step=8),
        "-o dropout": kinds.FloatDistribution(0, 0.5),
        "-o layers": kinds.CategoricalDistribution(["(64, 64)", "(128,)"]),
        "-o norm": kinds.CategoricalDistribution([True, None, "batch"]),
        # whole ends, but no whole numbers: the flag says so
        "--start-lr": kinds.FloatDistribution(1e-4, 1, log=True),
        "--num-epochs": kinds.IntDistribution(2, 9),
    }


def test_values_become_options_of_a_run(space):
    found = space(
        """
        network: {layers: [[64, 64]], lr: [1e-3], name: [relu]}
        optimizer: {weight_decay: [1e-2]}
        flags: {start_lr: [1e-3], optimizer: ["1e-3"], batch_size: [8]}
        """
    )
    values = {
        name: one.value(one.distribution().choices[0]) for name, one in found.dimensions.items()
    }
    options = RunOptions()
    options.network.network_option = [["layers", "3"], ["deep", "True"]]
    run = found.apply(options, values)
    # of pairs with the same key, the last one counts
    assert run.network.network_option == [
        *[["layers", "3"], ["deep", "True"]],
        *[["layers", "(64, 64)"], ["lr", "0.001"], ["name", "relu"]],
    ]
    assert run.train.optimizer_option == [["weight_decay", "0.01"]]
    # YAML takes 1e-3 for text; a flag of text takes it as it is
    assert (run.train.start_lr, run.train.optimizer, run.data.batch_size) == (1e-3, "1e-3", 8)
    assert options.data.batch_size == 128


def test_a_choice_keeps_its_kind(space):
    dimension = space("network: {deep: [true, 1, 1.5]}").dimensions["-o deep"]
    assert [dimension.value(drawn) for drawn in (True, 1, 1.5)] == [True, 1, 1.5]
    assert type(dimension.value(1)) is int
    assert dimension.value(True) is True


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("flags: {start_rl: [1]}", "unknown key 'start_rl'; did you mean 'start_lr'"),
        ("flag: {start_lr: [1]}", "unknown key 'flag'; did you mean 'flags'"),
        ("flags: {model_prefix: [a, b]}", "model_prefix: is the same in all trials"),
        ("flags: {data_train: [a, b]}", "data_train: is the same in all trials"),
        ("flags: {predict: [true]}", "predict: is the same in all trials"),
        ("flags: {network_option: [a]}", "such options stand below network:"),
        ("flags: {optimizer: {low: 1, high: 2}}", "its values are no numbers"),
        ("flags: {batch_size: {low: 1, high: 2.5}}", "expected whole numbers"),
        ("flags: {start_lr: {low: 1, hihg: 2}}", "unknown key 'hihg'; did you mean 'high'"),
        ("flags: {start_lr: {low: 1}}", "start_lr: high: expected a number, found None"),
        ("flags: {start_lr: {low: 1, high: x}}", "start_lr: high: expected a number, found 'x'"),
        ("flags: {start_lr: {low: 1, high: .inf}}", "start_lr: high: expected a number"),
        ("flags: {start_lr: {low: 2, high: 1}}", "expected low below high, found 2 and 1"),
        ("flags: {start_lr: {low: 0, high: 1, log: true}}", "log: expected low above 0"),
        ("flags: {start_lr: {low: 0, high: 1, log: 3}}", "log: expected true or false"),
        ("flags: {start_lr: {low: 0, high: 1, step: 2}}", "step: expected a number above 0"),
        ("network: {hidden: 3}", "expected a list of choices"),
        ("network: {hidden: []}", "expected a list of choices"),
        ("network: {hidden: [3, 3]}", "a choice is there twice"),
        ("network: {}", "nothing is varied"),
        ("- 3", "expected keys with values"),
    ],
)
def test_what_is_no_space_is_refused(space, text, message):
    with pytest.raises(ConfigError) as error:
        space(text)
    assert message in str(error.value)
