"""The command line: ``weaver-tt COMMAND`` and ``train.py``.

Only parsing happens here; the libraries of a command are imported when it runs.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from weaver_tt import __version__
from weaver_tt.errors import WeaverError, nearest
from weaver_tt.figures.label import labelled
from weaver_tt.log import configure_log, is_terminal, log
from weaver_tt.options.check import CheckRun
from weaver_tt.options.durations import seconds_of
from weaver_tt.options.examples import examples_of
from weaver_tt.options.figures import LabelOptions
from weaver_tt.options.flags import FlagParser, add_flags, check_bounds, read_flags, usage_of
from weaver_tt.options.train import RunOptions, parse_options
from weaver_tt.options.tune import TuneRun
from weaver_tt.system.allocator import keep_freed_memory
from weaver_tt.system.lack_of_memory import HINT, is_lack_of_memory
from weaver_tt.system.signals import RESUME_ME, Interrupted, end_after, handling_signals
from weaver_tt.system.terminal import console, show_commands
from weaver_tt.system.user_code import user_errors
from weaver_tt.system.wording import counted

# exit code of a command that has done what it was asked for, but without rows of bad files
DONE_WITH_LOSSES = 3
# exit code of a command that has written NaN or infinity where a network should give numbers
DONE_WITHOUT_NUMBERS = 4


@dataclass(frozen=True)
class Command:
    """One command: the dataclass of its options, and the function that takes them.

    Both are named as ``module:attribute`` and not imported, so that help stays fast. One that
    ``draws`` also takes what stands above its figures.
    """

    summary: str
    options: str
    function: str
    draws: bool = False

    @property
    def parts(self) -> list[type[Any]]:
        """The dataclasses of its options."""
        return [load_object(self.options), *([LabelOptions] if self.draws else [])]

    def run(self, parts: Sequence[Any]) -> object:
        """Call the function, where the numbers of its options are in their ranges."""
        options, *label = parts
        check_bounds(options)
        function = load_object(self.function)
        with labelled(*label):
            return function(options)


TRUTH_TAGGING = "weaver_tt.applications.truth_tagging.commands"
JET_ENERGY = "weaver_tt.applications.jet_energy.commands"
DECORRELATION = "weaver_tt.applications.decorrelation.commands"
CALIBRATION = "weaver_tt.applications.calibration.commands"
DENSITY_RATIO = "weaver_tt.applications.density_ratio.commands"
LUND = "weaver_tt.samples.lund.commands"
SIMULATE = "weaver_tt.samples.simulate.commands"
CONVERT = "weaver_tt.samples.convert.commands"
COMMANDS = {
    "toy": Command(
        "make toy events with known efficiencies",
        f"{TRUTH_TAGGING}:ToyOptions",
        f"{TRUTH_TAGGING}:run_toy",
    ),
    "map": Command(
        "make the binned (pT, eta) efficiency map",
        f"{TRUTH_TAGGING}:MapOptions",
        f"{TRUTH_TAGGING}:run_map",
    ),
    "weights": Command(
        "object efficiencies to event weights",
        f"{TRUTH_TAGGING}:WeightsOptions",
        f"{TRUTH_TAGGING}:run_weights",
    ),
    "report": Command(
        "compare classifiers, or jet energies, by their prediction files",
        "weaver_tt.report.commands:ReportOptions",
        "weaver_tt.reports:run_report",
        draws=True,
    ),
    "tune-report": Command(
        "trials of a search: table, importances and figures on one page",
        "weaver_tt.report.tuning:TuneReportOptions",
        "weaver_tt.report.tuning:run_tune_report",
        draws=True,
    ),
    "closure": Command(
        "compare network and map with direct tagging, or a ratio with its two samples",
        "weaver_tt.closures:ClosureOptions",
        "weaver_tt.closures:run_closure",
        draws=True,
    ),
    "scale-factors": Command(
        "scale factors of a tagger from two ratios of data to simulation",
        f"{DENSITY_RATIO}:ScaleFactorOptions",
        f"{DENSITY_RATIO}:run_scale_factors",
    ),
    "jec derive": Command(
        "derive the standard correction of jets: offset and response, for correctionlib",
        f"{JET_ENERGY}:DeriveOptions",
        f"{JET_ENERGY}:run_derive",
        draws=True,
    ),
    "jec apply": Command(
        "add the corrected pT to a file of jets",
        f"{JET_ENERGY}:ApplyOptions",
        f"{JET_ENERGY}:run_apply",
    ),
    "ddt": Command(
        "make a score independent of the mass: thresholds in (rho, pT), for correctionlib",
        f"{DECORRELATION}:DdtOptions",
        f"{DECORRELATION}:run_ddt",
        draws=True,
    ),
    "calibrate": Command(
        "efficiencies of a tagger in data, and its scale factors, for correctionlib",
        f"{CALIBRATION}:CalibrateOptions",
        f"{CALIBRATION}:run_calibrate",
        draws=True,
    ),
    "simulate": Command(
        "simulate jets with Pythia 8 and FastJet",
        f"{SIMULATE}:SimulateOptions",
        f"{SIMULATE}:run_simulate",
    ),
    "lund": Command(
        "add the Lund tree of each jet, with FastJet",
        f"{LUND}:LundOptions",
        f"{LUND}:run_lund",
        draws=True,
    ),
    "export": Command(
        "a trained network as a folder that FCC, CMSSW, Python or C++ load as it is",
        "weaver_tt.options.export:ExportOptions",
        "weaver_tt.run.exporting:run_target_export",
    ),
    "init": Command(
        "a data YAML and a network file to start from, made for your files",
        "weaver_tt.options.init:InitOptions",
        "weaver_tt.run.init.command:run_init",
    ),
    "inputs": Command(
        "every input variable of each class, before and after scaling, on one page",
        "weaver_tt.options.inputs:InputsOptions",
        "weaver_tt.run.inputs.command:run_inputs",
        draws=True,
    ),
    "inspect": Command(
        "what is in a data file, a run, a checkpoint or an ONNX file",
        "weaver_tt.options.inspect:InspectOptions",
        "weaver_tt.run.inspecting:run_inspect",
    ),
    "apply": Command(
        "an exported network on files of its columns, without torch",
        "weaver_tt.deploy.apply:ApplyOptions",
        "weaver_tt.deploy.apply:run_apply",
    ),
    "convert": Command(
        "convert public data sets of jets", f"{CONVERT}:ConvertOptions", f"{CONVERT}:run_convert"
    ),
}

OF_TRAINING = {
    "train": "train, predict or export a network (the same as train.py)",
    "check": "what is in the data, and whether a training would run on it",
    "tune": "search for the best settings of a training",
}
"""Commands that take the flags of a training, with their summaries."""

TOPICS = {
    "look at data, and begin": ["init", "inspect", "inputs", "check"],
    "train and predict": ["train", "tune", "tune-report"],
    "judge predictions": ["report", "closure"],
    "take the network elsewhere": ["export", "apply"],
    "efficiencies and corrections": [
        *("map", "weights", "ddt", "calibrate", "scale-factors", "jec derive", "jec apply")
    ],
    "make samples": ["simulate", "lund", "convert", "toy"],
}
"""What commands are for, in the order of a day's work."""

NAME_WIDTH = 16  # characters of a name in the overview, with the space behind it


def main(arguments: Sequence[str] | None = None) -> int:
    """``weaver-tt``: run the named command; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments[:1] == ["train"]:
        return train(arguments[1:], prog="weaver-tt train")
    if arguments[:1] == ["check"]:
        return check(arguments[1:])
    if arguments[:1] == ["tune"]:
        return tune(arguments[1:])
    name = command_name(arguments)
    if name not in COMMANDS:
        refuse_command(arguments)
    command = COMMANDS[name]
    parts = command.parts
    parser = FlagParser(
        prog=f"weaver-tt {name}",
        usage=usage_of(*parts),
        description=parts[0].__doc__,
        epilog=examples_of(name),
    )
    add_flags(parser, *parts)
    namespace = parser.parse_flags(arguments[len(name.split()) :])
    configure_log()
    return guarded(command.run, [read_flags(namespace, part) for part in parts])


def apply(arguments: Sequence[str] | None = None) -> int:
    """``weaver-tt-apply``, which is there without torch as well; returns the exit code."""
    return main(["apply", *(sys.argv[1:] if arguments is None else arguments)])


def command_name(arguments: Sequence[str]) -> str:
    """The command that ``arguments`` begin with: one word, or two of those such as ``jec derive``.

    It may be none that there is.
    """
    words = [argument for argument in arguments[:2] if not argument.startswith("-")]
    has_second_word = any(name.startswith(f"{words[0]} ") for name in COMMANDS) if words else False
    return " ".join(words if has_second_word else words[:1])


def refuse_command(arguments: Sequence[str]) -> NoReturn:
    """Exit: with the help or the version where ``arguments`` ask for it, else with an error."""
    parser = FlagParser(
        prog="weaver-tt",
        usage="%(prog)s COMMAND [arguments]",
        description="Machine learning on collision events, from ROOT files to ONNX.",
        epilog=overview(),
    )
    parser.add_argument("--version", action="version", version=f"weaver_tt {__version__}")
    if arguments and not arguments[0].startswith("-"):
        names = [name for commands in TOPICS.values() for name in commands]
        name = command_name(arguments)
        longer = [known for known in names if known.startswith(f"{name} ")]
        hint = f"write {' or '.join(longer)}" if longer else nearest(name, names)
        parser.error(f"{name}: no such command; {hint}")
    parser.parse_flags(arguments)
    parser.print_help(sys.stderr)
    parser.exit(2, "\nweaver-tt: error: expected a command first\n")


def overview() -> str:
    """All commands by what they are for, each in a line."""
    lines = []
    for topic, commands in TOPICS.items():
        lines += [f"{topic}:"]
        for name in commands:
            summary = OF_TRAINING[name] if name in OF_TRAINING else COMMANDS[name].summary
            lines.append(f"  {name:<{NAME_WIDTH}}{summary}")
        lines.append("")
    return "\n".join([*lines, "weaver-tt COMMAND --help shows the flags of one, and examples"])


def train(arguments: Sequence[str] | None = None, prog: str = "train.py") -> int:
    """``train.py``: train, predict, export or print; returns the exit code."""
    configure_log()
    words = sys.argv[1:] if arguments is None else list(arguments)
    options: RunOptions = parse_options(words, prog)
    prepare_threads()
    code = train_guarded("weaver_tt.run.run:run", options)
    # of several ranks, their launcher has the command
    if code == RESUME_ME and "LOCAL_RANK" not in os.environ:
        show_continuation(prog, words)
    return code


def show_continuation(prog: str, words: Sequence[str]) -> None:
    """Show on a terminal the command that continues a run of these ``words``.

    Not where that needs other words: a prefix with the time in it is another one the next time, and
    ``--load-epoch`` would go back once more.
    """
    # a value may be behind an equals sign
    flags = {word.partition("=")[0] for word in words}
    is_named = bool(flags & {"-m", "--model-prefix"})
    if not is_terminal() or not is_named or "--load-epoch" in flags:
        return
    again = [word for word in words if word not in ("--overwrite", "--resume")]
    program = ["python", prog] if prog.endswith(".py") else prog.split()
    show_commands(console(), [[*program, *again, "--resume"]])


def train_guarded(place: str, options: RunOptions) -> int:
    """Call the function ``place``, which trains; returns the exit code.

    Signals and ``--max-time`` end it where it can be continued.
    """

    def function(options: RunOptions) -> object:
        max_time = options.train.max_time
        if max_time is not None:
            end_after(seconds_of(max_time, "--max-time"), f"--max-time {max_time}")
        return load_object(place)(options)

    with handling_signals():
        return guarded(function, options)


def check(arguments: Sequence[str] | None = None) -> int:
    """``weaver-tt check``: look at the data, and try a training; returns the exit code."""
    configure_log()
    options = parse_options(
        arguments,
        "weaver-tt check",
        "Look at the data of a training, and try it on a few rows: takes the flags of the training "
        "and prints what it finds; the exit code is 1 where the training would fail.",
        CheckRun,
    )
    prepare_threads()
    command = importlib.import_module("weaver_tt.run.check.command")
    return guarded(command.run_check, options)


def tune(arguments: Sequence[str] | None = None) -> int:
    """``weaver-tt tune``: search for the best settings of a training; returns the exit code."""
    configure_log()
    options = parse_options(
        arguments,
        "weaver-tt tune",
        "Search for the best settings of a training: takes its flags, and trains one trial after "
        "the other with settings that Optuna proposes.",
        TuneRun,
    )
    prepare_threads()
    return train_guarded("weaver_tt.run.tune:run_tune", options)


def prepare_threads() -> None:
    """Set what must be set before torch is imported, unless the user has set it."""
    # to be set before torch starts OpenMP: threads that spin for long while they wait take the
    # cores from the reader and from other jobs
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # some microseconds: as fast as spinning on an idle machine
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    # huge pages for large tensors: fresh memory costs a fifth of the time
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    keep_freed_memory()


def guarded(function: Callable[[Any], object], options: object) -> int:
    """Call ``function``; returns the exit code.

    An error that the input or a user's code caused becomes one message, and so does lack of memory,
    with the flags that help; anything else keeps its traceback.
    """
    try:
        with user_errors():
            result = function(options)
    except WeaverError as error:
        if not error.is_reported:
            log.error("%s", error)
            if is_lack_of_memory(error):
                log.error("not enough memory: %s", HINT)
        return 1
    except Exception as error:
        if not is_lack_of_memory(error):
            raise
        log.error("not enough memory (%s): %s", str(error).strip() or type(error).__name__, HINT)
        return 1
    except Interrupted as interruption:
        log.warning(
            "ended early by %s; the exit code is %d: the same command goes on, a training with "
            "--resume",
            interruption,
            RESUME_ME,
        )
        return RESUME_ME
    except KeyboardInterrupt:
        log.error("interrupted")
        return 130
    parts = list(result.values()) if isinstance(result, Mapping) else [result]
    code = 0
    files = {file["path"] for part in parts for file in getattr(part, "bad_files", ())}
    if files:
        log.warning(
            "done, with losses: rows of %s were left out (--on-bad-file skip); the exit code is %d",
            counted(len(files), "bad file"),
            DONE_WITH_LOSSES,
        )
        code = DONE_WITH_LOSSES
    without_output = sum(getattr(part, "without_output", 0) for part in parts)
    if without_output:
        log.warning(
            "done, but the network gives NaN or infinity for %s; the exit code is %d",
            counted(without_output, "entry", "entries"),
            DONE_WITHOUT_NUMBERS,
        )
        code = DONE_WITHOUT_NUMBERS
    return code


def load_object(place: str) -> Any:
    """What ``module:attribute`` names, imported now."""
    module, attribute = place.split(":")
    return getattr(importlib.import_module(module), attribute)


if __name__ == "__main__":
    raise SystemExit(main())
