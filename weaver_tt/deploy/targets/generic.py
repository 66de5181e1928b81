"""For Python and the C++ library of this project: any number of rows and objects, all outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from weaver_tt.deploy.export import Export, GraphForm
from weaver_tt.deploy.golden import ReaderResult, RowReader, Values
from weaver_tt.deploy.tagger import Tagger
from weaver_tt.deploy.targets.base import Target


class Generic(Target):
    """``weaver_tt.deploy.Tagger`` and ``cpp/``."""

    name = "generic"
    title = "Tagger"
    form = GraphForm()

    def open_reader(self, folder: Path, export: Export) -> RowReader:
        """The Tagger, one row a call."""
        return TaggerReader(folder)

    def usage(self) -> str:
        """In Python, on files and in C++."""
        return (
            "Python: `weaver_tt.deploy.Tagger(FOLDER)(columns)`; files that have the variables "
            "below as columns: `weaver-tt-apply FOLDER -t FILES -o scores.root`, and `--golden` "
            "replays golden.json. Neither needs torch. Files of the training: `weaver-tt train "
            "--predict -c DATA_YAML -m FOLDER/model.onnx -t FILES`. C++: "
            "`weaver_tt::Model(FOLDER)` of `cpp/`, and `golden_check FOLDER`."
        )


class TaggerReader:
    """A Tagger called with one row."""

    def __init__(self, folder: Path, model: str = "model.onnx") -> None:
        self.tagger = Tagger(folder, model=model)

    def __call__(self, columns: Values) -> ReaderResult:
        """The outputs of a row with these variables, () or (n,) each."""
        given = {}
        for name in self.tagger.column_names:
            values = np.asarray(columns[name])
            given[name] = (values, np.array([0, len(values)])) if values.ndim else values[None]
        outputs = {}
        for name, values in self.tagger(given).items():
            outputs[name] = np.asarray(values[0])
        return ReaderResult(outputs, dict(self.tagger.inputs(given)))
