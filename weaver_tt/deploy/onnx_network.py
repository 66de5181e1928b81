"""An exported network in ONNX Runtime, called exactly like the torch networks it was made from."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weaver_tt.config.schema import DataConfig
from weaver_tt.deploy.preprocess import variable_info
from weaver_tt.deploy.raw_columns import RAW_COLUMNS
from weaver_tt.deploy.session import open_session
from weaver_tt.deploy.signature import SPREAD
from weaver_tt.errors import ConfigError, OutputError, nearest
from weaver_tt.network.outputs import Activated
from weaver_tt.system.file_shapes import ANYTHING, TEXT, AnyOf, ListOf, NamesTo
from weaver_tt.system.json_files import parse_json

_INFOS = {"var_names": ListOf(TEXT), "var_infos": NamesTo(NamesTo(ANYTHING))}
# beside the inputs, it has the names of inputs and outputs
PREPROCESS = NamesTo(AnyOf((_INFOS, ListOf(TEXT))))

# what files that are exported here say of themselves
METADATA = frozenset(("layout", "outputs", "preprocess"))

# that are given to the graph one by one, to see how long one takes
TIMED_ROWS = 100


class OnnxNetwork:
    """``model.onnx`` as a network on the CPU: inputs -> (activated output, spread or None).

    ``path`` is a file that :func:`weaver_tt.deploy.export.export_onnx` wrote, ``config`` the data
    that it will be given, ``threads`` those of ONNX Runtime (None leaves the number to it).

    Raises:
        ConfigError: the file cannot be loaded, or its inputs and their scaling are not those of
            ``config``.
    """

    activated = True
    device = torch.device("cpu")

    def __init__(
        self,
        path: str | Path,
        config: DataConfig,
        threads: int | None = None,
        session: Any = None,
    ) -> None:
        """``session``: that of the file, where it is open already."""
        self.path = Path(path)
        self.session = open_session(self.path, threads) if session is None else session
        self.metadata: dict[str, str] = self.session.get_modelmeta().custom_metadata_map
        self.input_names = [item.name for item in self.session.get_inputs()]
        self._ranks = {item.name: len(item.shape) for item in self.session.get_inputs()}
        self.output_names = [item.name for item in self.session.get_outputs()]
        self._read_metadata(config)

    def _read_metadata(self, config: DataConfig) -> None:
        """What the file says of itself."""
        # a label of its own may end in _std as well
        self.spreads = {
            name
            for name in self.output_names
            if name.endswith(SPREAD) and name.removesuffix(SPREAD) in self.output_names
        }
        if not is_ours(self.session):
            raise ConfigError(
                f"{self.path}: not written by weaver_tt "
                "(its metadata say nothing of layout, outputs and preprocess)"
            )
        if RAW_COLUMNS in self.metadata:
            raise ConfigError(
                f"{self.path}: takes columns of files, which are prepared in the graph; a "
                "prediction takes prepared tensors: export with --target generic"
            )
        # name -> expression; files of earlier versions know nothing of such
        where = f"{self.path}: damaged metadata 'derived'"
        self.derived: dict[str, str] = parse_json(
            self.metadata.get("derived", "{}"), NamesTo(TEXT), where
        )
        _check_derived(self.path, self.derived, config)
        where = f"{self.path}: damaged metadata 'preprocess'"
        preprocess = parse_json(self.metadata["preprocess"], PREPROCESS, where)
        _check_inputs(self.path, preprocess, self.input_names, config)
        self.per_object = self.metadata["layout"] == "objects"

    def __call__(self, inputs: Mapping[str, Tensor]) -> Activated:
        """Evaluate the network: its output, and the output's spread if the file has one.

        Inputs by group are (N, C, P) or (N, C), both results (N, K, P) per object or (N, K) per
        row, with what the file derives of them.

        Raises:
            OutputError: ONNX Runtime cannot run inputs of these shapes.
        """
        arrays = self._arrays(inputs)
        names = self.output_names
        try:
            results = self.session.run(names, arrays)
        # errors of ONNX Runtime have no common base
        except Exception as error:
            shapes = {name: array.shape for name, array in arrays.items()}
            raise OutputError(
                f"{self.path}: ONNX Runtime cannot run inputs of shape {shapes}: {error}"
            ) from error
        values = []
        spreads = []
        for name, result in zip(names, results, strict=True):
            if name in self.spreads:
                spreads.append(result)
            else:
                values.append(result)
        value, derived = self._split(self._join(values))
        if not spreads:
            return Activated(value, None, derived)
        spread, derived_spread = self._split(self._join(spreads))
        return Activated(value, spread, derived, derived_spread)

    def _arrays(self, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        """What the graph is fed with, by name."""
        arrays = {}
        for name in self.input_names:
            array = inputs[name].detach().cpu().numpy()
            while array.ndim < self._ranks[name]:
                # scalars of the row, in a file for readers that know only lists; or (N, C, P, 1)
                array = array[..., None]
            arrays[name] = array
        return arrays

    def single_row_seconds(self, inputs: Mapping[str, Tensor]) -> float | None:
        """The time for a row alone in one thread: the median over the first rows of a batch.

        Inputs by group are (N, C, P) or (N, C); a row keeps the padding of the batch. None of a
        graph that takes a fixed number of rows.
        """
        if any(isinstance(item.shape[0], int) for item in self.session.get_inputs()):
            return None
        arrays = self._arrays(inputs)
        rows = len(next(iter(arrays.values())))
        session = open_session(self.path, threads=1)
        taken = []
        # the first call chooses kernels and allocates memory, and does not count
        for number in [0, *range(min(rows, TIMED_ROWS))]:
            row = {name: array[number : number + 1] for name, array in arrays.items()}
            start = time.perf_counter()
            session.run(self.output_names, row)
            taken.append(time.perf_counter() - start)
        return statistics.median(taken[1:])

    @property
    def has_spread(self) -> bool:
        """Whether it holds several members, and gives the spread between them."""
        return bool(self.spreads)

    def _join(self, outputs: list[Any]) -> Tensor:
        """Graph outputs as one tensor: K times (N, P) -> (N, K, P); (N, K) as it is."""
        output = np.stack(outputs, axis=1) if self.per_object else outputs[0]
        return torch.from_numpy(output)

    def _split(self, output: Tensor) -> tuple[Tensor, Tensor | None]:
        """(N, K + D) -> outputs (N, K) and derived ones (N, D); None where there are none."""
        if not self.derived:
            return output, None
        number = output.shape[1] - len(self.derived)
        return output[:, :number], output[:, number:]

    def train(self, mode: bool = True) -> OnnxNetwork:
        """Do nothing: an exported network can only be evaluated."""
        return self

    def eval(self) -> OnnxNetwork:
        """Do nothing: an exported network can only be evaluated."""
        return self


def is_ours(session: Any) -> bool:
    """Whether an open file says of itself what those say that are exported here."""
    return session.get_modelmeta().custom_metadata_map.keys() >= METADATA


def _check_derived(path: Path, derived: Mapping[str, str], config: DataConfig) -> None:
    """Compare what the graph derives of its outputs with what the data YAML says.

    Raises:
        ConfigError: it is something else; a file that derives nothing suits every YAML.
    """
    expected = {name: expression.source for name, expression in config.derived_outputs.items()}
    if derived and list(derived.items()) != list(expected.items()):
        raise ConfigError(
            f"{path}: was exported with derived_outputs {derived}; {config.source} says "
            f"{expected or 'nothing of them'}: make them equal, or export again"
        )


def _check_inputs(
    path: Path, trained: dict[str, Any], input_names: list[str], config: DataConfig
) -> None:
    """Compare the data's inputs with those of training: groups, variables in order, scaling.

    Raises:
        ConfigError: they differ; the message says in what.
    """
    for name in input_names:
        if name not in config.batch_groups:
            raise ConfigError(
                f"{path}: takes input {name!r}, which {config.source} does not define; "
                f"{nearest(name, config.batch_groups)}"
            )
        if "var_names" not in trained.get(name, ()):
            raise ConfigError(f"{path}: its metadata 'preprocess' do not describe input {name!r}")
        expected = trained[name]["var_names"]
        found = config.batch_groups[name].names
        if expected != found:
            in_training = f"{len(expected)} variables {', '.join(expected)}"
            in_data = f"{len(found)}: {', '.join(found)}"
            raise ConfigError(
                f"{path}: input {name!r} has the {in_training}; {config.source} gives {in_data}"
            )
        for variable in config.batch_groups[name].variables:
            before = trained[name]["var_infos"].get(variable.name)
            now = variable_info(variable, config.source)
            if before != now:
                raise ConfigError(
                    f"{path}: input {name!r} was trained with {variable.name!r} prepared as "
                    f"{before}; {config.source} says {now}"
                )
