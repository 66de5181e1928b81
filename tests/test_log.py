"""The logger speaks on rank 0 and writes its file."""

import logging

import pytest

from weaver_tt.errors import OutputError
from weaver_tt.log import configure_log, format_metrics, log


@pytest.fixture(autouse=True)
def silent_afterwards():
    yield
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()
    log.addHandler(logging.NullHandler())
    log.propagate = True
    log.setLevel(logging.NOTSET)


def test_messages_reach_stderr_and_the_file(tmp_path, capsys):
    configure_log(file=str(tmp_path / "new" / "run.log"))
    log.info("23 rows")
    assert "23 rows" in capsys.readouterr().err
    assert "INFO    23 rows" in (tmp_path / "new" / "run.log").read_text()


def test_other_ranks_are_silent_below_errors_and_write_no_file(tmp_path, capsys):
    configure_log(file=str(tmp_path / "run.log"), rank=1)
    log.warning("only rank 0 says this")
    log.error("everybody says this")
    assert "only rank 0" not in (err := capsys.readouterr().err)
    assert "everybody" in err
    assert not (tmp_path / "run.log").exists()


def test_configuring_twice_does_not_repeat_messages(capsys):
    configure_log()
    configure_log()
    log.info("once")
    assert capsys.readouterr().err.count("once") == 1


def test_what_is_not_defined_is_left_out_of_the_line():
    assert (
        format_metrics({"loss": 0.123456, "auc_c": float("nan"), "rejection": float("inf")})
        == "loss 0.12346, rejection inf"
    )


def test_a_log_that_cannot_be_written_is_an_output_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"run\.log: cannot be written"):
        configure_log(file=str(tmp_path / "file" / "run.log"))
