"""Libraries that only some commands need, and that an extra of the package installs."""

from __future__ import annotations

import importlib
from typing import Any

from weaver_tt.errors import ConfigError


def require_module(module: str, extra: str, command: str) -> Any:
    """The module ``module``, imported now; ConfigError naming the extra that installs it where it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"weaver-tt {command} needs {module} ({error}); pip install 'weaver_tt[{extra}]'"
        ) from error
