"""The registry has the targets that flags name."""

from weaver_tt.deploy.targets.registry import TARGETS
from weaver_tt.options.export import TARGET_NAMES


def test_flags_name_all_targets() -> None:
    assert set(TARGET_NAMES) == set(TARGETS)
