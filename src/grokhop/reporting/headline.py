"""The answer at a glance: the verdict, the notes on what is missing, and the tiles."""

import shlex

from grokhop.core.formatting import count, duration, percent, plural, with_n
from grokhop.reporting.evidence import Evidence, Row, mean_of
from grokhop.runs.metrics import ENOUGH_OOD_QUERIES
from grokhop.runs.run import EVAL
from grokhop.runs.summary import pooled

ENOUGH = 0.95
"""Accuracy in and out of distribution from which on a run has grokked; the grokking times use the same."""
QUERIES, QUESTIONS = "two-hop test queries", "questions"


def verdict(evidence: Evidence) -> str:
    """One sentence: whether the run grokked, after how long, with what accuracies, over how many seeds."""
    if not evidence.looks:
        return "Not trained yet: no seed has taken a look at its validation queries."
    in_, out = _headline(evidence)
    score_id, score_ood = in_["accuracy"], out["accuracy"]
    if score_id is None and score_ood is None:
        return f"Trained for {_trained(evidence)}; there are no {in_['on']} to measure generalisation with."
    numbers = f"{_numbers(in_, out)}{_over_seeds(evidence)}"
    if score_ood is None:
        return f"{numbers}, after {_trained(evidence)}; no query over held-out facts measures out of distribution."
    if min(score_id if score_id is not None else 1.0, score_ood) < ENOUGH:
        return f"Not grokked: {numbers}, after {_trained(evidence)}."
    reached = _grok_seconds(evidence)
    if len(reached) < len(evidence.looks):
        return f"Grokked with {len(reached)} of {plural(len(evidence.looks), 'seed')}: {numbers}."
    return f"Grokked in {duration(mean_of(reached) or 0)}: {numbers}."


def _headline(evidence: Evidence) -> tuple[Row, Row]:
    """The score in and that out of distribution: of the test if it was asked, else of validation.

    `on` says what was asked and `which` narrows it. Chains of held-out facts that a question of the graph asks are
    in no cell, so where a cell has too few queries the questions with the same facts take its place.
    """
    if evidence.evaluation is None:
        last = [found.validation for found in evidence.summaries.values()]
        in_, out = ({"accuracy": mean_of(v[name] for v in last), "on": "validation queries"} for name in ("id", "ood"))
        return in_, out
    cells = evidence.cells(2)
    any_held_out = pooled([cells[cell] for cell in ("IO", "OI", "OO")])
    in_ = _first_with_enough(
        {**cells["II"], "on": QUERIES, "which": ""},
        {**pooled(evidence.questions("id")), "on": QUESTIONS, "which": "questions"},
    )
    questions = pooled(evidence.questions("ood") if evidence.held_out else [])
    out = _first_with_enough(
        {**cells["OO"], "on": QUERIES, "which": "both facts held out"},
        {**questions, "on": QUESTIONS, "which": "questions over held-out facts alone"},
        {**any_held_out, "on": QUERIES, "which": "any fact held out"},
    )
    return in_, out


def _first_with_enough(*scores: Row) -> Row:
    """The first score of enough queries, or where none has enough the one of most."""
    enough = (score for score in scores if score["n"] >= ENOUGH_OOD_QUERIES)
    return next(enough, max(scores, key=lambda score: score["n"]))


def _numbers(in_: Row, out: Row) -> str:
    named = [(s, name) for s, name in ((in_, "in"), (out, "out of")) if s["accuracy"] is not None]
    texts = [f"{percent(score['accuracy'])} {name} distribution" for score, name in named]
    if len({score["on"] for score, _ in named}) == 1 and named[0][0]["on"] != QUESTIONS:
        return f"{' and '.join(texts)} on {named[0][0]['on']}"
    asked = [f"{text} on {count(score['n'])} {score['on']}" for text, (score, _) in zip(texts, named, strict=True)]
    return " and ".join(asked)


def _grok_seconds(evidence: Evidence) -> list[float]:
    """For each seed that got there: when it had reached 95 % both in and out of distribution."""
    both = ((grok["id_95"], grok["ood_95"], seed) for seed, grok in evidence.groks.items())
    measured = {seed: found.validation for seed, found in evidence.summaries.items()}
    times = ([t for t, name in ((i, "id"), (o, "ood")) if measured[seed][name] is not None] for i, o, seed in both)
    return [max(t.seconds for t in found if t) for found in times if found and all(found)]


def _over_seeds(evidence: Evidence) -> str:
    seeds = evidence.evaluation["seeds"] if evidence.evaluation else len(evidence.looks)
    return f" (mean of {seeds} seeds)" if seeds > 1 else " (one seed)"


def _trained(evidence: Evidence) -> str:
    return duration(mean_of(s.train_seconds for s in evidence.summaries.values()) or 0)


def notes(evidence: Evidence) -> list[str]:
    """What is missing from the run, each with the command that makes it."""
    name, found = shlex.quote(evidence.run.path.name), []
    if evidence.unfinished:
        seeds = ", ".join(map(str, evidence.unfinished))
        found.append(
            f"Seed{'s' if len(evidence.unfinished) > 1 else ''} {seeds} of {evidence.seeds} not finished: "
            f"'grokhop train GRAPH --resume -o {name}' goes on."
        )
    if evidence.evaluation is None:
        found.append(f"No test query has been asked: 'grokhop eval {name}' asks them and makes {EVAL}.")
    elif evidence.evaluation["seeds"] < evidence.seeds - len(evidence.unfinished):
        found.append(f"{EVAL} is of {plural(evidence.evaluation['seeds'], 'seed')}: 'grokhop eval {name}' asks all.")
    if not evidence.held_out:
        found.append(
            "No fact was held out of the training chains, so nothing here tells reasoning out of distribution from "
            "recall: 'grokhop ingest ... --holdout 0.1' holds some out."
        )
    return found


def tiles(evidence: Evidence) -> list[Row]:
    tiles = [
        {
            "name": f"{name} distribution",
            "value": percent(score["accuracy"]),
            "kind": kind,
            "note": "; ".join(filter(None, (with_n(score), score["which"]))) if "n" in score else score["on"],
        }
        for score, name, kind in zip(_headline(evidence), ("in", "out of"), ("id", "ood"), strict=True)
    ]
    untrained = evidence.run.settings.hops + 1
    long = evidence.cells(untrained).get("0")
    if long and long["n"]:
        name = f"{untrained} hops, never trained"
        tiles.append({"name": name, "value": percent(long["accuracy"]), "kind": "untrained", "note": with_n(long)})
    reached = _grok_seconds(evidence)
    if reached:
        between = f" ({duration(min(reached))} to {duration(max(reached))})" if len(set(reached)) > 1 else ""
        note = f"on validation queries{between}; whole training {_trained(evidence)}"
        tiles.append(
            {"name": "to 95 % ID and OOD", "value": duration(mean_of(reached) or 0), "kind": "time", "note": note}
        )
    return tiles
