"""Look for inputs that break a promise: ``python tests/fuzz_inputs.py yaml|expressions``.

Atheris mutates bytes towards code that no input has reached yet. What is found belongs into the
tables of ``test_hostile_inputs.py``. ``make fuzz`` runs both for a minute each; arguments behind
the first are libFuzzer's (``-max_total_time=600``, a folder of inputs, a file to run again).
"""

from __future__ import annotations

import contextlib
import sys
import warnings

import atheris

with atheris.instrument_imports(include=["weaver_tt", "yaml"]):
    from weaver_tt.config.load import from_mapping
    from weaver_tt.config.sections import parse_yaml
    from weaver_tt.expressions.evaluate import evaluate, parse_expression

import awkward as ak
import numpy as np

from weaver_tt.errors import WeaverError

TABLE = {
    "x": ak.Array([[1.0, 2.0], [], [3.0]]),
    "n": np.array([1, 2, 3]),
    "s": np.array([0.5, np.nan, -1]),
}


def read_config(text: str) -> None:
    """A data YAML is read, or is one error."""
    from_mapping(parse_yaml(text, "x.yaml"), "x.yaml", text)


def compute_expression(text: str) -> None:
    """An expression is computed, or is one error."""
    evaluate(parse_expression(text, "x.yaml"), TABLE)


TARGETS = {"yaml": read_config, "expressions": compute_expression}


def main() -> None:
    """Run the target that the first argument names."""
    name = sys.argv.pop(1)
    target = TARGETS[name]
    warnings.simplefilter("ignore")

    def try_input(content: bytes) -> None:
        with contextlib.suppress(WeaverError):
            target(content.decode(errors="replace"))

    # more than a second, or more than 2 GB, is a finding
    atheris.Setup([*sys.argv, "-timeout=1", "-rss_limit_mb=2048"], try_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
