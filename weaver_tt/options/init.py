"""The flags of ``weaver-tt init``."""

from __future__ import annotations

from dataclasses import dataclass

from weaver_tt.options.flags import COUNT, flag

LIST_EXAMPLES = "?"
"""In place of the name of an example: which there are."""


@dataclass(kw_only=True)
class InitOptions:
    """A data YAML and a network file to start from, made for data files, or a shipped example."""

    files: list[str] = flag(
        [],
        "data files, as a training takes them: path, pattern or name:pattern; without a column of "
        "labels, files of several names are classes",
        positional=True,
        nargs="*",
    )
    output: str = flag(".", "folder to write data.yaml and network.py to", "-o")
    treename: str | None = flag(
        None, "of files with several trees (HDF5: groups); default: the one with the most columns"
    )
    objects: str | None = flag(
        None,
        "make the objects of this collection the rows, such as Jet; `none`: the rows of the files "
        "(default: the collection that has a flavour, where no row has a label)",
        daily=True,
    )
    rows: int = flag(2000, "rows of each file group to look at", bounds=COUNT)
    example: str | None = flag(
        None,
        "copy this example in place of looking at files; without a name, list them",
        nargs="?",
        const=LIST_EXAMPLES,
        daily=True,
    )
    overwrite: bool = flag(False, "replace files that are there", daily=True)
