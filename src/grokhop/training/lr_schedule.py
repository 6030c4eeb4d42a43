"""The learning rate over a run: it warms up, stays, falls slowly, and falls to zero when it is told to.

The slow fall, with the square root of the steps (Vaswani et al. 2017), needs no end to be known, and a cool-down can be
put at its end at any time (Zhai et al. 2022). The more facts there are the more steps they take, and the less of them a
model answers whose weights are still moved at the full rate.
"""

from dataclasses import dataclass
from math import log10

from grokhop.config import ScheduleConfig


@dataclass(kw_only=True)
class Schedule:
    """The rate of each step as a share of its height, and when to stop."""

    settings: ScheduleConfig
    cooldown_from: int | None = None
    cooldown_steps: int = 0

    def rate(self, step: int) -> float:
        """The share for the step numbered `step` from 0."""
        full = self.settings.full_lr_steps
        warm = min(1.0, (step + 1) / self.settings.warmup_steps)
        falling = min(1.0, full / (step + 1)) ** 0.5 if full else 1.0
        return warm * falling * self.left(step)

    def left(self, step: int) -> float:
        """How much the cool-down leaves of the rate: all before it begins, and nothing at its end."""
        if self.cooldown_from is None:
            return 1.0
        return max(0.0, 1 - (step - self.cooldown_from + 1) / (self.cooldown_steps + 1))

    def cool_down(self, step: int) -> None:
        """Let the rate fall from this step on; a second call changes nothing."""
        if self.cooldown_from is None:
            self.cooldown_from, self.cooldown_steps = step, self.length(step)

    def warm_again(self) -> None:
        """Go back to the rate before a cool-down that ended short of the targets."""
        self.cooldown_from, self.cooldown_steps = None, 0

    def length(self, step: int) -> int:
        """Steps that a cool-down from `step` would take."""
        settings = self.settings
        return max(settings.cooldown_steps, int(step * settings.cooldown_share)) if settings.cooldown else 0

    @property
    def last_step(self) -> float:
        """The step at which the rate is zero; infinite while nothing has begun to fall."""
        return float("inf") if self.cooldown_from is None else self.cooldown_from + self.cooldown_steps

    def is_over(self, step: int) -> bool:
        """Whether nothing is left to learn at this rate."""
        return step >= self.last_step


def is_snapshot(step: int, per_tenfold: int) -> bool:
    """Whether weights are kept after so many steps: `per_tenfold` times from 1 to 10, as often from 10 to 100, ..."""
    if not per_tenfold:
        return False
    place = round(per_tenfold * log10(step))
    return any(round(10 ** (i / per_tenfold)) == step for i in (place - 1, place, place + 1))
