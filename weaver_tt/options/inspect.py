"""The flags of ``weaver-tt inspect``."""

from __future__ import annotations

from dataclasses import dataclass

from weaver_tt.options.flags import flag


@dataclass(kw_only=True)
class InspectOptions:
    """What is in a data file, what a run or a checkpoint is, what an ONNX file says of itself."""

    file: str = flag(
        "",
        "a data file, the prefix of a run or any file of it, or an ONNX file, of anybody",
        positional=True,
    )
    treename: str | None = flag(None, "of a data file with several trees (HDF5: groups)")
    data_config: bool = flag(
        False, "print the data YAML that an ONNX file or a run card holds, and nothing else"
    )
    preprocess: bool = flag(False, "print the preprocess.json of an ONNX file, and nothing else")
