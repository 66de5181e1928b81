"""Export one or several trained networks to ``model.onnx``, with everything a reader needs.

The legacy (tracing) exporter writes files that today's C++ frameworks can read, but it turns some
operations into wrong graphs without a word, and freezes sizes that pass through Python. Therefore
each export is compared with torch, on real rows, and gets its name only when the numbers agree.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import onnx
import torch
from torch import Tensor, nn

import weaver_tt
from weaver_tt.config.load import save_config
from weaver_tt.config.schema import DERIVED_INPUTS, DataConfig
from weaver_tt.deploy.attention import attention_of_any_length
from weaver_tt.deploy.compare import (
    FIXED_LENGTH_HINT,
    MAX_DIFFERENCE,
    Difference,
    largest_difference,
    select_inputs,
    with_empty_rows,
)
from weaver_tt.deploy.onnx_network import OnnxNetwork
from weaver_tt.deploy.operators import explain_export_error, find_order_operations
from weaver_tt.deploy.preprocess import LengthKeys, make_preprocess, warn_of_readers
from weaver_tt.deploy.sample import Sample, random_sample
from weaver_tt.deploy.signature import SPREAD
from weaver_tt.errors import ConfigError, OutputError
from weaver_tt.log import log
from weaver_tt.network.derived import combine_members
from weaver_tt.network.network import Ensemble, Network
from weaver_tt.network.outputs import Activated
from weaver_tt.run_files import RunFiles
from weaver_tt.system.git import git_hash
from weaver_tt.system.json_files import json_text, strict_json_text
from weaver_tt.system.user_code import is_user_file
from weaver_tt.system.wording import counted
from weaver_tt.tasks.base import Task

# what a graph's output may be called where it is the probabilities of classes alone
SOFTMAX = "softmax"

# newest version of the file format that ONNX Runtime in FCCAnalyses, k4MLJetTagger and CMSSW reads
NEWEST_IR = 8


@dataclass(frozen=True, slots=True)
class GraphForm:
    """What readers want of a graph beyond the names.

    ``any_length``: the number of objects may be any, where the network takes that.
    ``scalars_have_axis``: groups of per-row scalars arrive as (N, C, 1). ``lengths`` are the keys
    of ``preprocess.json`` that say how many objects there may be. ``spread``: that of an ensemble
    leaves as further outputs, beside the mean.
    """

    any_length: bool = True
    scalars_have_axis: bool = False
    lengths: LengthKeys = "both"
    spread: bool = True


class DeployedNetwork(nn.Module):
    """What is exported: the mean of the members' activated outputs, and what is derived of it.

    Inputs are positional, (N, C, P) or (N, C): those of the members, then ``derived_inputs`` where
    there is such a group. Outputs are those of the graph: K times (N, P) for per-object networks,
    else one (N, K + D) with the D derived outputs; then as many standard deviations (of the
    population) when there are several members, if the ``spread`` is wanted.
    """

    def __init__(
        self,
        members: Sequence[Network],
        task: Task,
        with_axis: Collection[str] = (),
        spread: bool = True,
    ) -> None:
        """``members`` are networks that differ in their weights alone.

        ``with_axis``: groups of per-row scalars that arrive as (N, C, 1).
        """
        super().__init__()
        self.with_axis = with_axis
        self.spread = spread
        self.members = nn.ModuleList([member.unwrapped for member in members])
        self.input_names = members[0].input_names
        self.task = task
        self.derived = task.derived

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Graph inputs -> graph outputs."""
        number = len(self.input_names)
        names = [*self.input_names, DERIVED_INPUTS]
        inputs = tuple(
            value.squeeze(2) if name in self.with_axis else value
            for name, value in zip(names, inputs, strict=False)
        )
        columns = self.task.raw_columns(dict(zip([DERIVED_INPUTS], inputs[number:], strict=False)))
        of_members = []
        for member in self.members:
            values = self.task.activated_output(member(*inputs[:number]))
            of_members.append(self.task.in_units(values, columns))
        mean, spread = combine_members(of_members, self.derived, columns).joined()
        if spread is None or not self.spread:
            return _graph_outputs(mean)
        return _graph_outputs(mean) + _graph_outputs(spread)


def _graph_outputs(output: Tensor) -> tuple[Tensor, ...]:
    """(N, K, P) -> K times (N, P); (N, K) -> itself."""
    return output.unbind(1) if output.dim() == 3 else (output,)


class MeanOfMembers(Ensemble):
    """An ensemble whose spread does not leave."""

    def __call__(self, inputs: Mapping[str, Tensor]) -> Activated:
        """Mean over members of the activated outputs, and what is derived of it."""
        found = super().__call__(inputs)
        return Activated(found.value, derived=found.derived)

    @property
    def has_spread(self) -> bool:
        """It has none."""
        return False


class GraphNames(Protocol):
    """Names of a graph's inputs and outputs, and their dynamic axes."""

    inputs: list[str]
    outputs: list[str]
    axes: dict[str, dict[int, str]]


class GraphLayout:
    """Names and axes of a graph's inputs and outputs."""

    def __init__(
        self,
        members: list[Network],
        task: Task,
        config: DataConfig,
        per_object: bool,
        form: GraphForm,
    ) -> None:
        info = members[0].info
        self.inputs = list(members[0].input_names)
        if config.derived_inputs is not None:
            self.inputs.append(DERIVED_INPUTS)
        self.per_object = per_object
        leaving = [*task.value_names, *config.derived_outputs]
        if per_object:
            names = list(task.value_names)
        else:
            # one output (N, K), which the network file may name
            names = list(info.get("output_names") or ["output"])[:1]
            classes = [] if config.labels is None else list(config.labels.classes)
            if names == [SOFTMAX] and leaving != classes:
                # that is probabilities, and nothing else
                names = ["output"]
        self.outputs = list(names)
        if len(members) > 1 and form.spread:
            self.outputs += [name + SPREAD for name in names]
        # what a reader calls the values: the graph's outputs, or the K columns of its only output
        self.values = list(self.outputs if per_object else leaving)
        # groups of per-row scalars that are given as (N, C, 1)
        self.with_axis = []
        self.dynamic = []
        for name in self.inputs:
            has_objects = config.batch_groups[name].length is not None
            if form.scalars_have_axis and not has_objects:
                self.with_axis.append(name)
            if (
                form.any_length
                and has_objects
                and _takes_any_length(name, info.get("dynamic_axes"))
            ):
                self.dynamic.append(name)
        self.axes = self._dynamic_axes(config)

    def _dynamic_axes(self, config: DataConfig) -> dict[str, dict[int, str]]:
        """Name of an input or output -> its dynamic axes -> symbols."""
        # groups of different objects must not share a symbol
        if len(self.dynamic) == 1:
            symbols = {self.dynamic[0]: "P"}
        else:
            symbols = {name: f"P_{name}" for name in self.dynamic}

        axes = {name: {0: "N"} for name in self.inputs + self.outputs}
        for name, symbol in symbols.items():
            axes[name][2] = symbol
        # outputs per object have one entry for each object of the labels' group
        labelled = [] if config.labels is None else list(config.labels.object_targets)
        if self.per_object and labelled and labelled[0] in symbols:
            for name in self.outputs:
                axes[name][1] = symbols[labelled[0]]
        return axes


def _takes_any_length(name: str, dynamic_axes: Mapping[str, Any] | None) -> bool:
    """Whether an input may have any number of objects.

    It may, unless the network file's ``dynamic_axes`` lists the group without axis 2.
    """
    return not dynamic_axes or name not in dynamic_axes or 2 in dynamic_axes[name]


class Export:
    """Trained networks that are to become a graph of a ``form``.

    ``rows`` are those that the graph is compared on, ``reference`` is what it must give in torch.
    ``graph`` and ``sidecar`` (the content of ``preprocess.json``) are known before it is written.
    """

    def __init__(
        self,
        members: list[Network],
        task: Task,
        config: DataConfig,
        sample: Sample | None = None,
        form: GraphForm = GraphForm(),
    ) -> None:
        """``members`` are networks on the CPU that differ only in their weights.

        ``sample`` holds real rows to compare on (see ``sample.py``); without, these are seeded
        random rows, and a warning says so.

        Raises:
            ConfigError: statistics of the training data are missing.
            DataError: the sample does not hold rows of this configuration.
        """
        if config.needs_statistics:
            raise ConfigError(
                f"{config.source}: has centers that are auto, and their statistics are missing; "
                "export needs PREFIX.auto.yaml"
            )
        if sample is None:
            log.warning(
                "no sample of training rows beside the model and no --data-test: "
                "comparing on random rows"
            )
            sample = random_sample(config)
        self.members = members
        self.task = task
        self.config = config
        self.form = form
        self.reference = (Ensemble if form.spread else MeanOfMembers)(members, task).eval()
        names = list(members[0].input_names)
        if config.derived_inputs is not None:
            names.append(DERIVED_INPUTS)
        self.rows = with_empty_rows(select_inputs(sample, config, names), config, self.reference)
        self._example = {name: torch.tensor(array[:3]) for name, array in self.rows.items()}
        with torch.no_grad():
            output = self.reference(self._example).value  # (N, K, P), (N, K) or (N,)
        self.graph = GraphLayout(members, task, config, output.dim() == 3, form)
        self.sidecar = make_preprocess(
            config, self.graph.inputs, self.graph.values, self.graph.dynamic, form.lengths
        )

    def write(self, part: Path, path: Path, opset: int, metadata: Mapping[str, Any]) -> float:
        """Write the graph to ``part``, which is to become ``path``, once it gives torch's numbers.

        Returns the largest difference. ``metadata`` is what else to keep in the file.

        Raises:
            OutputError: an operator cannot be exported, the file would be too new for C++ readers,
                or results differ from torch by more than 1e-5 for any N and P.
        """
        graph = self.graph
        all_metadata = make_metadata(self.task, self.config, graph, self.sidecar) | dict(metadata)
        deployed = DeployedNetwork(self.members, self.task, graph.with_axis, self.form.spread)
        example = []
        for name in graph.inputs:
            tensor = self._example[name]
            example.append(tensor.unsqueeze(2) if name in graph.with_axis else tensor)
        trace_warnings = trace_graph(deployed, example, graph, part, opset)
        if not graph.per_object:
            set_output_size(part, len(graph.values))
        add_metadata(part, all_metadata, path)
        exported = OnnxNetwork(part, self.config)
        difference = verify_export(
            self.reference, exported, self.rows, self.config, graph, path, trace_warnings
        )
        log.info(
            "%s: largest difference to torch %.2g (allowed %.0e), %s",
            path,
            difference,
            MAX_DIFFERENCE,
            counted(len(next(iter(self.rows.values()))), "row"),
        )
        return difference


def export_onnx(
    members: list[Network],
    task: Task,
    config: DataConfig,
    path: str | Path,
    *,
    opset: int = 17,
    sample: Sample | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> float:
    """Write the networks to ``path`` and return the largest difference to torch.

    ``preprocess.json`` and, with training statistics, ``NAME.auto.yaml`` are written beside it.
    For ``members`` and ``sample`` see :class:`Export`. ``metadata`` is what else to keep in the
    file (``training``: a summary), text or anything that JSON can hold.

    Raises:
        OutputError: an operator cannot be exported, the file would be too new for C++ readers, or
            results differ from torch by more than 1e-5 for any N and P; nothing is left behind.
        ConfigError: statistics of the training data are missing.
    """
    path = Path(path)
    export = Export(members, task, config, sample)
    warn_of_readers(config)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # on the same disk, so that the finished files only have to be renamed
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            part = Path(folder) / path.name
            difference = export.write(part, path, opset, metadata or {})
            move_into_place(part, path.parent, export.sidecar, config)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    return difference


def move_into_place(part: Path, folder: Path, sidecar: dict[str, Any], config: DataConfig) -> None:
    """Write the sidecars beside the accepted file ``part``, then move all into ``folder``."""
    preprocess_json = write_sidecars(part, sidecar, config)
    _warn_of_shared_sidecar(folder, part.name, preprocess_json)
    finished = sorted(part.parent.iterdir(), key=lambda file: file == part)
    earlier = part.parent / "earlier"
    earlier.mkdir()
    try:
        # an earlier model goes first, the new one comes last: a reader that finds a model finds its
        # own sidecars beside it
        for file in reversed(finished):
            if (folder / file.name).is_file():
                os.replace(folder / file.name, earlier / file.name)
        for file in finished:
            os.replace(file, folder / file.name)
    except OSError:
        for file in finished:
            if (earlier / file.name).is_file():
                os.replace(earlier / file.name, folder / file.name)
        raise


def write_sidecars(model: Path, sidecar: dict[str, Any], config: DataConfig) -> str:
    """Write ``preprocess.json`` and, with training statistics, ``NAME.auto.yaml`` beside ``model``.

    Returns the text of ``preprocess.json``.
    """
    preprocess_json = strict_json_text(sidecar, "preprocess.json", indent=2)
    (model.parent / "preprocess.json").write_text(preprocess_json)
    has_transforms = any(target.transform for target in config.targets.values())
    if config.preprocess.params or has_transforms or config.density_ratio is not None:
        # the same statistics as YAML, with which predictions in Python scale their inputs
        save_config(
            config,
            str(RunFiles.of(model).auto_yaml),
            config.preprocess.params,
            config.preprocess.fingerprint,
        )
    return preprocess_json


def _warn_of_shared_sidecar(folder: Path, name: str, preprocess_json: str) -> None:
    """Warn where ``preprocess.json`` is that of another model in the folder, and not of this one.

    Readers look for it under this name.
    """
    path = folder / "preprocess.json"
    others = sorted(other.name for other in folder.glob("*.onnx") if other.name != name)
    if others and path.is_file() and path.read_text() != preprocess_json:
        log.warning(
            "%s: was that of %s, which has other inputs, and is now that of %s; a folder for each "
            "model keeps them apart (each file also holds its own, as metadata 'preprocess')",
            path,
            " and ".join(others),
            name,
        )


def trace_graph(
    module: nn.Module,
    example: Sequence[Tensor],
    graph: GraphNames,
    path: Path,
    opset: int,
) -> list[str]:
    """Write the graph without metadata to ``path``, and return the tracer's warnings.

    Raises:
        OutputError: ONNX does not have an operator; the message says where it is called.
    """
    inputs = tuple(example)
    with warnings.catch_warnings(record=True) as caught, attention_of_any_length():
        warnings.simplefilter("always")
        try:
            torch.onnx.export(
                module.eval(),
                inputs,
                str(path),
                input_names=graph.inputs,
                output_names=graph.outputs,
                dynamic_axes=graph.axes,
                opset_version=opset,
                dynamo=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            explanation = explain_export_error(error, module, inputs, opset)
            raise OutputError(f"the network cannot be exported: {explanation}") from error
    # the exporter also announces its own retirement; only what it says about this network counts
    told = [item for item in caught if issubclass(item.category, torch.jit.TracerWarning)]
    # and first what it says about the user's own lines
    told.sort(key=lambda item: not is_user_file(item.filename))
    return [f"{item.message} ({item.filename}, line {item.lineno})" for item in told]


def make_metadata(
    task: Task, config: DataConfig, graph: GraphLayout, sidecar: dict[str, Any]
) -> dict[str, Any]:
    """What the file says about itself, key -> text or anything that JSON can hold."""
    return {
        "weaver_tt_version": weaver_tt.__version__,
        "git_hash": git_hash() or "unknown",
        "task": task.name,
        "layout": "objects" if graph.per_object else "rows",
        "outputs": list(task.value_names),
        "derived": {name: found.source for name, found in config.derived_outputs.items()},
        "inputs": {name: config.batch_groups[name].names for name in graph.inputs},
        "preprocess": sidecar,
        "data_config": config.text,
    }


def set_output_size(part: Path, size: int) -> None:
    """Say in the file that its outputs are (N, ``size``): the exporter does not always know it."""
    model = onnx.load(str(part))
    for output in model.graph.output:
        dimensions = output.type.tensor_type.shape.dim
        if len(dimensions) == 2:
            dimensions[1].dim_value = size
    onnx.save(model, str(part))


def add_metadata(part: Path, metadata: Mapping[str, Any], path: Path) -> None:
    """Add ``metadata`` to the file ``part``, which is to become ``path``, and check the file.

    Raises:
        OutputError: C++ readers cannot load such a file.
    """
    texts = {}
    for name, value in metadata.items():
        texts[name] = value if isinstance(value, str) else json_text(value, indent=None)
    model = onnx.load(str(part))
    onnx.helper.set_model_props(model, texts)
    onnx.save(model, str(part))
    onnx.checker.check_model(str(part), full_check=True)
    # what was written in the end, whatever the exporter and this version of onnx make of it
    written = onnx.load(str(part), load_external_data=False).ir_version
    if written > NEWEST_IR:
        raise OutputError(
            f"{path}: this operator set needs ONNX IR version {written}, "
            f"readers know {NEWEST_IR} and older; --onnx-opset 17 fits"
        )


def verify_export(
    reference: Ensemble,
    exported: OnnxNetwork,
    rows: Sample,
    config: DataConfig,
    graph: GraphLayout,
    path: Path,
    trace_warnings: list[str],
) -> float:
    """The largest difference between the exported network and torch.

    Raises:
        OutputError: it is more than rounding, or one of the two cannot be run.
    """
    try:
        difference = largest_difference(
            reference, exported, rows, config, graph.dynamic, graph.values
        )
    except OutputError as error:
        raise OutputError(
            f"{path}: not written, it cannot be compared with torch: {error}"
        ) from error
    if not difference.is_rounding:
        hints = explain_difference(difference, exported.path, trace_warnings)
        raise OutputError(
            f"{path}: not written, the exported network differs from torch by "
            f"{difference.size:.2g} (allowed {MAX_DIFFERENCE:.0e}): {difference.place}"
            f"{''.join(f'; {hint}' for hint in hints)}"
        )
    return difference.size


def explain_difference(
    difference: Difference, path: str | Path, trace_warnings: Sequence[str]
) -> list[str]:
    """What may be the cause of a difference between the file ``path`` and torch."""
    hints = []
    if difference.is_of_length:
        hints.append(
            "at the length of the data YAML they agree: a module keeps a size of tracing; "
            f"{FIXED_LENGTH_HINT}"
        )
    elif operations := find_order_operations(path):
        hints.append(
            f"{', '.join(operations)}: of equal values ONNX takes the first, torch any; sort with "
            "stable=True, or choose by a second key"
        )
    # the first warning is usually the cause: a size that tracing turned into a constant
    if trace_warnings:
        hints.append(f"tracing warned: {trace_warnings[0]}")
    return hints
