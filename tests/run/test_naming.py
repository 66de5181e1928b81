"""Names and seeds of runs."""

from weaver_tt.options.train import parse_options
from weaver_tt.run import naming
from weaver_tt.run.run_card import save_card

TRAINING = ["-i", "a.root", "-c", "d.yaml", "-n", "n.py"]


def test_auto_says_when_with_what_and_how():
    name = naming.auto_name(
        parse_options(
            [
                *TRAINING[:-1],
                "nets/small.py",
                "--optimizer",
                "adam",
                "--start-lr",
                "1e-3",
                "--batch-size",
                "64",
            ]
        )
    )
    assert name[8] == "-"
    assert name.endswith("_small_adam_lr0.001_batch64")


def test_runs_that_begin_in_the_same_second_have_different_names(tmp_path, monkeypatch):
    monkeypatch.setattr(naming, "auto_name", lambda _: "now")
    options = parse_options([*TRAINING, "-m", f"{tmp_path}/{{auto}}/net"])
    assert [naming.choose_name(options) for _ in range(3)] == ["now", "now-2", "now-3"]
    # also where the name is no folder
    options = parse_options([*TRAINING, "-m", f"{tmp_path}/net_{{auto}}"])
    assert [naming.choose_name(options) for _ in range(2)] == ["now", "now-2"]
    # a prefix that is given is the run's, whatever lies there
    options = parse_options([*TRAINING, "-m", f"{tmp_path}/net"])
    assert [naming.choose_name(options) for _ in range(2)] == ["now", "now"]


def test_auto_fills_the_places_that_a_run_writes_to(tmp_path):
    options = naming.with_run_name(
        parse_options([*TRAINING, "-m", f"{tmp_path}/{{auto}}/net", "--log", "logs/{auto}.log"]),
        "today_small",
    )
    assert options.network.model_prefix == f"{tmp_path}/today_small/net"
    assert options.train.log == "logs/today_small.log"
    assert options.train.tensorboard == f"{tmp_path}/today_small/net_tensorboard"
    options = naming.with_run_name(
        parse_options([*TRAINING, "-m", f"{tmp_path}/net", "--tensorboard", "off"]), "unused"
    )
    assert (options.train.log, options.train.tensorboard) == (f"{tmp_path}/net.log", "off")


def test_a_resumed_run_goes_on_in_its_tensorboard_folder(tmp_path, card):
    arguments = [*TRAINING, "-m", f"{tmp_path}/net", "--tensorboard", "_pfn"]
    card["options"]["train"]["tensorboard"] = "runs/Jan01_00-00-00_host_pfn"
    save_card(f"{tmp_path}/net", card)
    assert (
        naming.with_run_name(parse_options([*arguments, "--resume"]), "x").train.tensorboard
        == "runs/Jan01_00-00-00_host_pfn"
    )
    assert (
        naming.with_run_name(parse_options(arguments), "x").train.tensorboard
        != "runs/Jan01_00-00-00_host_pfn"
    )


def test_a_resumed_run_keeps_its_seed_and_a_fresh_one_draws_one(tmp_path, card):
    prefix = str(tmp_path / "net")
    save_card(prefix, card | {"seed": 41})
    assert naming.choose_seed(parse_options([*TRAINING, "--resume"]), prefix) == 41
    assert naming.choose_seed(parse_options([*TRAINING, "--seed", "7", "--resume"]), prefix) == 7
    fresh = {naming.choose_seed(parse_options(TRAINING), prefix) for _ in range(5)}
    assert len(fresh) > 1
    assert all(0 <= seed < 2**31 for seed in fresh)


def test_members_of_ensembles_never_share_a_seed():
    seeds = [naming.seed_of_member(seed, member) for seed in range(20) for member in range(20)]
    assert len(set(seeds)) == 400
