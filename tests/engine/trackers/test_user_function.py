"""A user's function that is called while a run goes on."""

import pytest
import torch

from weaver_tt.engine.trackers.base import RunDescription
from weaver_tt.engine.trackers.make import make_tracker
from weaver_tt.engine.trackers.user_function import UserFunction
from weaver_tt.errors import ConfigError
from weaver_tt.options.train import TrainOptions

USER = """
def get_tensorboard_custom_fn(tb_writer, model_output, model, epoch, i_batch, mode):
    import torch
    assert not torch.is_grad_enabled()
    tb_writer.append((mode, epoch, i_batch, model_output.tolist(), type(model).__name__))
"""


def test_a_users_function_gets_what_weaver_gives_it(tmp_path):
    (tmp_path / "f.py").write_text(USER)
    writer = []
    module = torch.nn.Identity()
    with UserFunction(str(tmp_path / "f.py"), writer, module) as tracker:
        tracker.begin("train", 3)
        module(torch.tensor([1.0]))
        tracker.interval({}, 50)
        module(torch.tensor([2.0]))
        tracker.end()
        tracker.begin("validate", 3)
        module(torch.tensor([4.0]))
        tracker.end()
    assert writer == [
        ("train", 3, 50, [1.0], "Identity"),
        ("train", 3, -1, [2.0], "Identity"),
        ("eval", 3, -1, [4.0], "Identity"),
    ]
    assert not module._forward_hooks


def test_a_file_without_the_function_is_refused(tmp_path):
    (tmp_path / "f.py").write_text("x = 1")
    with pytest.raises(ConfigError, match="has no function get_tensorboard_custom_fn"):
        UserFunction(str(tmp_path / "f.py"), None, torch.nn.Identity())
    with pytest.raises(ConfigError, match=r"--tensorboard-custom-fn .*g\.py: no such file"):
        UserFunction(str(tmp_path / "g.py"), None, torch.nn.Identity())


def test_the_function_writes_to_the_boards_folder(tmp_path):
    (tmp_path / "f.py").write_text(
        USER.replace("tb_writer.append", "tb_writer.add_text('x', str") + ")"
    )
    module = torch.nn.Identity()
    options = TrainOptions(tensorboard_custom_fn=str(tmp_path / "f.py"))
    with make_tracker(options, str(tmp_path / "net"), RunDescription(name="net"), module):
        assert module._forward_hooks
    assert not module._forward_hooks
