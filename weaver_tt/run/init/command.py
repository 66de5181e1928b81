"""``weaver-tt init``: a data YAML and a network file to start from."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from weaver_tt.errors import ConfigError, OutputError
from weaver_tt.options.init import LIST_EXAMPLES, InitOptions
from weaver_tt.run.init.data_yaml import data_yaml, decisions
from weaver_tt.run.init.guess import Guess, guess
from weaver_tt.run.starter_files import DATA_YAML, NETWORK
from weaver_tt.system.atomic_files import write_text
from weaver_tt.system.examples import PREFIX, SCHEMA, data_schema, find_example, list_examples
from weaver_tt.system.terminal import print_commands
from weaver_tt.system.wording import counted

SHOWN_CLASSES = 6
DEEP_SETS = "deep_sets"  # the example that takes collections and values of any names
SCHEMA_LINE = re.compile(r"^# yaml-language-server: \$schema=.*$", flags=re.M)
NETWORK_NAME = re.compile(r"network_configs/(\w+)\.py")


def run_init(options: InitOptions) -> None:
    """Write the two files and print what comes next.

    Raises:
        ConfigError: there is no such example or collection, or a file is there already.
        DataError: a data file cannot be read, or there is no row.
    """
    if options.example == LIST_EXAMPLES:
        for name in list_examples("data_configs", ".yaml"):
            print(f"{name:<26}{_first_sentence(_example(name).read_text())}")
        return
    if options.example is not None and options.files:
        raise ConfigError("--example copies an example as it is; leave out the data files")
    if options.example is not None:
        _copy_example(options.example, options)
        return
    if not options.files:
        raise ConfigError("expected data files, or --example (without a name: a list of them)")
    _write_for_files(options)


def _copy_example(name: str, options: InitOptions) -> None:
    """A shipped data YAML and the first network file that it names."""
    text = _example(name).read_text()
    network = example_network(text)
    source = find_example(f"{PREFIX}{network}", "network_configs", ".py")
    data_file = Path(options.output) / f"{name.removesuffix('.yaml')}.yaml"
    network_file = Path(options.output) / source.name
    _write({data_file: text, network_file: source.read_text()}, options)
    print(f"{data_file}: what it expects of the data files stands at its top")
    print(f"{network_file}: a network for it")
    # FILES are of the user's own
    same = ["-c", str(data_file), "-n", str(network_file)]
    print_commands([["weaver-tt", "check", *same, "-i", "FILES"]])


def _write_for_files(options: InitOptions) -> None:
    found = guess(options.files, options.treename, options.objects, options.rows)
    text = data_yaml(found, options.files)
    data_file = Path(options.output) / DATA_YAML
    network_file = Path(options.output) / NETWORK
    source = find_example(f"{PREFIX}{DEEP_SETS}", "network_configs", ".py")
    _write({data_file: text, network_file: source.read_text()}, options)
    print(f"{data_file}:")
    for line in _summary(found):
        print(f"  {line}")
    print(f"{network_file}:")
    print("  Deep Sets, for any collections and values of a row")
    print(f"{Path(options.output) / SCHEMA}:")
    print("  with which an editor completes and checks the keys of the YAML")
    for line in decisions(text):
        print(f"{data_file}, {line}")
    same = ["-c", str(data_file), "-i", *options.files]
    inputs = ["weaver-tt", "inputs", *same, "-o", str(Path(options.output) / "inputs")]
    print_commands([inputs, ["weaver-tt", "check", *same, "-n", str(network_file)]])


def _summary(found: Guess) -> Iterator[str]:
    """What a row is, what is learnt, and from what."""
    if found.objects is not None:
        linked = [each.name for each in found.objects.linked]
        beside = f", with {' and '.join(linked)}" if linked else ""
        yield f"rows: each of {found.objects.name}{beside}"
    if found.labels is not None:
        names = found.labels.classes
        shown = ", ".join(names)
        if len(names) > SHOWN_CLASSES:
            shown = f"of {names[0]} ... {names[-1]}"
        yield f"labels: {counted(len(names), 'class', 'classes')}, {shown}"
    values = counted(len(found.row_values), "value of a row", "values of a row")
    columns = [
        f"{counted(len(each.columns), 'column')} of {each.name}" for each in found.collections
    ]
    yield f"inputs: {', '.join([values, *columns])}"
    if found.weight is not None and not found.weight.is_constant:
        yield f"weight: {found.weight.name}"


def example_network(text: str) -> str:
    """The first network file that the text of an example names."""
    found = NETWORK_NAME.search(text)
    assert found is not None  # tests hold that
    return found[1]


def _example(name: str) -> Path:
    return find_example(f"{PREFIX}{name}", "data_configs", ".yaml")


def _first_sentence(text: str) -> str:
    """What the comment at the top of an example says first."""
    lines = [line.strip("# ") for line in SCHEMA_LINE.sub("", text).strip().splitlines()]
    sentence, _, _ = " ".join(lines[:4]).partition(". ")
    return textwrap.shorten(sentence, 72, placeholder=" ...")


def _write(texts: Mapping[Path, str], options: InitOptions) -> None:
    """Write all files, or none where one is there already, and the schema that editors look for.

    Raises:
        ConfigError: a file is there, and is not to be replaced.
        OutputError: a folder cannot be made.
    """
    there = [str(path) for path in texts if path.exists()]
    schema = Path(options.output) / SCHEMA
    schema_text = data_schema().read_text()
    # an earlier call may have written the same one
    if schema.exists() and schema.read_text() != schema_text:
        there.append(str(schema))
    if there and not options.overwrite:
        raise ConfigError(f"{', '.join(there)}: there already; --overwrite replaces it")
    texts = {**texts, schema: schema_text}
    for path, text in texts.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{path.parent}: cannot be made: {error}") from error
        write_text(path, text)
