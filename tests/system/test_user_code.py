"""An error in a user's file is shown by the user's own lines, and by what was called."""

import pytest
import torch
from torch import nn

from weaver_tt.config.load import from_mapping
from weaver_tt.errors import ConfigError, UserCodeError
from weaver_tt.log import format_metrics
from weaver_tt.metrics.base import Scored
from weaver_tt.network.file import NetworkFile
from weaver_tt.network.network import Network
from weaver_tt.system.user_code import noting_call, user_errors
from weaver_tt.tasks.registry import make_task

CONFIG = from_mapping(
    {
        "inputs": {
            "jets": {"length": 12, "vars": [f"jet_{name}" for name in "abcde"]},
            "jets_mask": {"length": 12, "vars": ["ones"]},
        },
        "labels": {"type": "simple", "value": ["is_b", "is_c"]},
    },
    source="test.yaml",
)

NETWORK = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(4, 2)

    def forward(self, jets, jets_mask):
        return self.pool(jets * jets_mask)

    def pool(self, jets):
        return self.last(jets.sum(2))

def get_model(data_config, **options):
    return Net(), {"input_names": ["jets", "jets_mask"]}
"""


def written(tmp_path, text):
    path = tmp_path / "net.py"
    path.write_text(text)
    return path


def message_of(action):
    """What is shown of the error of ``action``, which stays as the cause."""
    with pytest.raises(UserCodeError) as raised, user_errors():
        action()
    assert raised.value.__cause__ is not None
    # later versions of torch name the operation
    lines = str(raised.value).replace("addmm: ", "").splitlines()
    assert len(lines) <= 12
    assert not any("weaver_tt/" in line or "site-packages" in line for line in lines)
    return lines


def test_an_error_in_forward_names_the_users_lines_and_the_shapes(tmp_path):
    path = written(tmp_path, NETWORK)
    module, info = NetworkFile(path).get_model(CONFIG, {})
    network = Network(module, info["input_names"], "net.py")
    inputs = {"jets": torch.ones(7, 5, 12), "jets_mask": torch.ones(7, 1, 12)}
    # none of the frames of torch between the two lines
    assert message_of(lambda: network(inputs)) == [
        "net.py, called with jets (N, 5, 12), jets_mask (N, 1, 12), N = 7, failed:",
        f'  File "{path}", line 10, in forward',
        "    return self.pool(jets * jets_mask)",
        f'  File "{path}", line 13, in pool',
        "    return self.last(jets.sum(2))",
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied (7x5 and 4x2)",
    ]


def test_a_module_of_torch_alone_has_no_lines_of_the_users():
    network = Network(nn.Linear(3, 2), ["jets"], "net.py")
    assert message_of(lambda: network({"jets": torch.ones(7, 4)})) == [
        "net.py, called with jets (N, 4), N = 7, failed:",
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied (7x4 and 3x2)",
    ]


def test_an_error_in_get_model_names_its_options(tmp_path):
    path = written(tmp_path, "def get_model(config, hidden=3):\n    return hidden / 0\n")
    assert message_of(lambda: NetworkFile(path).get_model(CONFIG, {"hidden": 64})) == [
        f"{path}: get_model(data_config, hidden=64) failed:",
        f'  File "{path}", line 2, in get_model',
        "    return hidden / 0",
        "ZeroDivisionError: division by zero",
    ]


def test_a_file_that_cannot_be_imported_shows_its_line(tmp_path):
    path = written(tmp_path, "import no_such_library\n")
    assert message_of(lambda: NetworkFile(path)) == [
        "an error in your code:",
        f'  File "{path}", line 1, in <module>',
        "    import no_such_library",
        "ModuleNotFoundError: No module named 'no_such_library'",
    ]


def test_a_mistake_in_writing_is_shown_with_its_place(tmp_path):
    path = written(tmp_path, "x = 1\ndef get_model(:\n")
    lines = message_of(lambda: NetworkFile(path))
    assert lines[1] == f'  File "{path}", line 2'
    assert lines[2].strip() == "def get_model(:"
    assert lines[-1].startswith("SyntaxError: ")


def test_an_error_in_the_loss_names_what_it_was_given(tmp_path):
    text = (
        "def get_loss(config):\n    return loss\ndef loss(output, label):\n    return label[99]\n"
    )
    path = written(tmp_path, text)
    task = make_task(CONFIG, NetworkFile(path).get_loss(CONFIG, {}))
    scored = Scored(
        torch.zeros(3, 2), torch.tensor([0, 1, 0]), torch.ones(3), torch.ones(3, dtype=torch.int64)
    )
    lines = message_of(lambda: task.losses(scored))
    assert lines[0] == (
        "the loss of get_loss, called with output (N, 2) and label (N), N = 3, failed:"
    )
    assert lines[1:3] == [f'  File "{path}", line 4, in loss', "    return label[99]"]


def test_many_frames_and_long_messages_are_cut_to_twelve_lines(tmp_path):
    text = "def get_model(config):\n    return down(9)\ndef down(n):\n"
    text += (
        "    if n == 0:\n        raise ValueError('a\\nb\\nc\\nd\\ne')\n    return down(n - 1)\n"
    )
    path = written(tmp_path, text)
    lines = message_of(lambda: NetworkFile(path).get_model(CONFIG, {}))
    assert len(lines) == 12
    # the outermost frame, and the innermost
    assert lines[1].endswith("line 2, in get_model")
    assert lines[7].endswith("line 5, in down")
    assert lines[9:] == ["ValueError: a", "b", "c"]


def test_errors_of_ours_keep_their_traceback():
    with pytest.raises(AttributeError), user_errors():
        format_metrics(None)


def test_errors_that_say_what_to_do_pass_as_they_are():
    with pytest.raises(ConfigError, match="as it is"), user_errors(), noting_call(lambda: "call"):
        raise ConfigError("as it is")


def test_the_innermost_call_is_named():
    with (
        pytest.raises(UserCodeError, match=r"^inner failed:"),
        user_errors(),
        noting_call(lambda: "outer"),
        noting_call(lambda: "inner"),
    ):
        raise ValueError
