"""Shares with their intervals, against scipy, and over seeds without narrowing what was not asked anew."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from grokhop.core.statistics import Score, over_seeds, wilson
from grokhop.runs.metrics import (
    GROKKED,
    EvalRecord,
    TrainResult,
    TrainSummary,
    append_look,
    id_score,
    keep_looks,
    ood_score,
    read_looks,
    summary,
)


@given(st.integers(1, 5000), st.data())
def test_the_interval_is_the_one_of_wilson_in_scipy(n: int, data: st.DataObject) -> None:
    correct = data.draw(st.integers(0, n))
    expected = binomtest(correct, n).proportion_ci(confidence_level=0.95, method="wilson")
    assert wilson(correct, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_scores_add_up_and_nothing_asked_has_no_accuracy() -> None:
    assert Score(3, 4) + Score(1, 2) == Score(4, 6)
    assert Score.of(np.array([True, False, True])) == Score(2, 3)
    assert Score(3, 4).accuracy == 0.75
    assert Score(0, 0).accuracy is None


def test_one_seed_is_scored_by_itself() -> None:
    right = np.array([True] * 7 + [False] * 3)
    score = over_seeds([right]).to_dict()
    low, high = wilson(7, 10)
    assert score == {
        "correct": 7,
        "n": 10,
        "accuracy": 0.7,
        "low": low,
        "high": high,
        "per_seed": [0.7],
        "spread": None,
    }
    assert type(score["correct"]) is int


def test_several_seeds_give_their_mean_their_spread_and_the_interval_of_one() -> None:
    rights = [np.arange(10) < correct for correct in (6, 7, 9)]
    score = over_seeds(rights).to_dict()
    assert score["n"] == 10
    assert score["correct"] == pytest.approx(22 / 3)
    assert score["accuracy"] == pytest.approx(np.mean([0.6, 0.7, 0.9]))
    assert score["per_seed"] == [0.6, 0.7, 0.9]
    assert score["spread"] == pytest.approx(np.std([0.6, 0.7, 0.9], ddof=1))
    assert (score["low"], score["high"]) == wilson(22 / 3, 10)


def test_the_same_answers_under_three_seeds_have_the_interval_of_one() -> None:
    right = np.arange(50) < 40
    one, three = over_seeds([right]).to_dict(), over_seeds([right] * 3).to_dict()
    assert (one["low"], one["high"]) == (three["low"], three["high"])
    assert three["spread"] == 0


def test_nothing_asked_has_the_same_keys_and_no_numbers() -> None:
    nothing = over_seeds([np.zeros(0, bool)] * 2).to_dict()
    assert nothing.keys() == over_seeds([np.ones(1, bool)]).to_dict().keys()
    assert nothing["n"] == 0
    assert nothing["accuracy"] is nothing["low"] is nothing["high"] is None


# Metrics: what the scores of one look are pooled to.


def test_the_id_score_pools_the_fully_trainable_cells_of_trained_lengths() -> None:
    scores = {
        2: {"II": Score(9, 10), "IO": Score(0, 50), "OI": Score(0, 50), "OO": Score(0, 50)},
        3: {"0": Score(1, 10), "1": Score(0, 50), "2": Score(0, 5), "3": Score(0, 5)},
    }
    assert id_score(scores, 2) == Score(9, 10)
    assert id_score(scores, 3) == Score(10, 20)


def test_the_ood_score_is_of_fully_held_out_queries_or_of_all_with_any_where_those_are_few() -> None:
    many = {2: {"II": Score(0, 90), "IO": Score(0, 50), "OI": Score(0, 50), "OO": Score(24, 30)}}
    few = {2: {"II": Score(0, 90), "IO": Score(10, 20), "OI": Score(20, 20), "OO": Score(0, 10)}}
    none = {2: {"II": Score(5, 5), "IO": Score(0, 0), "OI": Score(0, 0), "OO": Score(0, 0)}}
    assert ood_score(many, 2) == Score(24, 30)
    assert ood_score(few, 2) == Score(30, 50)
    assert ood_score(none, 2).accuracy is None


def look(step: int, *, train: float, id_: float | None, ood: float | None) -> EvalRecord:
    return EvalRecord(
        step=step,
        seconds=step / 10,
        epochs=step / 100,
        loss=1.0,
        rows_per_second=5.0,
        train=train,
        id=id_,
        ood=ood,
    )


def test_each_grokking_time_is_the_first_look_at_which_its_accuracy_was_reached() -> None:
    looks = [
        look(100, train=0.5, id_=0.1, ood=None),
        look(200, train=0.99, id_=0.94, ood=None),
        look(300, train=0.9, id_=0.95, ood=None),
        look(400, train=1.0, id_=1.0, ood=None),
    ]
    found = summary(looks).to_dict()
    assert found["grok"] == {
        "train_99": {"seconds": 20.0, "steps": 200, "epochs": 2.0},
        "id_95": {"seconds": 30.0, "steps": 300, "epochs": 3.0},
        "ood_95": None,
    }
    assert found["grok"].keys() == GROKKED.keys()
    assert (found["steps"], found["train_seconds"]) == (400, 40.0)
    assert found["validation"] == {"train": 1.0, "id": 1.0, "ood": None}


def test_the_summary_of_a_training_is_read_as_it_was_written() -> None:
    going = summary([look(100, train=1.0, id_=0.96, ood=None)])
    keys = {"steps", "train_seconds", "epochs", "rows_per_second", "validation", "grok"}
    assert going.to_dict().keys() == keys
    ended = replace(going, packed_rows_checked=30)
    assert ended.to_dict().keys() == keys | {"packed_rows_checked"}
    assert [TrainSummary.from_dict(found.to_dict()) for found in (going, ended)] == [going, ended]
    result = TrainResult(run="run", numbers=[0], seeds=[ended])
    assert result.to_dict() == {"run": "run", "numbers": [0], "seeds": [ended.to_dict()]}


def test_looks_survive_their_file_and_a_half_written_line_does_not(tmp_path: Path) -> None:
    looks = [look(step, train=0.5, id_=None, ood=0.25) for step in (1, 2, 3)]
    keep_looks(tmp_path, looks[:1])
    for one in looks[1:]:
        append_look(tmp_path, one)
    assert read_looks(tmp_path) == looks
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "seco')
    assert read_looks(tmp_path) == looks


def test_a_run_without_metrics_has_no_looks(tmp_path: Path) -> None:
    assert read_looks(tmp_path) == []
