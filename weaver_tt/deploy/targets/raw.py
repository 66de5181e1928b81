"""One file from the columns of a file to the outputs: for any program with ONNX Runtime."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import onnx
import onnxruntime

from weaver_tt.deploy.export import Export, GraphForm
from weaver_tt.deploy.golden import GoldenRow, ReaderResult, RowReader, Values
from weaver_tt.deploy.raw_columns import RawColumn, raw_inputs, read_raw_columns
from weaver_tt.deploy.raw_graph import (
    OLDEST_OPSET,
    PREPARED,
    objects_with_outputs,
    raw_refusals,
    write_raw,
)
from weaver_tt.deploy.sample import SampleRows
from weaver_tt.deploy.signature import CHOSEN_OBJECTS, SPREAD
from weaver_tt.deploy.targets.base import MODEL, Target
from weaver_tt.errors import OutputError

NETWORK = "network.onnx"  # the accepted network, which is gone once it stands behind the columns


class Raw(Target):
    """Flat columns in the types of the files, and offsets; the preparation is in the graph."""

    name = "raw"
    title = "ONNX Runtime with the columns of files"
    form = GraphForm()
    wraps = True

    def __init__(self, model_name: str) -> None:
        super().__init__(model_name)
        self.columns: dict[str, RawColumn] = {}
        self._types: dict[str, str] = {}
        self._chooses = False  # outputs are of objects that the graph chooses

    def flag_refusals(self, opset: int) -> list[str]:
        """Operator sets without what the preparation needs."""
        found = super().flag_refusals(opset)
        if opset < OLDEST_OPSET:
            found.append(
                f"operator set {opset}: sums over objects need {OLDEST_OPSET} or later "
                "(--onnx-opset)"
            )
        return found

    def sample_refusals(self, export: Export, sample: SampleRows) -> list[str]:
        """Models without raw columns, and expressions that a graph cannot compute."""
        if not sample.raw:
            return [
                "there are no columns of files: the training kept none beside the model, so that "
                "their types are not known; -t FILES gives some"
            ]
        self._types = {name: str(ak.type(values).content) for name, values in sample.raw.items()}
        graph = export.graph
        return raw_refusals(export.config, graph.inputs, graph.outputs, self._types)

    def write(
        self, part: Path, folder: Path, export: Export, opset: int, metadata: Mapping[str, Any]
    ) -> float:
        """Write the network, then the preparation in front of it.

        Raises:
            OutputError: the graph cannot be written, or differs from torch.
        """
        network = part / NETWORK
        model = part / MODEL
        metadata = {**metadata, "target": self.name}
        difference = export.write(network, folder / MODEL, opset, metadata)
        reasons = write_raw(network, export.config, self._types, model)
        if reasons:
            raise OutputError(f"{folder / MODEL}: not written: {'; '.join(reasons)}")
        network.unlink()
        written = onnx.load(str(model), load_external_data=False)
        texts = {item.key: item.value for item in written.metadata_props}
        axes = [
            axis for output in written.graph.output for axis in output.type.tensor_type.shape.dim
        ]
        self._chooses = any(axis.dim_param == CHOSEN_OBJECTS for axis in axes)
        self.columns = read_raw_columns(texts, str(folder / MODEL))
        return difference

    def columns_of(self, row: GoldenRow) -> Values:
        """The columns of the file."""
        found = {}
        for name in self.columns:
            values = row.raw[name]
            flat = ak.flatten(values) if ak.Array(values).ndim > 1 else values
            content = ak.to_numpy(flat)
            found[name] = content if self.columns[name].offsets is not None else content[0]
        return found

    def open_reader(self, folder: Path, export: Export) -> RowReader:
        """ONNX Runtime, one row a call."""
        return RawReader(folder / MODEL, export)

    def is_read_by_tagger(self) -> bool:
        """Unless it chooses objects itself."""
        return not self._chooses

    def usage(self) -> str:
        """Everywhere, with its inputs."""
        lines = [
            "`model.onnx` takes the columns of files as they are stored, for any number of rows: "
            "the values of all rows one after another, and for lists the offsets (int64, rows + "
            "1). All that the tables below say happens inside. Which rows are given to it is the "
            "caller's choice.",
            "",
            "| input of the graph | type | offsets |",
            "|---|---|---|",
        ]
        for offsets in dict.fromkeys(column.offsets for column in self.columns.values()):
            if offsets is not None:
                lines.append(f"| {offsets} | int64 | |")
        for name, column in self.columns.items():
            lines.append(f"| {name} | {column.type} | {column.offsets or 'one value a row'} |")
        if self._chooses:
            lines += [
                "",
                "Outputs are of the objects that stay inside of the graph: which ones, the caller "
                "has to know. `weaver_tt.deploy.Tagger`, `weaver-tt-apply` and the C++ "
                "library refuse such a file.",
            ]
            return "\n".join(lines)
        lines += [
            "",
            "Python: `weaver_tt.deploy.Tagger(FOLDER)(columns)` runs it on columns in any form; "
            "its `inputs(columns)` are what the graph is given. Files: `weaver-tt-apply FOLDER -t "
            "FILES -o scores.root`. Neither needs torch.",
        ]
        return "\n".join(lines)


class RawReader:
    """``model.onnx`` called with one row, which shows what is prepared inside as well."""

    def __init__(self, path: Path, export: Export) -> None:
        model = onnx.load(str(path))
        texts = {item.key: item.value for item in model.metadata_props}
        self.path = path
        self.columns = read_raw_columns(texts, str(path))
        self.outputs = [output.name for output in model.graph.output]
        self.values = export.graph.values
        # group -> its tensor, and the number of its objects
        self.prepared: dict[str, tuple[str, str | None]] = json.loads(texts[PREPARED])
        self.judged = objects_with_outputs(export.config)
        shown = {name for pair in self.prepared.values() for name in pair if name is not None}
        for name in sorted(shown):
            model.graph.output.append(onnx.ValueInfoProto(name=name))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, columns: Values) -> ReaderResult:
        """The outputs of a row with these columns, () or (n,) each.

        Raises:
            OutputError: ONNX Runtime cannot run it.
        """
        given = {}
        for name, values in columns.items():
            one = np.asarray(values)
            given[name] = ak.Array(one[None]) if one.ndim == 0 else ak.unflatten(one, [len(one)])
        names = [output.name for output in self.session.get_outputs()]
        try:
            results = self.session.run(names, raw_inputs(self.columns, given, str(self.path)))
        # errors of ONNX Runtime have no common base
        except Exception as error:
            raise OutputError(f"{self.path}: ONNX Runtime cannot run a row: {error}") from error
        found = dict(zip(names, results, strict=True))
        tensors = {group: found[tensor] for group, (tensor, _) in self.prepared.items()}
        return ReaderResult(self._outputs(found), tensors)

    def _outputs(self, found: Values) -> Values:
        """The outputs by the names of their values."""
        if self.judged is not None:
            _, counts = self.prepared[self.judged]
            count = int(found[str(counts)][0])
            return {name: _of_objects(found[name][0], count) for name in self.outputs}
        outputs: Values = {}
        for name in self.outputs:
            ending = SPREAD if name != self.outputs[0] else ""
            for value, number in zip(self.values, found[name][0], strict=True):
                outputs[value + ending] = number
        return outputs


def _of_objects(values: Any, count: int) -> Any:
    """(P,) outputs of slots -> (n,) of the objects, NaN beyond P."""
    found = np.full(count, np.nan, np.float32)
    kept = min(count, len(values))
    found[:kept] = values[:kept]
    return found
