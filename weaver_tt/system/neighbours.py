"""Modules that lie beside a user's file: ``from layers import mlp``.

They are importable while the file is imported or a function of it is called, by the file itself and
by each other: an import in a library does not look there. Each file has copies of its own under
names of their own, so that two files with different neighbours of one name do not meet, and their
classes can be pickled.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from weaver_tt.system.user_code import is_user_file

# what is never looked for beside a file
NEVER = frozenset({*sys.stdlib_module_names, "weaver_tt"})


class EditedFileLoader(SourceFileLoader):
    """Compiles a file as it is now.

    Python takes cached bytecode for that of a file by its size and the second of its last change:
    also where it was edited within that second.
    """

    def get_code(self, fullname: str) -> CodeType:
        """The code of the file, whatever is in ``__pycache__``."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class Neighbours(MetaPathFinder):
    """The modules beside one file, which is imported as the module ``owner``."""

    def __init__(self, folder: Path, owner: str) -> None:
        self.folder = folder.resolve()
        self.owner = owner
        self._modules: dict[str, ModuleType] = {}  # by the names they are imported by
        self._contents: dict[Path, str] = {}  # hashes

    @property
    def have_changed(self) -> bool:
        """Whether a file that was imported has been edited or is gone since."""
        return any(_hash_file(path) != content for path, content in self._contents.items())

    @contextmanager
    def importable(self) -> Iterator[None]:
        """Make them importable for a while; ``sys.modules`` and ``sys.path`` are left as they were.

        Modules of the same names from elsewhere are out of the way for so long, but not those of
        installed libraries.
        """
        names = self._find_names()
        hidden = {}
        for name in list(sys.modules):
            if name.partition(".")[0] in names:
                hidden[name] = sys.modules.pop(name)
        sys.modules.update(self._modules)
        sys.meta_path.insert(0, self)
        try:
            yield
        finally:
            sys.meta_path.remove(self)
            for name in self._modules:
                sys.modules.pop(name, None)
            sys.modules.update(hidden)

    def _find_names(self) -> set[str]:
        """Names of the modules and packages in the folder."""
        names = {path.stem for path in self.folder.glob("*.py")}
        names |= {path.parent.name for path in self.folder.glob("*/*.py")}
        return {name for name in names - NEVER if not _is_installed(sys.modules.get(name))}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module beside the file, if the file or one of its neighbours asks for it."""
        top = fullname.partition(".")[0]
        if top in NEVER or not self._is_asked_by_user():
            return None
        if "." in fullname and top not in self._modules:
            return None
        spec = PathFinder.find_spec(fullname, [str(self.folder)] if path is None else path)
        if spec is None:
            return None
        is_folder = spec.origin is None
        if is_folder and path is None and PathFinder.find_spec(fullname) is not None:
            # a folder without __init__.py comes last, as everywhere in Python
            return None
        spec.loader = _Loader(self, spec)  # type: ignore[assignment]
        return spec

    def _is_asked_by_user(self) -> bool:
        """Whether the import stands in the file or in one of its neighbours."""
        frame = sys._getframe(1)
        while frame.f_back is not None:
            frame = frame.f_back
            asking = str(frame.f_globals.get("__name__", ""))
            if frame.f_code.co_filename != __file__ and not asking.startswith("importlib"):
                break
        return asking == self.owner or asking.startswith(f"{self.owner}.")

    def add(self, name: str, module: ModuleType, file: str | None) -> None:
        """Remember a module by the name it is imported by, and what its file holds."""
        self._modules[name] = module
        if file is not None:
            self._contents[Path(file)] = _hash_file(Path(file))

    def forget(self, name: str) -> None:
        """Forget a module that could not be imported; the file that it is in may be mended."""
        del self._modules[name]


class _Loader:
    """Makes a module that is called ``OWNER.NAME``, while it is imported as ``NAME``."""

    def __init__(self, neighbours: Neighbours, spec: ModuleSpec) -> None:
        self._neighbours = neighbours
        self._loader = spec.loader
        self._name = f"{neighbours.owner}.{spec.name}"
        if isinstance(spec.loader, SourceFileLoader):
            # a loader loads modules of one name
            self._loader = EditedFileLoader(self._name, spec.loader.path)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """A module with a name of its own; a folder without a file stays as it is."""
        if isinstance(self._loader, SourceFileLoader):
            return ModuleType(self._name)
        return None if self._loader is None else self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's file, if it has one."""
        assert module.__spec__ is not None
        self._neighbours.add(module.__spec__.name, module, getattr(module, "__file__", None))
        # before it runs, as a dataclass in it looks its module up
        sys.modules[self._name] = module
        try:
            if self._loader is not None:
                self._loader.exec_module(module)
        except BaseException:
            del sys.modules[self._name]
            self._neighbours.forget(module.__spec__.name)
            raise


def _is_installed(module: ModuleType | None) -> bool:
    """Whether a module is one of an installed library."""
    file = getattr(module, "__file__", None)
    return file is not None and not is_user_file(file)


def _hash_file(path: Path) -> str:
    if not path.is_file():
        return ""
    return hashlib.sha256(path.read_bytes()).hexdigest()
