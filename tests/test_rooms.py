"""Imports only go down: the order of the folders as one list, and that inside of some of them.

Imports inside of functions count, and so do those under ``TYPE_CHECKING``: an arrow in the types is
an arrow in the design.
"""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "weaver_tt"

ROOMS = [
    "cli",
    "api",
    "run",
    "reports",
    "closures",
    "applications",
    "report",
    "deploy",
    "output",
    "engine",
    "tasks",
    "network",
    "nn",
    "data",
    "samples",
    "pages",
    "figures",
    "metrics",
    "config",
    "expressions",
    "formats",
    "options",
    "run_files",
    "weaver_compat",
    "physics",
    "system",
    "log",
    "errors",
]
"""Folders and modules of the package, from the top: each imports only those below it."""

INSIDE = {
    "data": [
        "datasets",
        "loaders",
        "shuffle",
        "raw_rows",
        "selected_table",
        "survey",
        "first_rows",
        "statistics",
        "scan",
        "file_magic",
        "missing_columns",
        "rows",
        "chunks",
        "accounting",
    ],
    "nn": ["models", "layers", "objects"],
}
"""The same inside of a folder; applications import none of each other."""


def module_name(path: Path) -> str:
    """``weaver_tt/data/rows/table.py`` -> ``data.rows.table``; of a package, its folder."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported_modules(path: Path) -> set[str]:
    """Modules of the package that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write the whole path of an import"
            # what is imported from a folder may be a module in it
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        inside = [name.removeprefix("weaver_tt.") for name in names if is_ours(name)]
        found.update(name for name in inside if name in MODULES)
    return found


def is_ours(name: str) -> bool:
    return name.startswith("weaver_tt.")


IMPORTS = {module: imported_modules(path) for module, path in MODULES.items() if module}


def room(module: str) -> str:
    return module.partition(".")[0]


def inner_room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_every_module_stands_in_a_room():
    assert {room(module) for module in MODULES if module} <= set(ROOMS)


@pytest.mark.parametrize("module", IMPORTS)
def test_imports_go_down(module):
    own = ROOMS.index(room(module))
    assert {other for other in IMPORTS[module] if ROOMS.index(room(other)) < own} == set()


@pytest.mark.parametrize("folder", INSIDE)
def test_imports_go_down_inside_of_a_folder(folder):
    order = INSIDE[folder]
    modules = [module for module in IMPORTS if room(module) == folder and inner_room(module)]
    assert {inner_room(module) for module in modules} == set(order)
    for module in modules:
        for other in IMPORTS[module]:
            if room(other) == folder and inner_room(other):
                lower = order.index(inner_room(other)) >= order.index(inner_room(module))
                assert lower, f"{module} imports {other}, which stands above it"


def test_applications_do_not_know_each_other():
    for module, others in IMPORTS.items():
        if room(module) != "applications":
            continue
        for other in others:
            if room(other) == "applications" and inner_room(other):
                assert inner_room(other) == inner_room(module), f"{module} imports {other}"


def test_no_imports_go_round_in_a_circle():
    order = graphlib.TopologicalSorter(IMPORTS).static_order()
    # a CycleError names the modules
    assert set(order) >= set(IMPORTS)


# what users may import from a folder; it is imported when it is asked for
DOORS = {"deploy"}


def test_packages_are_empty():
    """Importing one module of a folder does not import the others."""
    for path in PACKAGE.rglob("__init__.py"):
        name = module_name(path)
        if name in DOORS:
            code = (
                f"import sys, weaver_tt.{name}; "
                f"print(*[m for m in sys.modules if m.startswith('weaver_tt.{name}.')])"
            )
            done = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True
            )
            assert done.stdout.strip() == "", f"{path} imports a module of its folder"
        elif path.parent != PACKAGE:
            assert path.read_text() == "", f"{path} is not empty"
