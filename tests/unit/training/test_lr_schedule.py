"""The rate warms up, stays, and comes to rest when the budget or the validation queries say so."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokhop.config import PRESETS, Budget, preset
from grokhop.core.errors import InputError
from grokhop.training.lr_schedule import Schedule
from tests.settings import settings_of, with_

SETTINGS = settings_of(warmup_steps=4, full_lr_steps=0, cooldown_share=0.5, cooldown_steps=10)
FALLING = with_(SETTINGS, full_lr_steps=100)


def test_the_rate_warms_up_in_equal_steps_and_stays() -> None:
    schedule = Schedule(settings=SETTINGS.schedule)
    assert [schedule.rate(step) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert schedule.rate(10**6) == 1


def test_after_the_steps_at_the_full_rate_it_falls_with_the_square_root_of_the_steps() -> None:
    schedule = Schedule(settings=FALLING.schedule)
    assert [schedule.rate(step) for step in (3, 50, 99)] == [1, 1, 1]
    assert [schedule.rate(100 * times - 1) for times in (4, 9, 25)] == pytest.approx([1 / 2, 1 / 3, 1 / 5])


def test_a_cool_down_begins_where_the_rate_has_fallen_to() -> None:
    schedule = Schedule(settings=FALLING.schedule)
    schedule.cool_down(399)
    assert [schedule.left(step) for step in (398, 399, 499, 599)] == pytest.approx([1, 1 - 1 / 200, 99 / 200, 0])
    assert schedule.rate(399) == pytest.approx(schedule.left(399) / 2)
    schedule.warm_again()
    assert schedule.rate(399) == pytest.approx(1 / 2)


def test_the_published_recipes_keep_their_rate() -> None:
    for name in ("paper", "paper-full", "gpt2"):
        assert Schedule(settings=preset(name).schedule).rate(10**6) == 1


def test_a_cool_down_falls_in_equal_steps_to_zero() -> None:
    schedule = Schedule(settings=SETTINGS.schedule)
    schedule.cool_down(100)
    rates = [schedule.rate(step) for step in range(99, 153)]
    assert rates[0] == 1
    falls = [before - after for before, after in pairwise(rates[:52])]
    assert falls == pytest.approx([1 / 51] * 51)
    assert rates[51:] == [0, 0, 0]
    assert min(rates[:51]) > 0  # no step before the end is wasted


def test_a_cool_down_takes_a_share_of_the_steps_before_it_but_no_fewer_than_its_least() -> None:
    schedule = Schedule(settings=SETTINGS.schedule)
    assert [schedule.length(step) for step in (1, 20, 21, 100)] == [10, 10, 10, 50]


def test_a_second_cool_down_changes_nothing() -> None:
    schedule = Schedule(settings=SETTINGS.schedule)
    schedule.cool_down(100)
    before = replace(schedule)
    schedule.cool_down(110)
    assert schedule == before


def test_it_is_over_when_the_cool_down_has_ended_and_never_without_one() -> None:
    schedule = Schedule(settings=SETTINGS.schedule)
    assert not schedule.is_over(10**9)
    schedule.cool_down(100)
    assert [schedule.is_over(step) for step in (100, 149, 150, 151)] == [False, False, True, True]


@given(st.integers(0, 500), st.integers(1, 50), st.integers(0, 600))
def test_the_rate_is_never_below_zero_or_above_its_height(start: int, warmup: int, full: int) -> None:
    schedule = Schedule(settings=with_(SETTINGS, warmup_steps=warmup, full_lr_steps=full).schedule)
    schedule.cool_down(start)
    assert all(0 <= schedule.rate(step) <= 1 for step in range(start, start + 500))


# Budgets.


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("90s", Budget(seconds=90)),
        ("5m", Budget(seconds=300)),
        ("1.5h", Budget(seconds=5400)),
        (" 2000 steps ", Budget(steps=2000)),
        ("1 step", Budget(steps=1)),
    ],
)
def test_a_budget_is_read_as_it_is_written(text: str, budget: Budget) -> None:
    assert Budget.parse(text) == budget


@pytest.mark.parametrize("text", ["", "5", "m", "5 minutes", "-5m", "0s", "0 steps", "1e3s", "5m 3s", "nan s"])
def test_what_is_no_budget_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError, match="--budget") as caught:
        Budget.parse(text)
    assert "\n" not in str(caught.value)


# Settings.


def test_a_preset_takes_another_number_of_hops_and_nothing_else() -> None:
    assert preset("toy", hops=3) == with_(PRESETS["toy"], hops=3)
    assert preset("toy") == PRESETS["toy"]


@pytest.mark.parametrize(("name", "hops"), [("nobody", 2), ("toy", 1)])
def test_an_unknown_preset_or_number_of_hops_is_refused(name: str, hops: int) -> None:
    with pytest.raises(InputError, match=r"nobody|--hops"):
        preset(name, hops=hops)


@pytest.mark.parametrize("name", ["hops", "batch_size", "evaluate_every", "cooldown_steps", "warmup_steps"])
def test_a_count_below_one_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        with_(SETTINGS, **{name: 0})
