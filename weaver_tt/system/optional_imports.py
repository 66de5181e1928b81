"""Libraries that only some commands need, and that an extra of the package installs."""

from __future__ import annotations

import importlib
from typing import Any

from weaver_tt.errors import ConfigError


def require_module(module: str, extra: str, command: str) -> Any:
    """Import ``module`` for ``weaver-tt COMMAND``.

    Raises:
        ConfigError: it is not installed; names the extra that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        advice = f"pip install 'weaver_tt[{extra}]'"
        raise ConfigError(f"weaver-tt {command} needs {module} ({error}); {advice}") from error
