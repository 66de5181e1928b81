"""What an ONNX file says of itself, ours or anybody's."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weaver_tt.errors import ConfigError, DataError
from weaver_tt.system.json_files import json_text
from weaver_tt.system.missing_files import no_such_file
from weaver_tt.system.wording import counted

if TYPE_CHECKING:
    from weaver_tt.deploy.sidecar import Sidecar

MAX_TEXT = 400  # characters of a value that is printed
# what is printed in a form of its own, or is long
SHOWN_APART = ("preprocess", "inputs", "data_config")


def load_model(path: Path) -> Any:
    """The ``onnx.ModelProto`` of a file.

    Raises:
        ConfigError: there is no such file, or it is no ONNX.
    """
    import onnx

    if not path.is_file():
        raise ConfigError(no_such_file(path, ".onnx"))
    try:
        model = onnx.load(str(path), load_external_data=False)
    # errors of protobuf have no common base
    except Exception as error:
        raise ConfigError(f"{path}: not an ONNX file: {error}") from error
    if not model.graph.output:
        raise ConfigError(f"{path}: not an ONNX file: it holds no graph with outputs")
    return model


def metadata_of(model: Any) -> dict[str, str]:
    """The metadata of ``model``, an ``onnx.ModelProto``."""
    return {item.key: item.value for item in model.metadata_props}


def describe_model(path: Path, model: Any) -> Iterator[str]:
    """Lines that say what ``model``, an ``onnx.ModelProto``, and the files beside it are."""
    metadata = metadata_of(model)
    producer = f"{model.producer_name} {model.producer_version}".strip() or "an unknown program"
    opsets = ", ".join(f"{item.domain or 'opset'} {item.version}" for item in model.opset_import)
    parameters = sum(math.prod(item.dims) for item in model.graph.initializer)
    yield f"{path}: {path.stat().st_size / 1000:,.0f} kB, made by {producer}"
    yield f"  IR {model.ir_version}, {opsets}; {counted(parameters, 'number')} in its constants"
    sidecar, where = find_sidecar(path, metadata)
    yield "inputs"
    constants = {item.name for item in model.graph.initializer}
    for item in model.graph.input:
        # before IR 4 constants are inputs, too
        if item.name not in constants:
            yield f"  {item.name} {describe_type(item)}{_describe_group(item, sidecar)}"
    yield "outputs"
    for item in model.graph.output:
        yield f"  {item.name} {describe_type(item)}"
    if sidecar is not None:
        yield f"  names: {', '.join(sidecar.output_names)}"
    yield f"preparation of the inputs: {where}"
    if sidecar is not None:
        yield from _describe_channels(sidecar)
    if metadata:
        yield "says of itself"
    for key, value in metadata.items():
        if key not in SHOWN_APART:
            yield from _describe_value(f"  {key}", value)
    held = [key for key in ("data_config", "preprocess") if key in metadata]
    if held:
        flags = " and ".join(f"--{key.replace('_', '-')}" for key in held)
        yield f"more of it: {flags}"


def find_sidecar(path: Path, metadata: Mapping[str, str]) -> tuple[Sidecar | None, str]:
    """How the inputs are prepared, and where that is said, in words.

    What the file itself holds comes before ``preprocess.json`` beside it.
    """
    from weaver_tt.deploy.sidecar import make_sidecar, read_sidecar

    beside = path.with_name("preprocess.json")
    try:
        if "preprocess" not in metadata:
            if not beside.is_file():
                return None, "said neither in the file nor in a preprocess.json beside it"
            return read_sidecar(beside), f"{beside}"
        content = json.loads(metadata["preprocess"])
        found = make_sidecar(content, f"{path}: metadata 'preprocess'")
    except (DataError, ValueError, AttributeError) as error:
        return None, f"not to be read: {error}"
    if not beside.is_file():
        return found, "in the file (there is no preprocess.json beside it)"
    try:
        is_same = json.loads(beside.read_text(encoding="utf-8")) == content
    except (OSError, ValueError):
        is_same = False
    if is_same:
        return found, f"in the file, and the same in {beside}"
    return found, f"in the file; {beside} SAYS OTHERWISE: C++ readers would take that"


def describe_type(item: Any) -> str:
    """``float32 (N, 4, P)`` of an input or output of a graph."""
    import onnx

    tensor = item.type.tensor_type
    if not item.type.HasField("tensor_type"):
        return f"({item.type.WhichOneof('value')})"
    kind = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
    names = {"float": "float32", "double": "float64"}
    axes = [axis.dim_param or str(axis.dim_value or "?") for axis in tensor.shape.dim]
    return f"{names.get(kind, kind)} ({', '.join(axes)})"


def _describe_group(item: Any, sidecar: Sidecar | None) -> str:
    """What is known of the objects of an input."""
    if sidecar is None or item.name not in sidecar.groups:
        return ""
    if len(item.type.tensor_type.shape.dim) == 2:
        return ": values of a row"
    group = sidecar.groups[item.name]
    if group.shortest == group.longest:
        return f": {counted(group.longest, 'object')} of a row"
    return f": {group.shortest} to {group.longest} objects of a row"


def _describe_channels(sidecar: Sidecar) -> Iterator[str]:
    for group in sidecar.groups.values():
        yield f"  {group.name}"
        for channel in group.channels:
            text = channel.name
            if channel.center:
                sign = "-" if channel.center > 0 else "+"
                text = f"({text} {sign} {abs(channel.center):g})"
            if channel.scale != 1:
                text += f" * {channel.scale:g}"
            if abs(channel.low) < 1e30 or abs(channel.high) < 1e30:
                text += f", from {channel.low:g} to {channel.high:g}"
            if channel.pad:
                text += f", padded with {channel.pad:g}"
            yield f"    {text}"


def _describe_value(key: str, value: str) -> Iterator[str]:
    """A text of the metadata; of a JSON object, each of its keys in a line."""
    try:
        content = json.loads(value)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        yield f"{key}: {_shorten(value)}"
        return
    for name, part in content.items():
        text = part if isinstance(part, str) else json_text(part, indent=None)
        yield f"{key}.{name}: {_shorten(text)}"


def _shorten(value: str) -> str:
    one_line = " ".join(value.split())
    if len(one_line) > MAX_TEXT:
        return f"{one_line[:MAX_TEXT]}…"
    return one_line
