"""The answer at a glance: the verdict, the notes on what is missing, and the tiles."""

import shlex
from typing import Any

from grokhop.metrics import ENOUGH_OOD_QUERIES
from grokhop.report.evidence import Evidence, Row, mean_of, pooled
from grokhop.report.wording import count, duration, percent, plural, with_n
from grokhop.run import EVAL

ENOUGH = 0.95
"""Accuracy in and out of distribution from which on a run has grokked; the grokking times use the same."""


def verdict(evidence: Evidence) -> str:
    """One sentence: whether the run grokked, after how long, with what accuracies, over how many seeds."""
    if not evidence.looks:
        return "Not trained yet: no seed has taken a look at its validation queries."
    score_id, score_ood, of = _headline(evidence)
    if score_id is None and score_ood is None:
        return f"Trained for {_trained(evidence)}; there are no {of} queries to measure generalisation with."
    parts = [f"{percent(score_id)} in distribution"] if score_id is not None else []
    if score_ood is not None:
        parts.append(f"{percent(score_ood)} out of distribution")
    numbers = f"{' and '.join(parts)} on {of} queries{_over_seeds(evidence)}"
    if score_ood is None:
        return f"{numbers}, after {_trained(evidence)}; no query over held-out facts measures out of distribution."
    if min(score_id if score_id is not None else 1.0, score_ood) < ENOUGH:
        return f"Not grokked: {numbers}, after {_trained(evidence)}."
    reached = _grok_seconds(evidence)
    if len(reached) < len(evidence.looks):
        return f"Grokked with {len(reached)} of {plural(len(evidence.looks), 'seed')}: {numbers}."
    return f"Grokked in {duration(mean_of(reached) or 0)}: {numbers}."


def _headline(evidence: Evidence) -> tuple[float | None, float | None, str]:
    """ID and OOD accuracy over two hops, and on which queries: test if they were asked, else validation."""
    if evidence.evaluation is None:
        last = [found["validation"] for found in evidence.summaries.values()]
        return mean_of(v["id"] for v in last), mean_of(v["ood"] for v in last), "validation"
    cells = evidence.cells(2)
    return cells["II"]["accuracy"], _ood_score(cells)["accuracy"], "two-hop test"


def _ood_score(cells: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The OO cell, or with few OO queries all that need any held-out fact, as in `metrics.ood_accuracy`."""
    if cells["OO"]["n"] >= ENOUGH_OOD_QUERIES:
        return {**cells["OO"], "which": "both facts held out"}
    return {**pooled([cells[cell] for cell in ("IO", "OI", "OO")]), "which": "any fact held out"}


def pooled(scores: list[Row]) -> dict[str, Any]:
    """The score of several sets of queries together."""
    correct, n = sum(s["correct"] for s in scores), sum(s["n"] for s in scores)
    low, high = wilson(correct, n) if n else (None, None)
    return {"correct": correct, "n": n, "accuracy": correct / n if n else None, "low": low, "high": high}


def _grok_seconds(evidence: Evidence) -> list[float]:
    """For each seed that got there: when it had reached 95 % both in and out of distribution."""
    both = ((grok["id_95"], grok["ood_95"], seed) for seed, grok in evidence.groks.items())
    measured = {seed: found["validation"] for seed, found in evidence.summaries.items()}
    times = ([t for t, name in ((i, "id"), (o, "ood")) if measured[seed][name] is not None] for i, o, seed in both)
    return [max(t["seconds"] for t in found) for found in times if found and all(found)]


def _over_seeds(evidence: Evidence) -> str:
    seeds = evidence.evaluation["seeds"] if evidence.evaluation else len(evidence.looks)
    return f" (mean of {seeds} seeds)" if seeds > 1 else " (one seed)"


def _trained(evidence: Evidence) -> str:
    return duration(mean_of(s["train_seconds"] for s in evidence.summaries.values()) or 0)


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
    score_id, score_ood, of = _headline(evidence)
    tiles = [
        {"name": "in distribution", "value": percent(score_id), "kind": "id", "note": f"{of} queries"},
        {"name": "out of distribution", "value": percent(score_ood), "kind": "ood", "note": f"{of} queries"},
    ]
    if evidence.evaluation is not None:
        ood = _ood_score(evidence.cells(2))
        tiles[0]["note"] = with_n(evidence.cells(2)["II"])
        tiles[1]["note"] = f"{with_n(ood)}; {ood['which']}"
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
