"""What figures show: options of every command that draws."""

from __future__ import annotations

from dataclasses import dataclass

from weaver_tt.options.flags import flag

MAX_CLASSES = 12
"""Of more classes not each is shown, unless they are asked for."""


@dataclass(kw_only=True)
class LabelOptions:
    """What stands above every figure."""

    label: str = flag("", "the experiment, such as CMS, ATLAS or 'FCC-ee' (default: nothing)")
    label_simulation: bool = flag(False, "say that it is simulation")
    label_text: str = flag("", "more text, such as 'Work in progress'")
    label_energy: str = flag(
        "", "collision energy, to the right: a number in TeV, or with its unit, '240 GeV'"
    )

    @property
    def left(self) -> str:
        """What follows the experiment."""
        words = ["Simulation" if self.label_simulation else "", self.label_text.strip()]
        return " ".join(word for word in words if word)

    @property
    def right(self) -> str:
        """The energy with its unit."""
        energy = self.label_energy.strip()
        if not energy:
            return ""
        has_unit = energy[-1].isalpha()
        return energy if has_unit else f"{energy} TeV"

    @property
    def is_given(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.label or self.left or self.right)
