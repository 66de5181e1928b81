"""Examples of commands, which ``--help`` shows at its end."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "train": (
        "-i 'top:/data/top_*.root' 'qcd:/data/qcd_*.root' -c data.yaml -n network.py -m models/a",
        "--predict -t '/data/test_*.root' -c data.yaml -n network.py -m models/a",
        "--export-onnx model.onnx -c data.yaml -n network.py -m models/a",
    ),
    "check": (
        "-i '/data/top_*.root' '/data/qcd_*.root' -c data.yaml",
        "-i '/data/top_*.root' '/data/qcd_*.root' -c data.yaml -n network.py",
        "-i '/data/*.root' -c data.yaml -n weaver_tt:particle_net --json",
    ),
    "tune": (
        "-i '/data/*.root' -c data.yaml -n network.py --space space.yaml --storage search.journal",
        "-i '/data/*.root' -c data.yaml -n network.py --space space.yaml --storage search.journal "
        "--trials 100 --metric auc",
        "-i '/data/*.root' -c data.yaml -n network.py --space space.yaml --storage search.journal "
        "--metric auc --metric ant",
    ),
    "toy": (
        "-o train.root",
        "--events 200000 --seed 1 -o train.root",
        "--events 100000 --seed 2 -o test.parquet",
    ),
    "map": (
        "train.root",
        "train.root -o map.json",
        "'/data/nano_*.root' -c weaver_tt:nanoaod_btag_efficiency -o map.json",
    ),
    "weights": (
        "pred.root --exactly 2",
        "pred.root --exactly 2 --at-least 1 -o weights.root",
        "pred.root --at-least 1 --leading 2 -o weights.parquet",
    ),
    "report": (
        "first:pred.root",
        "first:pred.root second:other.root -o comparison",
        "first:pred.root second:other.root --mass-column jet_sdmass -o comparison",
    ),
    "tune-report": (
        "search.journal",
        "search.journal -o search",
        "models/search.journal -o models/search",
    ),
    "closure": (
        "pred.root --map-from train.root",
        "pred.root --map map.json -o closure",
        "a.root b.root --map-from train.root -o closure",
    ),
    "scale-factors": (
        "tagged.root all.root --data data.root --simulation mc.root",
        "tagged.root all.root --data data.root --simulation mc.root --tag jet_istag -o sf.root",
        "tagged.root all.root --data data.root --simulation mc.root --name b_sf -o sf.parquet",
    ),
    "jec derive": (
        "jets.root -o jec.json",
        "jets.root --figures figures --test test.root",
        "--prediction pred.root -o after.json",
    ),
    "jec apply": (
        "jec.json test.root -o corrected.root",
        "jec.json test.root -o corrected.root --extrapolate",
        "jec.json test.parquet -o corrected.parquet --column pt_corrected",
    ),
    "ddt": (
        "pred_qcd.root --background label_QCD --efficiency 0.05",
        "pred_qcd.root pred_top.root --background label_QCD --efficiency 0.05",
        "pred_qcd.root pred_top.root --background label_QCD --efficiency 0.05 --mass jet_sdmass",
    ),
    "calibrate": (
        "--data data.root --mc top:top.root qcd:qcd.root --tag 'score>0.9' "
        "--variable jet_sdmass --edges 50 90 130 170 210",
        "--data data.root --mc top:top.root qcd:qcd.root --tag 'score>0.9' "
        "--variable jet_sdmass --edges 50 90 130 170 210 --asimov",
        "--data data.root --mc top:top.root qcd:qcd.root --tag 'score>0.9' "
        "--variable jet_sdmass --edges 50 90 130 170 210 --bins-in jet_pt 300 400 600 -o measured",
    ),
    "simulate": (
        "--process top -n 1000 -o top.root",
        "--process qcd -n 100000 --workers 2 -o qcd.root",
        "--process jets --detector -n 25000 -o jets.root",
    ),
    "lund": (
        "top.root qcd.root -o trees.root",
        "top.root qcd.root -o trees.root --ln-kt-min 0 --workers 2",
        "top:top.root qcd:qcd.root -o trees.parquet",
    ),
    "export": (
        "-m models/a -c data.yaml -n network.py -o exported",
        "-m models/a -c data.yaml -n network.py --target cmssw -o exported",
        "-m models/a -c data.yaml -n network.py --target fcc -o exported -t test.root",
    ),
    "init": (
        "jets.root -o mine",
        "'top:/data/top_*.root' 'qcd:/data/qcd_*.root' -o mine",
        "--example top_tagging -o mine",
    ),
    "inputs": (
        "-c data.yaml -i '/data/*.root'",
        "-c data.yaml -i 'top:/data/top_*.root' 'qcd:/data/qcd_*.root' -o inputs",
        "-c weaver_tt:top_tagging -i top.root qcd.root --rows 20000 -o inputs",
    ),
    "inspect": ("data.root", "models/a_best_epoch_state.pt", "model.onnx --preprocess"),
    "apply": (
        "exported -t rows.csv -o outputs.csv",
        "exported -t test.root -o outputs.root --keep jet_pt",
        "exported --golden",
    ),
    "convert": ("top -i downloads -o top", "qg -i downloads -o qg --format root", "top"),
}
"""Arguments behind ``weaver-tt COMMAND``, by command: three of each, the plainest first."""


def examples_of(command: str) -> str:
    """The examples as the end of a help text; empty where there are none."""
    lines = [f"  weaver-tt {command} {arguments}" for arguments in EXAMPLES.get(command, ())]
    return "\n".join(["examples:", *lines]) if lines else ""
