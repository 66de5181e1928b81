"""What limits a pass over data, and what helps."""

from types import SimpleNamespace

import pytest
import torch

from weaver_tt.engine import throughput
from weaver_tt.engine.throughput import (
    COMPUTE,
    SKIPPED_BATCHES,
    Doctor,
    Measurement,
    Setup,
    describe_limit,
    make_setup,
    time_shares,
)
from weaver_tt.options.train import TrainOptions
from weaver_tt.system.stage_times import Stage, StageTimes, count_bytes_moved


def measured(seconds=100.0, bytes_moved=0, first_waits=0.0, **stages):
    """What was measured: ``stages`` are seconds by the name of the stage."""
    times = StageTimes()
    times.seconds = {Stage[name.upper()]: value for name, value in stages.items()}
    times.bytes_moved = bytes_moved
    return Measurement(seconds, 1000, times, first_waits)


# --- which stage it is


def test_shares_of_the_loop_add_up_and_compute_is_what_is_left():
    shares = measured(waiting=10, padding=20, other_ranks=5).loop_shares()
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["waiting for data"] == pytest.approx(0.1)
    assert shares["padding"] == pytest.approx(0.2)
    assert shares["waiting for other ranks"] == pytest.approx(0.05)
    assert shares[COMPUTE] == pytest.approx(0.65)


# what the threads and the loop do where nothing is slow, in seconds of a hundred
USUAL = {
    "waiting": 1,
    "padding": 5,
    "transfer": 5,
    "writing": 5,
    "other_ranks": 5,
    "reading": 10,
    "decompressing": 10,
    "expressions": 10,
    "scaling": 10,
    "batching": 10,
}


@pytest.mark.parametrize("stage", ["padding", "transfer", "writing", "other_ranks"])
def test_a_loop_that_does_not_wait_for_data_is_limited_by_its_own_largest_part(stage):
    # a copy at full speed: 60 s of 3 GB/s
    slow = measured(**USUAL | {stage: 60}, bytes_moved=180_000_000_000)
    assert slow.limiting_stages(workers=0) == [Stage[stage.upper()].value]
    assert measured(**USUAL).limiting_stages(workers=0) == [COMPUTE]


@pytest.mark.parametrize("workers", [0, 3])
@pytest.mark.parametrize(
    "stage",
    [
        "reading",
        "decompressing",
        "reading_and_decompressing",
        "expressions",
        "scaling",
        "batching",
        "handing_over",
    ],
)
def test_a_loop_that_waits_for_data_is_limited_by_the_busiest_stage_of_making_it(stage, workers):
    slow = measured(**USUAL | {stage: 70, "waiting": 60})
    assert slow.limiting_stages(workers) == [Stage[stage.upper()].value]
    # the same work, but nobody waits for it
    hidden = measured(**USUAL | {stage: 70, "waiting": 3})
    assert hidden.limiting_stages(workers) == [COMPUTE]


def test_of_two_threads_the_busier_one_holds_up_the_loop():
    # the reading thread is busy for 50 s, the other one for 75 s, in none of it for longer
    times = {"waiting": 40, "decompressing": 50, "expressions": 35, "scaling": 20, "batching": 20}
    assert measured(**times).limiting_stages(workers=0) == ["expressions"]
    # a worker process does one after the other
    assert measured(**times).limiting_stages(workers=2) == ["decompressing"]


def test_stages_of_a_thread_that_are_about_as_slow_are_named_together():
    slow = measured(waiting=40, decompressing=40, reading=32, scaling=35)
    assert slow.limiting_stages(workers=0) == ["decompressing", "reading"]
    text = describe_limit(slow, Setup(cores=2))
    assert text.startswith("what limits the training: decompressing and reading (measured")
    assert "files written with LZ4" in text
    assert "fewer and larger files" in text
    # four workers would wait for a slow disk, three are enough to decompress
    assert describe_limit(slow, Setup(cores=16)).count("--num-workers") == 1
    text = describe_limit(slow, Setup(cores=2))
    assert text.count("--num-workers") == 1
    assert "more cores for --num-workers" in text
    # of a worker process, three
    assert slow.limiting_stages(workers=1) == ["decompressing", "scaling", "reading"]
    text = describe_limit(slow, Setup(cores=8, workers=1))
    assert text.count("--num-workers 2 (now 1)") == 1


def test_a_copy_to_a_gpu_that_takes_longer_than_its_bytes_need_waits_for_the_network():
    # 3 GB in 60 s: 1 s of copying
    shares = measured(transfer=60, bytes_moved=3_000_000_000).loop_shares()
    assert shares["transfer"] == pytest.approx(0.01)
    assert shares[COMPUTE] == pytest.approx(0.99)


def test_shares_as_metrics():
    values = time_shares(measured(waiting=25, decompressing=150, scaling=50))
    assert values["time/waiting_for_data"] == pytest.approx(0.25)
    assert values["time/compute"] == pytest.approx(0.75)
    # two processes of four at work: seconds in a second of the loop
    assert values["time/decompressing"] == pytest.approx(1.5)
    assert values["time/scaling"] == pytest.approx(0.5)


# --- what helps


def test_the_message_says_what_limits_with_the_shares_and_what_helps():
    times = {"waiting": 60, "padding": 10, "decompressing": 80, "expressions": 10, "scaling": 10}
    assert describe_limit(measured(**times), Setup(cores=8, threads=8)).splitlines() == [
        "what limits the training: decompressing (measured in 100 s, 1,000 batches)",
        "  the loop: waiting for data 60 %, compute 30 %, padding 10 %",
        "  making its data, in two threads (1.0 of 8 cores busy with it): "
        "decompressing 80 %, expressions 10 %, scaling 10 %",
        "  without waiting for data: at most 2.5 times as fast",
        # 100 s of work in the 40 s that the loop takes itself
        "  what helps: --num-workers 3 (now 0)",
        "  what helps: files written with LZ4 or Zstandard instead of zlib or LZMA "
        "(ROOT: hadd -f404 NEW.root OLD.root), and in clusters of some thousand rows",
    ]


def helps(measurement, **setup):
    lines = describe_limit(measurement, Setup(**setup)).splitlines()
    return [line.split(": ", 1)[1] for line in lines if "what helps: " in line]


def test_workers_are_asked_for_as_far_as_there_are_cores():
    slow = measured(waiting=80, decompressing=90, scaling=30)
    # 120 s of work in 20 s of the loop
    assert helps(slow, cores=32)[0] == "--num-workers 6 (now 0)"
    assert helps(slow, cores=4)[0] == "--num-workers 3 (now 0)"
    assert helps(slow, cores=4, workers=2)[0] == "--num-workers 3 (now 2)"
    # a core for the loop, and two threads work already
    assert helps(slow, cores=2)[0] == "more cores for --num-workers (2 cores are there, now 0)"
    assert helps(slow, cores=4, workers=3)[0].startswith("more cores")


def test_a_pool_that_each_epoch_waits_for_is_too_large():
    slow = measured(waiting=40, first_waits=30, decompressing=40)
    assert "a smaller --pool-size: each epoch begins with waiting until it is full" in helps(slow)
    rarely = measured(waiting=40, first_waits=10, decompressing=40)
    assert not any("--pool-size" in line for line in helps(rarely))


def test_files_that_are_slow_to_read_are_copied_unless_they_are_copies():
    slow = measured(waiting=60, reading=90)
    copying = "--copy-inputs, where the files are not on a disk of this machine"
    assert copying in helps(slow)
    assert copying not in helps(slow, reads_copies=True)
    # they wait for the disk: more of them than there are cores may well help
    assert "--num-workers 4 (now 0): as many files at a time" in helps(slow, cores=16)
    assert "--num-workers 8 (now 4): as many files at a time" in helps(slow, cores=16, workers=4)
    assert "--num-workers 2 (now 0): as many files at a time" in helps(slow, cores=1)
    assert not any("--num-workers" in line for line in helps(slow, cores=4, workers=4))


def test_the_slowest_expression_is_named():
    taken = {"np.log(pt)": 8.0, "_knn(eta, phi, 16)": 64.0}
    slow = measured(waiting=60, expressions=80)
    slow.times.expressions |= taken
    assert "a column in the files instead of '_knn(eta, phi, 16)' (80 % of them)" in helps(slow)


def test_a_network_is_sped_up_by_the_flags_that_it_has_not_got_yet():
    slow = measured(waiting=1)
    on_gpu = {"device": "cuda", "gpus": 4, "cores": 8, "threads": 8}
    assert helps(slow, **on_gpu) == [
        "--use-amp",
        "--gpus 0,1,2,3 (now 1 of them)",
        "--compile",
        "a larger --batch-size",
        "a smaller network",
    ]
    ready = {**on_gpu, "has_amp": True, "is_compiled": True, "ranks": 4}
    assert helps(slow, **ready) == ["a larger --batch-size", "a smaller network"]
    assert helps(slow, cores=8, threads=2)[0] == "--num-threads 8 (now 2)"
    crowded = helps(slow, cores=4, threads=4, workers=3)[0]
    assert crowded == "fewer --num-workers (now 3): they and 4 threads of torch share 4 cores"


def test_a_crowded_machine_is_said_and_given_no_more_threads():
    slow = measured(waiting=1)
    text = describe_limit(slow, Setup(cores=8, threads=2, load=3.25))
    assert "beware: 3.2 processes for each core of this machine; the times include" in text
    assert "--num-threads" not in text
    assert "beware" not in describe_limit(slow, Setup(cores=8, threads=2, load=1.2))


def test_a_prediction_is_given_no_flags_of_trainings():
    slow = measured(waiting=60, decompressing=80)
    text = describe_limit(slow, Setup(trains=False, cores=16))
    assert text.startswith("what limits the prediction: decompressing")
    assert "--num-workers" not in text
    assert "--compile" not in describe_limit(measured(), Setup(trains=False))


def test_of_several_ranks_the_message_is_about_the_first():
    text = describe_limit(measured(other_ranks=70), Setup(ranks=4))
    assert "waiting for other ranks (measured in 100 s, 1,000 batches, rank 0 of 4)" in text


def test_every_stage_that_may_be_the_limit_has_advice():
    limits = {stage.value for stage in Stage} - {"waiting for data", "waiting for chunks"}
    assert throughput.ADVICE.keys() == limits | {COMPUTE}


def test_the_setup_knows_which_flags_there_are():
    setup = make_setup(torch.device("cpu"), TrainOptions(use_amp=True, compile=True))
    assert (setup.trains, setup.has_amp, setup.is_compiled) == (True, True, True)
    assert (setup.device, setup.gpus, setup.threads) == ("cpu", 0, torch.get_num_threads())
    assert not make_setup(torch.device("cpu")).trains


# --- when it is said


class Loader:
    """Batches that take ``seconds`` each to come, and ``first`` of an epoch longer."""

    workers = 0
    reads_copies = False

    def __init__(self, clock, number, seconds=0.0, first=0.0):
        self.times = StageTimes()
        self.clock, self.number, self.seconds, self.first = clock, number, seconds, first

    def epoch(self):
        for index in range(self.number):
            with self.times.stage(Stage.WAITING):
                self.clock.spend(self.seconds + (self.first if index == 0 else 0))
            self.times.seconds[Stage.DECOMPRESSING] = 1.0
            yield index


@pytest.fixture
def clock(counted_time, monkeypatch):
    monkeypatch.setattr(throughput, "time", SimpleNamespace(perf_counter=counted_time))
    return counted_time


def follow(doctor, loader, clock, compute):
    for _ in doctor.watch(loader.epoch(), loader):
        clock.spend(compute)


def test_it_is_said_once_after_the_first_minute_without_the_first_batches(clock, caplog):
    doctor = Doctor(Setup())
    # the pool takes half an hour to fill; then a batch a second, of which it waits for a quarter
    loader = Loader(clock, 200, seconds=0.25, first=1800)
    with caplog.at_level("INFO", "weaver_tt"):
        follow(doctor, loader, clock, 0.75)
        follow(doctor, loader, clock, 0.75)
    (message,) = caplog.messages
    assert message.startswith("what limits the training: decompressing (measured in 60 s, 60 batch")
    assert "the loop: compute 75 %, waiting for data 25 %" in message
    assert "--pool-size" not in message


def test_short_epochs_count_together_with_their_beginnings(clock, caplog):
    doctor = Doctor(Setup(cores=4))
    # of an epoch of 10 batches, 10 s are spent waiting for the first one
    loader = Loader(clock, 10, first=10)
    with caplog.at_level("INFO", "weaver_tt"):
        for _ in range(3):
            follow(doctor, loader, clock, 1)
            assert not caplog.messages
        assert doctor.measurement.seconds == 5 + 2 * 20
        follow(doctor, loader, clock, 1)
    (message,) = caplog.messages
    # in the fourth: 5 + 20 + 20 + 15 s, of which three beginnings
    assert "(measured in 60 s, 30 batches)" in message
    assert "the loop: waiting for data 50 %, compute 50 %" in message
    assert "a smaller --pool-size" in message


def test_a_run_without_that_many_batches_is_not_measured(clock, caplog):
    doctor = Doctor(Setup())
    loader = Loader(clock, SKIPPED_BATCHES, seconds=100)
    with caplog.at_level("INFO", "weaver_tt"):
        assert list(doctor.watch_until_said(loader.epoch(), loader)) == list(range(SKIPPED_BATCHES))
    assert not caplog.messages


def test_a_trial_ends_when_it_has_been_said_or_the_batches_end(clock, caplog):
    with caplog.at_level("INFO", "weaver_tt"):
        loader = Loader(clock, 500, seconds=1)
        given = list(Doctor(Setup(), 20).watch_until_said(loader.epoch(), loader))
        assert len(given) == SKIPPED_BATCHES + 20
        loader = Loader(clock, 10, seconds=1)
        assert len(list(Doctor(Setup(), 20).watch_until_said(loader.epoch(), loader))) == 10
    assert ["in 20 s" in text for text in caplog.messages] == [True, False]
    assert "(measured in 5 s, 5 batches)" in caplog.messages[1]


def test_what_a_pass_took_before_is_not_counted(clock):
    loader = Loader(clock, 30, seconds=1)
    with loader.times.stage(Stage.PADDING):
        clock.spend(1000)
        count_bytes_moved(5)
    doctor = Doctor(Setup())
    follow(doctor, loader, clock, 1)
    assert doctor.measurement.times.seconds[Stage.PADDING] == 0
    assert doctor.measurement.times.bytes_moved == 0
    assert doctor.measurement.loop_shares()["waiting for data"] == pytest.approx(0.5)
