"""What a model answers on the way says when to cool down and when to stop."""

from dataclasses import replace

import pytest

from grokhop.core.statistics import Score
from grokhop.training.validation import Validation, reaches
from tests.settings import settings_of

SETTINGS = settings_of(id_target=0.9, ood_target=0.8, cooldown_at=0.5)
GOOD = Validation(
    cells={},
    train=Score(100, 100),
    id=Score(90, 100),
    ood=Score(80, 100),
    held=Score(160, 200),
    compared=Score(90, 100),
)
NONE = Score(0, 0)


def test_all_targets_must_be_reached_together() -> None:
    assert GOOD.is_enough(SETTINGS)
    assert not replace(GOOD, id=Score(89, 100)).is_enough(SETTINGS)
    assert not replace(GOOD, ood=Score(79, 100)).is_enough(SETTINGS)
    assert not replace(GOOD, held=Score(159, 200)).is_enough(SETTINGS)
    assert not replace(GOOD, compared=Score(89, 100)).is_enough(SETTINGS)


def test_a_cool_down_begins_at_a_share_of_the_targets_of_chains() -> None:
    half = replace(GOOD, id=Score(45, 100), ood=Score(40, 100), held=Score(80, 200))
    assert half.is_near(SETTINGS)
    assert not half.is_enough(SETTINGS)
    assert not replace(half, id=Score(44, 100)).is_near(SETTINGS)
    assert not replace(half, ood=Score(39, 100)).is_near(SETTINGS)


def test_what_is_compared_must_come_to_its_whole_target_at_the_full_rate() -> None:
    assert not replace(GOOD, compared=Score(89, 100)).is_near(SETTINGS)


def test_what_is_not_asked_counts_for_nothing() -> None:
    assert replace(GOOD, compared=NONE).is_enough(SETTINGS)
    assert replace(GOOD, ood=NONE, held=NONE, compared=NONE).is_enough(SETTINGS)


def test_where_nothing_is_held_out_training_accuracy_counts() -> None:
    only = Validation(cells={}, train=Score(90, 100), id=NONE, ood=NONE, held=NONE, compared=NONE)
    assert only.is_enough(SETTINGS)
    assert not replace(only, train=Score(89, 100)).is_enough(SETTINGS)


@pytest.mark.parametrize(
    ("correct", "n", "enough"),
    [
        (100, 100, True),
        (99, 100, True),
        (98, 100, False),
        (20, 21, True),
        (19, 21, False),
        (990, 1000, True),
        (989, 1000, False),
    ],
)
def test_one_missed_query_is_forgiven_and_of_many_the_share_decides(correct: int, n: int, enough: bool) -> None:
    assert reaches(Score(correct, n), 0.99) == enough
