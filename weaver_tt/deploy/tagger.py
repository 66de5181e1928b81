"""An exported network on named columns, without torch: in an analysis, a coffea processor, a test.

N rows, P objects of a row, M objects in all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from weaver_tt.deploy.flat_columns import Collection, Columns, Rows, Values, common_rows
from weaver_tt.deploy.raw_columns import RAW_COLUMNS, group_by_offsets, read_raw_columns
from weaver_tt.deploy.session import open_session
from weaver_tt.deploy.sidecar import make_sidecar, read_sidecar
from weaver_tt.deploy.signature import (
    GraphOutput,
    Input,
    outputs_of_objects,
    outputs_of_rows,
    tensor_inputs,
)
from weaver_tt.deploy.similar_rows import similar_rows
from weaver_tt.errors import ConfigError, DataError, OutputError
from weaver_tt.system.file_shapes import ANYTHING, NamesTo
from weaver_tt.system.json_files import parse_json

SALT_CONFIG = "gnn_config"  # the metadata that the reader of Athena looks for
PREPARED_ROWS = 1024  # whose numbers are prepared at once


class Tagger:
    """The network in a folder that ``--export-onnx`` wrote, called with raw columns.

    Models of weaver-core, those that CMS publishes and the one file of ``--target raw`` are read as
    well. It may be pickled, for workers of dask, and called by several threads at once.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        model: str = "model.onnx",
        preprocess: str = "preprocess.json",
        threads: int = 1,
        batch_size: int = 256,
    ) -> None:
        """``threads`` of ONNX Runtime in a call; ``batch_size``: most rows given to it at once.

        Rows with similarly many objects go through the network together, few enough of them for the
        cache of a processor (see ``similar_rows``).

        Raises:
            ConfigError: a file is missing, holds no network, or the two do not fit together.
            DataError: ``preprocess.json`` is malformed; names the place.
        """
        if batch_size < 1:
            raise ConfigError(f"Tagger: batch_size {batch_size}; expected at least 1")
        self.folder = Path(folder)
        self._settings = {"model": model, "preprocess": preprocess}
        self._numbers = {"threads": threads, "batch_size": batch_size}
        self._path = self.folder / model
        self._session = open_session(self._path, threads)
        self._batch_size = batch_size
        metadata = self._session.get_modelmeta().custom_metadata_map
        self._inputs: list[Input] = []
        if RAW_COLUMNS in metadata:
            # how columns are prepared is in the graph; the side-car names the outputs
            where = f"{self._path}: metadata 'preprocess'"
            content = parse_json(metadata.get("preprocess", ""), NamesTo(ANYTHING), where)
            self._sidecar = make_sidecar(content, where)
            self._inputs += group_by_offsets(read_raw_columns(metadata, str(self._path)))
        elif SALT_CONFIG in metadata:
            raise ConfigError(
                f"{self._path}: is for SaltModel of Athena, one jet a call (metadata "
                f"{SALT_CONFIG!r}); export with --target generic or raw to run it here"
            )
        else:
            self._sidecar = read_sidecar(self.folder / preprocess)
            self._inputs += tensor_inputs(self._session, self._sidecar, self._path)
        if metadata.get("layout") == "objects":
            self._outputs = outputs_of_objects(self._session, self._inputs, self._path)
        else:
            self._outputs = outputs_of_rows(self._session, self._sidecar, self._path)

    def __reduce__(self) -> tuple[Any, ...]:
        # a session cannot be pickled: the copy opens the files again
        return _reopen, (self.folder, {**self._settings, **self._numbers})

    @property
    def column_names(self) -> list[str]:
        """The columns that it needs."""
        names = [name for one in self._inputs for name in one.column_names]
        return list(dict.fromkeys(names))

    @property
    def takes_columns_of_files(self) -> bool:
        """Whether it prepares the columns of files itself, as ``--target raw`` writes it."""
        return RAW_COLUMNS in self._session.get_modelmeta().custom_metadata_map

    @property
    def list_columns(self) -> list[str]:
        """Those of them that have a value for each object."""
        return [name for one in self._inputs if one.has_objects for name in one.column_names]

    @property
    def output_names(self) -> list[str]:
        """The outputs, in the order of the network."""
        return [name for output in self._outputs for name in output.columns]

    def __call__(self, columns: Columns) -> dict[str, Any]:
        """The outputs by name: (N,) numbers for each row, or awkward lists, one for each object.

        ``columns`` is an awkward array of records, or maps names to columns: numbers of N rows or
        lists, as arrays of awkward or numpy or as ``(values, offsets)`` with N + 1 offsets. Columns
        that the network does not need are not looked at. Objects beyond the length of the input are
        not given to the network, their outputs are NaN.

        Raises:
            DataError: a column is missing, or does not fit to the others.
            OutputError: ONNX Runtime cannot run the network on these.
        """
        found, rows = self._collect(columns)
        slots = np.ones(rows, np.int64)  # (N,), of the input with most of them
        for one, collection in zip(self._inputs, found, strict=True):
            slots = np.maximum(slots, one.slots(collection, rows))
        order = np.argsort(slots, kind="stable")  # (N,)
        parts: list[list[Values]] = [[] for _ in self._outputs]
        # numbers are prepared for many rows at once, which takes little time a row
        for first in range(0, rows, PREPARED_ROWS):
            chosen = order[first : first + PREPARED_ROWS]
            for of_batch in self._run_sorted(found, chosen, slots[chosen].tolist()):
                for kept, values in zip(parts, of_batch, strict=True):
                    kept.append(values)
        results: dict[str, Any] = {}
        for output, of_batches in zip(self._outputs, parts, strict=True):
            results |= _name_results(output, of_batches, found, order)
        return results

    def inputs(self, columns: Columns) -> dict[str, Values]:
        """The tensors that the network is given, (N, C, P) or (N, C), all rows in one batch.

        A graph of raw columns is given these, (M,) each, and their offsets (N + 1,).

        Raises:
            DataError: a column is missing, or does not fit to the others.
        """
        found, rows = self._collect(columns)
        return self._feeds(self._prepare(found), 0, rows)

    def _collect(self, columns: Columns) -> tuple[list[Collection], int]:
        """The columns of all inputs, and the number of rows."""
        found = [one.collect(columns, self._sidecar.source) for one in self._inputs]
        rows = common_rows(found)
        self._find_masks(found)
        return found, rows

    def _find_masks(self, found: Sequence[Collection]) -> None:
        """A mask that is not given is 1 for the objects of the input with the same prefix."""
        for one, collection in zip(self._inputs, found, strict=True):
            masks = collection.missing
            if collection.offsets is not None or not masks:
                continue
            prefix, _, _ = one.name.rpartition("_")
            for other, of_other in zip(self._inputs, found, strict=True):
                if prefix and other.name.startswith(f"{prefix}_") and of_other.offsets is not None:
                    collection.offsets = of_other.offsets
            if collection.offsets is None:
                raise DataError(
                    f"{self._sidecar.source}: input {one.name!r} needs the column {masks[0]!r}, "
                    f"and no other input {prefix}_... has objects"
                )

    # --- the network

    def _run_sorted(
        self, found: Sequence[Collection], rows: Rows, slots: list[int]
    ) -> Iterator[list[Values]]:
        """The outputs of these rows, which need so many slots, shortest first, batch by batch."""
        prepared = self._prepare([collection.take(rows) for collection in found])
        for first, last in similar_rows(slots, self._batch_size):
            yield list(self._run(prepared, first, last))

    def _prepare(self, found: Sequence[Collection]) -> list[Collection]:
        pairs = zip(self._inputs, found, strict=True)
        return [one.prepare(collection) for one, collection in pairs]

    def _feeds(self, prepared: Sequence[Collection], first: int, last: int) -> dict[str, Values]:
        """What ONNX Runtime is given of rows [first, last)."""
        feeds: dict[str, Values] = {}
        for one, collection in zip(self._inputs, prepared, strict=True):
            feeds |= one.feeds(collection, first, last)
        return feeds

    def _run(self, prepared: Sequence[Collection], first: int, last: int) -> Iterator[Values]:
        """The outputs of rows [first, last): (N, K), or those of all objects, (M,)."""
        feeds = self._feeds(prepared, first, last)
        try:
            results = self._session.run([output.name for output in self._outputs], feeds)
        # errors of ONNX Runtime have no common base
        except Exception as error:
            shapes = {name: values.shape for name, values in feeds.items()}
            raise OutputError(
                f"{self._path}: ONNX Runtime cannot run inputs of shape {shapes}: {error}"
            ) from error
        for output, values in zip(self._outputs, results, strict=True):
            if output.objects_of is None:
                yield values.reshape(last - first, -1)
            else:
                yield prepared[output.objects_of].without_padding(values, first, last)


def _name_results(
    output: GraphOutput, parts: Sequence[Values], found: Sequence[Collection], order: Rows
) -> dict[str, Any]:
    """The results of all batches by name; ``order``: the rows (N,) that they are of."""
    if output.objects_of is not None:
        collection = found[output.objects_of]
        flat = np.concatenate([np.zeros(0, np.float32), *parts])  # (M,)
        flat[collection.places_in(order)] = flat.copy()
        return {output.name: collection.as_lists(flat)}
    nothing = np.zeros((0, len(output.columns)), np.float32)
    try:
        values = np.concatenate([nothing, *parts])  # (N, K)
        values[order] = values.copy()
    except ValueError as error:
        raise OutputError(
            f"output {output.name!r} has {parts[0].shape[1]} columns; expected "
            f"{', '.join(output.columns)}"
        ) from error
    return dict(zip(output.columns, np.ascontiguousarray(values.T), strict=True))


def _reopen(folder: Path, settings: dict[str, Any]) -> Tagger:
    return Tagger(folder, **settings)
