"""Which files a job of many predicts, and what their outputs are called."""

from pathlib import Path

import pytest

from weaver_tt.errors import ConfigError
from weaver_tt.options.keywords import options_from_keywords
from weaver_tt.run.file_by_file import (
    check_file_by_file,
    list_files_to_predict,
    parse_share,
    requeue_file,
)


@pytest.fixture
def samples(tmp_path, monkeypatch):
    """Two samples whose files have the same names, as those of a production have."""
    monkeypatch.chdir(tmp_path)
    for sample in ("ttbar", "dijet"):
        for number in range(5):
            path = tmp_path / "data" / sample / f"nano_{number}.root"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return ["top:data/ttbar/*.root", "jets:data/dijet/*.root"]


def options(files, output="scores/{folder}/{file}.root", share=None):
    keywords = {"data_test": files, "predict_output": output, "data_test_share": share}
    return options_from_keywords(keywords)


def outputs(*arguments):
    return [str(file.output) for file in list_files_to_predict(options(*arguments))]


def test_an_output_has_the_name_of_its_input(samples):
    expected = [f"scores/{sample}/nano_{i}.root" for sample in ("ttbar", "dijet") for i in range(5)]
    assert outputs(samples) == expected
    assert outputs(samples[:1], "{group}-{file}.parquet")[0] == "top-nano_0.parquet"
    # of a URL without its query; only the last suffix goes
    url = "https://host.ch/store/DAOD.27._0001.pool.root?token=a/b"
    assert outputs([url], "{folder}/{file}.root") == ["store/DAOD.27._0001.pool.root"]


@pytest.mark.parametrize("shares", [1, 3, 4, 10, 12])
def test_every_file_is_in_one_share_and_shares_hold_all_samples_alike(samples, shares):
    found = [outputs(samples, "s/{folder}/{file}.root", f"{i}/{shares}") for i in range(shares)]
    together = [name for share in found for name in share]
    assert sorted(together) == sorted(outputs(samples, "s/{folder}/{file}.root"))
    assert len(set(together)) == 10
    # none has more than one file more than another
    assert max(map(len, found)) - min(map(len, found)) <= 1


def test_two_files_never_share_an_output(samples):
    message = "data/ttbar/nano_0.root and data/dijet/nano_0.root would both be written to s/nano_0"
    with pytest.raises(ConfigError, match=message):
        # whichever share is asked for
        outputs(samples, "s/{file}.root", "3/4")


def test_an_output_never_takes_the_place_of_an_input(samples):
    with pytest.raises(ConfigError, match=r"take the place of the input file data/ttbar/nano_0"):
        outputs(samples[:1], "data/ttbar/{file}.root")


@pytest.mark.parametrize("share", ["3", "3/3", "-1/3", "a/b", "1/0", "1/2/3"])
def test_a_share_is_counted_from_zero(share):
    with pytest.raises(ConfigError, match=r"such as 0/100 to 99/100"):
        parse_share(share)
    assert parse_share("99/100") == (99, 100)


@pytest.mark.parametrize(
    ("output", "share", "message"),
    [
        ("s/{fil}.root", None, r"nothing stands for {fil}; did you mean '{file}'"),
        ("s/{group}.root", None, "{group} goes with {file}"),
        ("pred.root", "0/2", "all shares would write pred.root; .* 'scores/{file}.root'"),
        ("{file}.root", "2/2", "counted from 0"),
    ],
)
def test_names_and_shares_are_checked_before_anything_is_read(output, share, message):
    with pytest.raises(ConfigError, match=message):
        check_file_by_file(options(["nowhere.root"], output, share))


def test_jobs_of_an_array_leave_requests_of_their_own():
    output = "scores/{group}/{file}.root"
    assert requeue_file(options([], output, "3/100")) == Path("scores/share-3-of-100_requeue")
    assert requeue_file(options([], output)) == Path("scores/all_requeue")
    assert requeue_file(options([], "{file}.root")) == Path("all_requeue")
    assert requeue_file(options([], "out/pred.root")) == Path("out/pred_requeue")
