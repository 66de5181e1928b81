"""Batches as training, validation and prediction get them."""

from __future__ import annotations

import multiprocessing
import pkgutil
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import torch
import uproot
from scipy import stats

from weaver_tt.config.load import from_mapping
from weaver_tt.data import loaders
from weaver_tt.data.rows import padding
from weaver_tt.data.rows.bootstrap import identify_rows
from weaver_tt.data.shuffle import decoder
from weaver_tt.data.shuffle.stream import Stream
from weaver_tt.data.shuffle.workers import SharedSlot
from weaver_tt.data.statistics.fit import fit_statistics
from weaver_tt.errors import DataError, UserCodeError
from weaver_tt.options.train import DataOptions
from weaver_tt.system.stage_times import Stage
from weaver_tt.system.user_code import user_errors

INPUTS = {"jets": {"length": 3, "vars": ["jet_pt"]}, "event": {"length": None, "vars": ["number"]}}
# a machine may have fewer cores than a test asks for workers
MANY_WORKERS = pytest.mark.filterwarnings("ignore:This DataLoader will create")
SIMPLE = {"type": "simple", "value": ["is_a", "is_b"]}


def config(**more):
    return from_mapping(
        {"inputs": INPUTS, "labels": SIMPLE, "observers": ["number", "jet_pt", "truth?"], **more}
    )


def write(path: Path, numbers: np.ndarray, is_a: bool, **more) -> str:
    content = {
        "number": numbers,
        "jet_pt": [[float(n) + k for k in range(n % 5)] for n in numbers.tolist()],
    }
    flags = {"is_a": np.full(len(numbers), is_a), "is_b": np.full(len(numbers), not is_a)}
    ak.to_parquet(ak.Array(content | flags | more), path, row_group_size=100)
    return str(path)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[str]:
    """One file a class, 300 and 700 rows."""
    folder = tmp_path_factory.mktemp("data")
    return [
        write(folder / "a.parquet", np.arange(300), True),
        write(folder / "b.parquet", np.arange(300, 1000), False),
    ]


def train(files, conf=None, seed=0, **options):
    settings = {
        "data_train": files,
        "data_val": files,
        "batch_size": 50,
        "pool_size": 400,
    } | options
    return loaders.train_loader(conf or config(), DataOptions(**settings), seed=seed)


def epoch(loader, number=0, skip=0) -> list[list[int]]:
    return [batch.inputs["event"][:, 0].int().tolist() for batch in loader.epoch(number, skip)]


def test_an_epoch_is_every_row_once_labelled_and_padded(files):
    loader = train(files)
    seen = []
    for batch in loader.epoch(0):
        numbers = batch.inputs["event"][:, 0].int()
        seen += numbers.tolist()
        assert batch.labels["_label_"].tolist() == (numbers >= 300).int().tolist()
        assert batch.counts["jets"].tolist() == (numbers % 5).tolist()
        assert batch.masks["jets"].sum(1).tolist() == (numbers % 5).clamp(max=3).tolist()
        first = batch.masks["jets"][:, 0]
        assert batch.inputs["jets"][first, 0, 0].tolist() == numbers[first].tolist()
        assert batch.observers == {}
    assert sorted(seen) == list(range(1000))
    assert loader.accounting.used == {"_": 1000}
    assert loader.accounting.targets == {"is_a": 300, "is_b": 700}


@pytest.mark.parametrize("workers", [0, 2])
def test_progress_rises_to_one(files, workers):
    progress = [
        batch.progress
        for batch in train(files, config(selection="number % 2 == 0"), num_workers=workers).epoch(0)
    ]
    assert progress == sorted(progress)
    assert progress[-1] == 1
    assert progress[len(progress) // 2] == pytest.approx(0.5, abs=0.15)


def test_workers_end_with_this_process_whatever_the_default_way_to_start_them(files):
    # that of Python 3.14: a server process would be their parent
    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method("forkserver", force=True)
    try:
        assert epoch(train(files, num_workers=2), 0)
    finally:
        multiprocessing.set_start_method(before, force=True)


def test_the_same_seed_gives_the_same_batches_bit_for_bit(files):
    assert epoch(train(files, seed=3), 1) == epoch(train(files, seed=3), 1)
    assert epoch(train(files, seed=3), 1) != epoch(train(files, seed=3), 2)
    assert epoch(train(files, seed=3), 1) != epoch(train(files, seed=4), 1)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_resumed_after_k_batches_goes_on_as_it_would_have(files, workers):
    loader = train(files, num_workers=workers)
    full, counts = epoch(loader), loader.accounting
    assert epoch(loader, skip=7) == full[7:]
    assert loader.accounting == counts
    assert [batch.progress for batch in loader.epoch(0, skip=7)] == [
        batch.progress for batch in loader.epoch(0)
    ][7:]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_row_is_known_by_its_file_and_place_whoever_reads_it(files, workers):
    """Files a and b hold the numbers 0 ... 299 and 300 ... 999."""
    conf = config(selection="number % 3 != 0")
    options = DataOptions(
        data_train=files, data_val=files, batch_size=48, pool_size=400, num_workers=workers
    )
    seen = []
    for rank in range(2):
        loader = loaders.train_loader(conf, options, rank=rank, world=2, identify=True)
        for batch in loader.epoch(rank):
            numbers = batch.inputs["event"][:, 0].long().numpy()
            expected = np.where(numbers < 300, numbers, identify_rows(1, numbers - 300))
            assert batch.identity.tolist() == expected.tolist()
            seen += numbers.tolist()
    assert len(seen) > 500
    assert next(train(files).epoch(0)).identity is None


def test_worker_processes_deliver_their_shares_in_turn(files):
    loader = train(files, num_workers=2)
    stream = loader._stream
    shares = [
        [batch for batch in stream.shuffled_batches(0, 0, 1, worker, 2) if batch.rows is not None]
        for worker in range(2)
    ]
    plans = [
        [batch.rows.scalars["event"][:, 0].astype(int).tolist() for batch in own] for own in shares
    ]
    found = epoch(loader)
    assert found[::2] == plans[0]
    assert found[1::2] == plans[1]
    assert sorted(n for batch in found for n in batch) == list(range(1000))


def test_a_workers_error_is_the_readers_own(tmp_path, files):
    numbers = np.arange(60)
    bad = write(
        tmp_path / "bad.parquet", numbers, True, weight=np.where(numbers == 30, np.nan, 1.0)
    )
    with pytest.raises(
        DataError, match=r"^\S*bad.parquet: event_weight 'weight' is not finite in 1 of"
    ):
        epoch(train([bad], config(event_weight="weight"), num_workers=1))


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_in_a_users_own_function_is_shown_by_its_lines(tmp_path, files, workers):
    functions = tmp_path / "functions.py"
    functions.write_text("def worst(x):\n    raise KeyError('of my own')\n")
    conf = from_mapping(
        {
            "inputs": {"event": {"vars": [["shifted", None]]}},
            "labels": SIMPLE,
            "new_variables": {"shifted": "worst(number)"},
        },
        custom_functions=str(functions),
    )
    with pytest.raises(UserCodeError) as raised, user_errors():
        list(train(files, conf, num_workers=workers).epoch(0))
    assert f'File "{functions}", line 2, in worst' in str(raised.value)
    assert len(str(raised.value).splitlines()) <= 12


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("named", [True, False])
def test_with_one_file_for_each_class_batches_are_made_up_as_random_ones(files, workers, named):
    names = [f"{name}:{path}" for name, path in zip("ab", files, strict=True)] if named else files
    loader = train(names, num_workers=workers, pool_size=200)
    firsts = [
        sum(n < 300 for n in batch) for number in range(12) for batch in epoch(loader, number)
    ]
    edges = [0, 12, 14, 15, 16, 17, 19, 51]
    law = stats.hypergeom(1000, 300, 50)
    observed, expected = (
        np.histogram(firsts, edges)[0],
        len(firsts) * np.diff(law.cdf(np.array(edges) - 1)),
    )
    assert stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue > 0.005


def test_a_file_sorted_by_class_is_mixed(tmp_path):
    numbers = np.arange(2000)
    path = tmp_path / "sorted.parquet"
    ak.to_parquet(
        ak.Array(
            {
                "number": numbers,
                "jet_pt": [[1.0]] * 2000,
                "is_a": numbers < 600,
                "is_b": numbers >= 600,
            }
        ),
        path,
        row_group_size=25,
    )
    loader = train([str(path)], pool_size=1000)
    firsts = [sum(n < 600 for n in batch) for number in range(5) for batch in epoch(loader, number)]
    assert np.std(firsts) < 1.6 * np.sqrt(50 * 0.3 * 0.7)


def test_steps_may_be_fewer_or_more_than_the_data_has(files):
    loader = train(files, steps_per_epoch=3)
    assert loader.steps == 3
    assert len(epoch(loader)) == 3
    batches = epoch(train(files, steps_per_epoch=30))
    assert len(batches) == 30
    assert sorted(n for batch in batches[:20] for n in batch) == list(range(1000))
    assert [batch.progress for batch in train(files, samples_per_epoch=200).epoch(0)] == [
        0.25,
        0.5,
        0.75,
        1,
    ]


def test_stopping_early_leaves_no_thread(files, no_thread_reads):
    for _ in train(files).epoch(0):
        break
    assert no_thread_reads()


WEIGHTS = {
    "reweight_method": "flat",
    "reweight_vars": {"number": [0, 500, 1000]},
    "reweight_classes": ["is_a", "is_b"],
}


def state_of(loader, number: int) -> list:
    """All numbers of an epoch's batches, and what was counted."""
    found = []
    for batch in loader.epoch(number):
        tensors = [*batch.inputs.values(), *batch.labels.values(), *batch.counts.values()]
        found.append([tensor.tolist() for tensor in tensors])
    return [found, loader.accounting]


@pytest.fixture
def read_chunks(monkeypatch) -> list[tuple[int, int]]:
    """The rows [first, last) of each chunk that is read from a file."""
    read = []
    original = decoder.read_columns

    def read_columns(reader, names, config, first, last, types):
        read.append((first, last))
        return original(reader, names, config, first, last, types)

    monkeypatch.setattr(decoder, "read_columns", read_columns)
    return read


@pytest.mark.parametrize("conf", [config(), config(weights=WEIGHTS)], ids=["all", "drawn"])
def test_data_that_fit_the_pool_are_read_once_and_batches_are_those_of_reading_anew(
    files, conf, read_chunks, monkeypatch, tmp_path
):
    if conf.weights is not None:
        conf, _ = fit_statistics(conf, str(tmp_path / "net"), DataOptions(data_train=files))
    options = {"pool_size": 1000}
    loader = train(files, conf, **options)
    epochs = [state_of(loader, number) for number in range(3)]
    assert sum(last - first for first, last in read_chunks) == 1000
    # an epoch is read as it would have been, whatever was read before
    assert epochs[1] == state_of(train(files, conf, **options), 1)
    monkeypatch.setattr(Stream, "keeping_small_data", lambda stream: stream)
    anew = train(files, conf, **options)
    assert epochs == [state_of(anew, number) for number in range(3)]


def test_data_larger_than_the_pool_are_read_in_each_epoch(files, read_chunks):
    loader = train(files, pool_size=999)
    for number in range(3):
        epoch(loader, number)
    assert sum(last - first for first, last in read_chunks) == 3000


def test_ranks_that_share_small_data_read_their_shares_in_each_epoch(files, read_chunks):
    settings = DataOptions(data_train=files, data_val=files, batch_size=50, pool_size=1000)
    loader = loaders.train_loader(config(), settings, rank=1, world=2)
    for number in range(3):
        epoch(loader, number)
    # the half of the rows, three times
    assert sum(last - first for first, last in read_chunks) == 1500


def test_validation_data_that_are_kept_are_not_what_a_network_writes_to(files, read_chunks):
    loader = loaders.val_loader(config(), DataOptions(data_train=files, data_val=files))
    before = epoch(loader)
    for batch in loader.epoch(0):
        batch.inputs["event"] *= 0
        batch.labels["_label_"] += 1
    assert epoch(loader) == before
    assert sum(last - first for first, last in read_chunks) == 1000


def test_validation_reads_in_order_once_and_keeps_the_last_batch(files):
    options = DataOptions(data_train=files, data_val=files, batch_size=300)
    batches = epoch(loaders.val_loader(config(), options))
    assert [len(batch) for batch in batches] == [300, 300, 300, 100]
    assert [n for batch in batches for n in batch] == list(range(1000))
    ranks = [epoch(loaders.val_loader(config(), options, rank=rank, world=3)) for rank in range(3)]
    assert [n for share in ranks for batch in share for n in batch] == list(range(1000))


def test_without_validation_files_each_training_file_is_divided(files):
    options = DataOptions(data_train=files, train_val_split=0.9, batch_size=10, pool_size=100)
    trained = [n for batch in epoch(loaders.train_loader(config(), options)) for n in batch]
    checked = [n for batch in epoch(loaders.val_loader(config(), options)) for n in batch]
    assert checked == [*range(270, 300), *range(930, 1000)]
    assert sorted(trained + checked) == list(range(1000))
    assert loaders.val_loader(config(), DataOptions(data_train=files, train_val_split=1.0)) is None


def test_validation_has_a_share_a_batch_size_and_a_selection_of_its_own(files):
    own = {
        "data_fraction": 1.0,
        "data_fraction_val": 0.5,
        "batch_size": 7,
        "batch_size_val": 90,
        "extra_selection_val": "number % 2 == 0",
    }
    options = DataOptions(
        data_train=files,
        train_val_split=0.8,
        pool_size=100,
        extra_selection_train="number % 2",
        **own,
    )
    checked = epoch(loaders.val_loader(config(selection="number != 900"), options))
    assert [n for batch in checked for n in batch] == [
        *range(240, 270, 2),
        *(n for n in range(860, 930, 2) if n != 900),
    ]
    trained = epoch(loaders.train_loader(config(), options))
    assert {len(batch) for batch in trained} == {7}
    assert {n % 2 for batch in trained for n in batch} == {1}


def test_fewer_validation_steps_than_rows_draw_the_same_rows_of_all_files_each_epoch(files):
    options = DataOptions(
        data_train=files, data_val=files, batch_size=100, samples_per_epoch_val=300
    )
    loader = loaders.val_loader(config(), options)
    drawn = epoch(loader, 0)
    assert [len(batch) for batch in drawn] == [100] * 3
    assert (
        60 < sum(n < 300 for batch in drawn for n in batch) < 120
    )  # 90 expected, of the first file
    assert epoch(loader, 5) == drawn
    for steps in ({"steps_per_epoch_val": 10}, {"steps_per_epoch_val": -1}):
        everything = loaders.val_loader(
            config(), DataOptions(data_train=files, data_val=files, batch_size=100, **steps)
        )
        assert [n for batch in epoch(everything) for n in batch] == list(range(1000))


def test_an_epoch_reads_a_share_of_the_files_and_another_one_the_next_time(tmp_path):
    paths = [
        write(tmp_path / f"{n}.parquet", np.arange(10 * n, 10 * n + 10), n % 2 == 0)
        for n in range(12)
    ]
    loader = train(
        [f"a:{tmp_path}/?.parquet", f"b:{tmp_path}/1?.parquet"], file_fraction=0.5, batch_size=1
    )
    read = [{n // 10 for batch in epoch(loader, number) for n in batch} for number in range(6)]
    assert {(len(numbers & set(range(10))), len(numbers & {10, 11})) for numbers in read} == {
        (5, 1)
    }
    assert len(set(map(frozenset, read))) > 1
    assert len(paths) == 12


def test_test_files_are_divided_and_have_their_own_batch_size_and_selection(files):
    options = DataOptions(
        data_test=[f"x%1:{path}" for path in files],
        batch_size_test=200,
        extra_selection_test="number > 99",
    )
    found = loaders.test_loaders(config(), options)
    assert {name: [batch.size for batch in loader.epoch(0)] for name, loader in found.items()} == {
        "x_0": [200],
        "x_1": [200, 200, 200, 100],
    }


def test_parts_of_a_group_are_that_group_to_file_magic(files):
    named = config(file_magic={"from_a": {"a:": 1, "a_1:": 7}}, observers=["from_a"])
    patterns = [f"a%1:{path}" for path in files] + [f"b:{files[0]}"]
    found = loaders.test_loaders(named, DataOptions(data_test=patterns))
    values = {}
    for name, loader in found.items():
        values[name] = {value for batch in loader.epoch(0) for value in batch.observers["from_a"]}
    assert values == {"a_0": {1}, "a_1": {1}, "b": {0}}


def test_prediction_keeps_every_selected_row_in_order_with_its_observers(files, tmp_path):
    data = write(tmp_path / "data.parquet", np.arange(7), True, truth=np.arange(7) * 2)
    conf = config(selection="number > 9", test_time_selection="number != 3")
    found = loaders.test_loaders(
        conf, DataOptions(data_test=[f"data:{data}", f"mc:{files[0]}"], batch_size=4)
    )
    assert list(found) == ["data", "mc"]
    batches = list(found["data"].epoch(0))
    assert [batch.size for batch in batches] == [4, 2]
    assert batches[0].observers["number"].tolist() == [0, 1, 2, 4]
    assert batches[0].observers["jet_pt"].tolist() == [[], [1], [2, 3], [4, 5, 6, 7]]
    assert batches[1].observers["truth"].tolist() == [10, 12]
    assert batches[1].progress == 1
    assert found["data"].accounting.dropped == {("data", "selection"): 1}
    assert "truth" not in next(found["mc"].epoch(0)).observers


def test_prediction_does_not_need_labels(tmp_path):
    path = tmp_path / "data.parquet"
    ak.to_parquet(ak.Array({"number": [1, 2], "jet_pt": [[1.0], [2.0]]}), path)
    batch = next(loaders.test_loaders(config(), DataOptions(data_test=[str(path)]))["_"].epoch(0))
    assert batch.labels == {}


def test_nothing_selected_says_how_many_rows_were_read_and_why_none_is_left(files):
    with pytest.raises(
        DataError, match=r"1000 rows were read, the selection 'number < 0' drops all of them"
    ):
        epoch(train(files, config(selection="number < 0")))
    with pytest.raises(DataError, match=r"1000 rows were read"):
        epoch(train(files, config(selection="number < 0"), steps_per_epoch=5))


def test_a_rank_without_rows_is_no_error_but_ranks_without_any_are(files):
    conf = config(selection="number < 5")
    options = DataOptions(data_train=files, data_val=files, batch_size=100)
    shares = [loaders.val_loader(conf, options, rank=rank, world=3) for rank in range(3)]
    assert [sum(batch.size for batch in share.epoch(0)) for share in shares] == [5, 0, 0]
    # what the ranks have read together is looked at by whoever knows it
    shares[1].check_rows(shares[0].accounting)
    with pytest.raises(DataError, match=r"drops all of them"):
        shares[1].check_rows(shares[1].accounting)


def test_training_data_of_one_class_is_an_error_after_the_first_pass(files):
    with pytest.raises(DataError, match=r"all 300 training entries are 'is_a'"):
        epoch(train(files[:1]))


@pytest.mark.parametrize("bucketing", [None, {"var": "number", "bins": [0, 5, 101, 150, 201, 301]}])
@pytest.mark.parametrize(("workers", "world"), [(0, 1), (0, 3), (2, 1)])
def test_no_training_batch_has_a_single_row(files, bucketing, workers, world):
    """Batch norm has no variance of one row; validation and prediction take it all the same."""
    # 201 rows in batches of 100 leave one, and so do shares of it
    conf = config(selection="number < 201", bucketing=bucketing, labels=None)
    options = DataOptions(
        data_train=files[:1], data_val=files, batch_size=100 // world, num_workers=workers
    )
    for rank in range(world):
        loader = loaders.train_loader(conf, options, rank=rank, world=world)
        sizes = [batch.size for batch in loader.epoch(0)]
        # of three ranks, one has the row of number 200 alone, and no batch
        assert min(sizes, default=2) >= 2
        # what is left out is not counted as used
        assert loader.accounting.used.total() == sum(sizes)
    val = loaders.val_loader(
        conf, DataOptions(data_train=files, data_val=files[:1], batch_size=100)
    )
    assert [batch.size for batch in val.epoch(0)] == [100, 100, 1]


def test_batches_of_a_single_row_are_given_to_those_who_ask_for_them(files):
    conf = config(selection="number < 3", labels=None)
    options = DataOptions(data_train=files, data_val=files, batch_size=1)
    sizes = [batch.size for batch in loaders.train_loader(conf, options).epoch(0)]
    assert sizes == [1, 1, 1]


def test_single_row_files_are_enough(tmp_path):
    paths = [write(tmp_path / f"{n}.parquet", np.array([n]), n % 2 == 0) for n in range(6)]
    assert (
        sorted(n for batch in epoch(train(paths, batch_size=4, num_workers=0)) for n in batch) != []
    )
    assert sorted(
        n for batch in epoch(train(paths, batch_size=1, num_workers=2)) for n in batch
    ) == list(range(6))


@MANY_WORKERS
@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_rows_that_make_no_whole_batch_of_a_worker_make_some_with_those_of_the_others(
    files, workers
):
    """1000 rows in batches of 70 are 14 batches for any number of workers."""
    loader = train(files, batch_size=70, num_workers=workers)
    batches = [(batch.size, batch.progress) for batch in loader.epoch(0)]
    assert [size for size, _ in batches] == [70] * 14
    assert loader.accounting.used.total() == 14 * 70
    progress = [share for _, share in batches]
    assert progress == sorted(progress)
    assert progress[-1] == 1
    found = [n for batch in epoch(loader) for n in batch]
    assert len(set(found)) == 14 * 70


@MANY_WORKERS
def test_data_of_less_than_a_batch_is_one_smaller_batch_for_any_number_of_workers(files):
    few = config(selection="number < 50", labels=None)
    for workers in (0, 1, 3):
        loader = train(files, few, batch_size=70, num_workers=workers)
        assert [len(batch) for batch in epoch(loader)] == [50]


@MANY_WORKERS
def test_an_epoch_goes_on_within_what_workers_handed_over(files):
    # of about 333 rows a worker delivers two batches of 150: the last one is of all their rests
    whole = epoch(train(files, batch_size=150, num_workers=3))
    assert [len(batch) for batch in whole] == [150] * 6
    for skip in (5, 6):
        assert epoch(train(files, batch_size=150, num_workers=3), skip=skip) == whole[skip:]
    # four workers deliver one each, and two are of their rests
    whole = epoch(train(files, batch_size=150, num_workers=4))
    assert epoch(train(files, batch_size=150, num_workers=4), skip=5) == whole[5:]


def test_loading_leaves_torchs_random_numbers_alone(files):
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    epoch(train(files, num_workers=1))
    assert torch.equal(torch.rand(1), expected)


def test_batches_of_workers_that_reuse_their_memory_hold_every_row_once(files):
    found = [n for batch in epoch(train(files, batch_size=20, num_workers=2)) for n in batch]
    assert len(found) == 1000
    assert sorted(found) == list(range(1000))


def test_training_data_without_an_object_that_passes_say_which_selection_drops_them(files):
    nothing = config(object_selection={"jets": "jet_pt < 0"})
    message = r"no object of 'jets' passes its selection 'jet_pt < 0': all 2,000 objects in 1,000"
    with pytest.raises(DataError, match=message):
        epoch(train(files, nothing))
    # and where an epoch ends before the files do
    with pytest.raises(DataError, match="no object of 'jets' passes its selection 'jet_pt < 0'"):
        epoch(train(files, nothing, steps_per_epoch=2))
    # in a file whose rows have no object at all, no selection is at fault
    assert epoch(train(files, config(object_selection={"jets": "jet_pt >= 0"})))


def test_predicted_and_validated_rows_without_an_object_that_passes_are_warned_of_once(
    files, caplog
):
    nothing = config(object_selection={"jets": "jet_pt < 0"})
    options = DataOptions(data_test=files, data_train=files, data_val=files)
    validation = loaders.val_loader(nothing, options)
    for loader in (loaders.test_loaders(nothing, options)["_"], validation):
        caplog.clear()
        epoch(loader)
        assert "no object of 'jets' passes its selection 'jet_pt < 0'" in caplog.text
        epoch(loader, 1)
        assert caplog.text.count("no object of 'jets'") == 1


# --- how long the stages of a batch take

# what is made slow -> the stage that takes the time, and how often it happens in 1000 rows of two
# files: in batches of 50 from chunks of 100, 100 and 100 rows of the one and seven of the other
SLOW_STAGES = {
    "weaver_tt.data.rows.table.evaluate": (Stage.EXPRESSIONS, "np.log(number + 1)"),
    "weaver_tt.data.rows.tensors.scale_columns": (Stage.SCALING, ""),
    "weaver_tt.data.shuffle.pool.gather_rows": (Stage.BATCHING, ""),
    "weaver_tt.data.rows.padding.scatter_slots": (Stage.PADDING, ""),
    "weaver_tt.formats.parquet_reader.ParquetReader._decode": (
        Stage.READING_AND_DECOMPRESSING,
        "",
    ),
}


@MANY_WORKERS
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("slow", SLOW_STAGES)
def test_a_slow_stage_is_the_one_that_takes_the_time(
    files, counted_time, monkeypatch, slow, workers
):
    inputs = {"jets": INPUTS["jets"], "event": {"length": None, "vars": ["log_number"]}}
    variables = {"log_number": "np.log(number + 1)"}
    loader = train(files, config(inputs=inputs, new_variables=variables), num_workers=workers)
    module, _, name = slow.rpartition(".")
    owner = resolve(module)
    monkeypatch.setattr(owner, name, counted_time.slowed(getattr(owner, name), 100))
    assert len(epoch(loader)) == 20
    stage, expression = SLOW_STAGES[slow]
    times = loader.times
    taken = {stage: seconds for stage, seconds in times.seconds.items() if seconds}
    assert taken.keys() == {stage}
    assert taken[stage] >= 500
    if expression:
        # the only one that is not a column of the files
        assert times.expressions[expression] >= 500
    else:
        assert not any(times.expressions.values())


@pytest.mark.parametrize("kind", ["TTree", "RNTuple"])
def test_of_root_files_reading_and_decompressing_are_told_apart(
    tmp_path, counted_time, monkeypatch, kind
):
    path = str(tmp_path / "a.root")
    columns = {
        "number": np.arange(300),
        "jet_pt": ak.Array([[1.0 * n] * (n % 3) for n in range(300)]),
        "is_a": np.arange(300) % 2 == 0,
        "is_b": np.arange(300) % 2 == 1,
    }
    with uproot.recreate(path) as file:
        if kind == "TTree":
            types = {name: values.dtype for name, values in columns.items() if name != "jet_pt"}
            file.mktree("tree", types | {"jet_pt": "var * float64"}).extend(columns)
        else:
            file.mkrntuple("tree", columns)
    reader = resolve(f"weaver_tt.formats.{kind.lower()}_reader.{kind}Reader")
    resource = resolve("uproot.source.file.FileResource")
    taken = []
    for owner, name in ((resource, "get"), (reader, "_read")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, counted_time.slowed(getattr(owner, name), 100))
            loader = train([path], config(treename="tree"))
            epoch(loader)
        taken.append({stage for stage, seconds in loader.times.seconds.items() if seconds})
    assert taken == [{Stage.READING}, {Stage.DECOMPRESSING}]


@MANY_WORKERS
def test_the_way_out_of_a_worker_process_is_a_stage(files, counted_time, monkeypatch):
    monkeypatch.setattr(SharedSlot, "fill", counted_time.slowed(SharedSlot.fill, 3))
    loader = train(files, num_workers=2)
    assert len(epoch(loader)) == 20
    taken = {stage: seconds for stage, seconds in loader.times.seconds.items() if seconds}
    # those that the workers hand over at the end come without
    assert taken == {Stage.HANDING_OVER: pytest.approx(3 * 20, abs=2 * 3)}


def test_waiting_for_batches_is_a_stage_of_the_one_who_uses_them(files, counted_time, monkeypatch):
    def slow_batches(items, depth):
        for item in items:
            counted_time.spend(7)
            yield item

    monkeypatch.setattr(loaders, "read_ahead", slow_batches)
    loader = train(files)
    assert len(epoch(loader)) == 20
    # 20 batches, and what is left to account for
    assert loader.times.seconds[Stage.WAITING] == 7 * 21


def test_moving_to_a_device_is_a_stage_with_its_bytes(files, counted_time, monkeypatch):
    count = counted_time.slowed(padding.count_bytes_moved, 2)
    monkeypatch.setattr(padding, "count_bytes_moved", count)
    loader = loaders.train_loader(
        config(), DataOptions(data_train=files, data_val=files, batch_size=50), device="meta"
    )
    batches = list(loader.epoch(0))
    assert len(batches) == 20
    taken = {stage for stage, seconds in loader.times.seconds.items() if seconds}
    assert taken == {Stage.TRANSFER}
    # at least: 1000 numbers of the event, 1000 labels, 3 x 1000 slots' mask, float32, int64, bool
    assert loader.times.bytes_moved > 1000 * (4 + 8 + 3)


def test_validation_and_prediction_count_their_stages_too(files, counted_time, monkeypatch):
    owner = resolve("weaver_tt.formats.parquet_reader.ParquetReader")
    monkeypatch.setattr(owner, "_decode", counted_time.slowed(owner._decode, 100))
    options = DataOptions(data_train=files, data_val=files, data_test=files, batch_size=50)
    val = loaders.val_loader(config(), options)
    (test,) = loaders.test_loaders(config(), options).values()
    for loader in (val, test):
        epoch(loader)
        taken = {stage for stage, seconds in loader.times.seconds.items() if seconds}
        assert taken == {Stage.READING_AND_DECOMPRESSING}


def resolve(name: str):
    """The module or class of a dotted name."""
    return pkgutil.resolve_name(name)
