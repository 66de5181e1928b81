"""Names of the files of a run."""

from __future__ import annotations

import re

MODEL_FILE = re.compile(
    r"(_(epoch-\d+|best_epoch)_state\.pt(:.+)?|_resume\.pt|\.auto\.yaml|\.onnx)$"
)
MEMBER = re.compile(r"_member-\d+$")
