"""Which facts are out of distribution: chosen once, when the graph is built, and never crossed afterwards.

A held-out fact is trained as an atomic fact only. What is held out is a *pair* (subject, relation) with all
its objects, because the pair is what a query asks: were one object of a pair trained in compositions and
another held out, an answer through the first would pass for generalisation on the second.

Three kinds of unit are held out. The first two are chosen by a hash that neither other facts nor the order of
a file can change:

- a pair, in a graph without questions;
- a question, with every pair it uses, in a graph with questions, or by name (`ood_questions`);
- a pair that a file itself marks (`hold_out_marked`).

A third of what is chosen by hash or marked by a file is for validation (stopping, tuning, choosing), the rest
for test. Questions held out by name are all for test; what the hash then chooses among the others is all for
validation, so that the test set is exactly what was named.
"""

import hashlib
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grokhop.core.errors import InputError
from grokhop.graph.graph import Graph, Question, Split

VALIDATION_SHARE = 1 / 3


def hold_out(graph: Graph, *, share: float, ood_questions: Collection[str] = ()) -> Graph:
    """Return `graph` with its `part` column and `holdout` record set.

    Args:
        share: of the pairs (or, where there are questions, of the questions) to hold out by hash; in 0..1.
        ood_questions: ids of questions whose facts are all held out for test.

    Raises:
        InputError: the share is no share, a question is not in the graph, or nothing is left on one side.
    """
    check_share(share)
    named = frozenset(ood_questions)
    missing = named - {q.id for q in graph.questions}
    if missing:
        raise InputError(
            f"{len(missing)} of {len(named)} named questions are not in the graph, {min(missing)} for one: "
            "ingest the file they are in too"
        )
    part = _parts_by_question(graph, share, named) if graph.questions else _parts_by_pair(graph, share)
    record = {
        "unit": "question" if graph.questions else "pair",
        "share": share,
        "named_questions": sorted(named),
    }
    return _divided(graph, part, record, wanted=share > 0 or bool(named))


def check_share(share: float) -> None:
    """Let a stage refuse a wrong share before it reads anything.

    Raises:
        InputError: `share` is not from 0 to below 1.
    """
    if not 0 <= share < 1:
        raise InputError(f"--holdout is a share from 0 to below 1, not {share}")


def hold_out_marked(graph: Graph, marked: NDArray[np.bool_]) -> Graph:
    """Return `graph` with the facts held out that its file marks, each with all facts of its pair.

    Args:
        marked: (F,) whether the file calls the fact out of distribution.

    Raises:
        InputError: nothing is left on one side.
    """
    chosen = np.isin(graph.pair, graph.pair[marked])
    return _divided(graph, np.where(chosen, _parts_by_pair(graph, 1.0), Split.TRAIN), {"unit": "file"}, wanted=True)


def _divided(graph: Graph, part: NDArray[np.integer[Any]], record: dict[str, Any], *, wanted: bool) -> Graph:
    held_out = int((part != Split.TRAIN).sum())
    if wanted and not held_out:
        raise InputError("the hold-out is empty, the graph is small: raise --holdout, or use --holdout 0 for none")
    if held_out == len(graph):
        raise InputError("every fact is held out, nothing is left to train on: lower --holdout or name fewer questions")
    return replace(graph, part=part.astype(np.int8), holdout=record)


def _parts_by_pair(graph: Graph, share: float) -> NDArray[np.int8]:
    pairs, index = np.unique(graph.pair, return_inverse=True)
    heads, relations = np.divmod(pairs, len(graph.relations))
    names = ((graph.entities[h].key, graph.relations[r]) for h, r in zip(heads, relations, strict=True))
    return np.array([_part(name, share) for name in names], np.int8)[index]


def _parts_by_question(graph: Graph, share: float, named: frozenset[str]) -> NDArray[np.int8]:
    """A pair wanted for two parts goes to the later one: test before validation before training."""
    wanted: dict[int, Split] = {}
    for question in graph.questions:
        part = _question_part(question, share, named)
        for pair in question_pairs(graph, question):
            wanted[pair] = max(part, wanted.get(pair, Split.TRAIN))
    return np.array([wanted.get(pair, Split.TRAIN) for pair in graph.pair.tolist()], np.int8)


def _question_part(question: Question, share: float, named: frozenset[str]) -> Split:
    if question.id in named:
        return Split.TEST
    part = _part(("question", question.id), share)
    return min(part, Split.VALIDATION) if named else part


def question_pairs(graph: Graph, question: Question) -> list[int]:
    """The pairs, numbered as in `Graph.pair`, of the facts that answer a question."""
    return [graph.pair_id(head, relation) for head, relation, _ in question.facts]


def _part(name: tuple[str, str], share: float) -> Split:
    if stable_fraction("held out", *name) >= share:
        return Split.TRAIN
    return Split.VALIDATION if stable_fraction("validation", *name) < VALIDATION_SHARE else Split.TEST


def stable_fraction(*names: str) -> float:
    """A number in [0, 1) that depends on the names alone: the same on every machine and in every release."""
    digest = hashlib.blake2b("\x1f".join(names).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
