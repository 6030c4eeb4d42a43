"""The most that a training may take."""

import re
from dataclasses import asdict, dataclass
from math import isfinite

from grokhop.core.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Budget:
    """When training ends at the latest: after so many seconds, so many steps, or whichever comes first."""

    seconds: float = float("inf")
    steps: float = float("inf")

    def __str__(self) -> str:
        # Without an exponent, which `parse` does not read.
        if self.steps != float("inf"):
            return f"{self.steps:.0f} steps"
        return f"{f'{self.seconds:.6f}'.rstrip('0').rstrip('.')} s"

    def record(self) -> dict[str, float]:
        """Return the limits that there are, for JSON, which knows no infinity."""
        return {unit: most for unit, most in asdict(self).items() if isfinite(most)}

    @staticmethod
    def parse(text: str) -> "Budget":
        """Read '90s', '5m', '1h' or '2000 steps'.

        Raises:
            InputError: the text is none of these.
        """
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|h|steps?)\s*", text)
        if not match or float(match[1]) <= 0:
            raise InputError(f"--budget {text!r} is no budget: write 90s, 5m, 1h or '2000 steps'")
        amount, unit = float(match[1]), match[2]
        if unit.startswith("step"):
            return Budget(steps=max(1, int(amount)))
        return Budget(seconds=amount * {"s": 1, "m": 60, "h": 3600}[unit])
