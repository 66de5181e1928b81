"""Triton: a model repository for the ONNX Runtime backend."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import onnx

from weaver_tt.deploy.export import Export, GraphForm
from weaver_tt.deploy.golden import RowReader
from weaver_tt.deploy.targets.base import MODEL, Target
from weaver_tt.deploy.targets.generic import TaggerReader
from weaver_tt.system.json_files import strict_json_text

# rows of one call of the network that the server puts together
MOST_ROWS = 256
LABELS = "labels.txt"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class Triton(Target):
    """``NAME/config.pbtxt``, ``NAME/1/model.onnx`` and ``NAME/labels.txt``."""

    name = "triton"
    title = "Triton"
    form = GraphForm()

    def flag_refusals(self, opset: int) -> list[str]:
        """A name that is no name of a folder."""
        found = super().flag_refusals(opset)
        if not NAME.fullmatch(self.model_name):
            found.append(
                f"name {self.model_name!r}: {self.title} names a folder by it; use letters, "
                "digits, _ . and - (--name)"
            )
        return found

    def write(
        self, part: Path, folder: Path, export: Export, opset: int, metadata: Mapping[str, Any]
    ) -> float:
        """Write the repository; what clients prepare inputs by lies beside the model's folder."""
        home = part / self.model_name
        (home / "1").mkdir(parents=True)
        model = home / "1" / MODEL
        shown = folder / self.model_name / "1" / MODEL
        difference = export.write(model, shown, opset, {**metadata, "target": self.name})
        sidecar = strict_json_text(self.describe(export), "preprocess.json", indent=2)
        (part / "preprocess.json").write_text(sidecar)
        (home / LABELS).write_text("".join(f"{name}\n" for name in export.graph.values))
        (home / "config.pbtxt").write_text(self._config(model, export.graph.per_object))
        return difference

    def _config(self, model: Path, per_object: bool) -> str:
        """The model configuration; the axis of rows is left out of all dims."""
        graph = onnx.load(str(model), load_external_data=False).graph
        lines = [
            f'name: "{self.model_name}"',
            'platform: "onnxruntime_onnx"',
            f"max_batch_size: {MOST_ROWS}",
        ]
        for value in graph.input:
            lines += _tensor("input", value, label_file=False)
        for number, value in enumerate(graph.output):
            # a label for each number of the first output
            lines += _tensor("output", value, label_file=number == 0 and not per_object)
        lines.append("dynamic_batching { }")
        return "\n".join(lines) + "\n"

    def open_reader(self, folder: Path, export: Export) -> RowReader:
        """A client that prepares inputs as the Tagger does."""
        return TaggerReader(folder, f"{self.model_name}/1/{MODEL}")

    def is_read_by_tagger(self) -> bool:
        """The network lies elsewhere in the folder."""
        return False

    def usage(self) -> str:
        """A server and its client."""
        return (
            f"`tritonserver --model-repository=FOLDER` serves the model `{self.model_name}`. A "
            "client prepares its inputs as `preprocess.json` says."
        )


def _tensor(kind: str, value: Any, label_file: bool) -> Iterator[str]:
    sizes = value.type.tensor_type.shape.dim[1:]
    dims = ", ".join(str(size.dim_value or -1) for size in sizes)
    yield f"{kind} [ {{"
    yield f'  name: "{value.name}"'
    yield "  data_type: TYPE_FP32"
    yield f"  dims: [ {dims} ]"
    if label_file:
        yield f'  label_filename: "{LABELS}"'
    yield "} ]"
