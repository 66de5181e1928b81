"""The story of a run: what the options of ``train.py`` ask for, on one process or several."""

from __future__ import annotations

from weaver_tt.config.load import load_config
from weaver_tt.engine.device_settings import requiring_determinism, set_threads
from weaver_tt.engine.fit import AfterEpoch
from weaver_tt.figures.label import labelled
from weaver_tt.log import configure_log, log
from weaver_tt.options.train import RunOptions
from weaver_tt.output.predict import Prediction
from weaver_tt.run.checks import check_config, check_options, is_prediction, is_trial
from weaver_tt.run.exporting import run_export
from weaver_tt.run.launch import (
    INTERRUPTED,
    announce_rank,
    demo_options,
    hand_over,
    is_launched,
    launch_ranks,
    needs_ranks,
)
from weaver_tt.run.prediction import run_predict
from weaver_tt.run.training import TrainingResult, run_train
from weaver_tt.run.trials import TrialResult, print_network, run_io_test, run_trial
from weaver_tt.run.unused_flags import flags_without_effect
from weaver_tt.run_files import RunFiles
from weaver_tt.system import distributed
from weaver_tt.system.distributed import run_on_main
from weaver_tt.system.signals import Interrupted

RunResult = TrainingResult | dict[str, Prediction] | float | TrialResult | None
"""Of a training, a prediction (by test group), an export (the difference to torch), a trial."""


def run(options: RunOptions) -> RunResult:
    """Do what the options of ``train.py`` ask for, on one process or on one for each GPU."""
    if needs_ranks(options):
        check_options(options)
        handed = launch_ranks(options)
        files = RunFiles(handed.pop("prefix"))
        return TrainingResult(files, **handed)
    if is_launched():
        announce_rank()
    try:
        result = run_on_this_process(options)
    except Interrupted as interruption:
        if not is_launched():
            raise
        # as for results: torchrun would kill the other ranks
        hand_over({INTERRUPTED: str(interruption)})
        return None
    if isinstance(result, TrainingResult) and is_launched():
        # torchrun would take any exit code but 0 for a failure
        handed = {
            "prefix": result.files.prefix,
            "best": result.best,
            "bad_files": result.bad_files,
            "without_output": result.without_output,
            "parameters": result.parameters,
        }
        hand_over(handed)
        return None
    return result


def run_on_this_process(options: RunOptions, after_epoch: AfterEpoch | None = None) -> RunResult:
    """Print, try out, export, predict or train.

    A training calls ``after_epoch`` when the files of an epoch are written. With ``--backend`` this
    process is one of several ranks, all of which call this. What fails on one of them fails on all.
    """
    with distributed.joined_ranks(options.train.backend):
        if distributed.is_running():
            # what all of them find is said once
            configure_log(rank=distributed.rank())
        is_computing = not (options.output.print or options.output.export_onnx)
        is_deterministic = options.train.deterministic and is_computing
        with requiring_determinism(is_deterministic), labelled(options.label):
            return _run_joined(options, after_epoch)


def _run_joined(options: RunOptions, after_epoch: AfterEpoch | None) -> RunResult:
    check_options(options)
    set_threads(options.train.num_threads)
    for line in flags_without_effect(options):
        log.warning("%s", line)
    if options.data.demo:
        options = demo_options(options)
    config = load_config(options.data.data_config, options.data.custom_functions)
    check_config(config, options)
    if options.output.print:
        run_on_main(lambda: print_network(config, options))
    elif options.data.io_test:
        return run_on_main(lambda: run_io_test(config, options))
    elif is_trial(options):
        ranks = distributed.world_size()
        return run_on_main(lambda: run_trial(config, options, ranks))
    elif options.output.export_onnx:
        return run_on_main(lambda: run_export(config, options))
    elif is_prediction(options):
        return run_predict(config, options)
    else:
        return run_train(config, options, after_epoch)
    return None
