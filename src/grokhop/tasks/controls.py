"""Controls: what a run trains instead, so that one can tell what a model's accuracy rests on.

- `no-chains`: facts on their own alone, held-out ones too. Nothing is left of chains, comparisons and rules. Operands
  stay where every hop is supervised: they compare entities that are named, and hold no fact of the graph.
- `shuffled-ends`: the ends of trained compositions are permuted among those of one length, by chance. A model that
  still finds right ends has learned nothing from the ends that it was told.
- `no-heldout-facts`: held-out facts are not trained at all. What is still answered is guessed, from inverses, say.
- `permuted-heldout`: the tails of held-out facts are permuted within each relation and part, before anything is built.
  The model must answer the new truth, which no pretrained weight and no regularity of the world can tell.

Shuffled ends in detail. A composition is a head and its relations, with one end; wherever it stands, as a whole row, as
the beginning of a longer one or as a branch, it gets the same false end, so that it can be memorised. All ends from the
second hop on are permuted, also those on the way through a longer row: left right, they would be trained compositions
of their own. The first hop is a fact and stays. Permutations are drawn and not turned round: were every `x` to become
`y`, a model could compose and translate. So a few ends stay right by chance, and are counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from grokhop.config import Control
from grokhop.core.errors import InputError
from grokhop.graph.graph import Graph, Question, Split
from grokhop.graph.paths import NO_FACT, Longs, Mask, Queries, distinct_rows
from grokhop.tasks.composition import Compositions
from grokhop.tasks.encoding import GIVEN, NO_TARGET, TokenBatch
from grokhop.tasks.vocabulary import Vocabulary

SEED = 0
"""Of all permutations, so that every seed of a run and every run trains the same."""
Fact = tuple[int, int, int]


def controlled_graph(graph: Graph, control: Control) -> Graph:
    """Return the graph that a run of this control keeps and asks about: the given one, unless facts are permuted."""
    return permuted_heldout(graph) if control == "permuted-heldout" else graph


def without_chains(made: Compositions) -> Compositions:
    """Return the compositions with no chain left to train, and every fact in a row of its own."""
    lengths = {name: n for name, n in made.counts.items() if name.startswith("trained_")}
    left_out = {name.replace("trained_", "left_out_"): n for name, n in lengths.items()}
    atomic = np.arange(made.facts)
    counts = {**made.counts, **dict.fromkeys(lengths, 0), **left_out, "chains": 0, "atomic_rows": len(atomic)}
    return replace(made, chains=made.chains[:0], atomic=atomic, counts=counts)


def without_heldout_facts(graph: Graph, made: Compositions) -> Compositions:
    """Return the compositions without the rows of held-out facts; no chain holds one."""
    atomic = made.atomic[graph.part[made.atomic] == Split.TRAIN]
    return replace(made, atomic=atomic, counts={**made.counts, "atomic_rows": len(atomic)})


def permuted_heldout(graph: Graph) -> Graph:
    """Return the graph with the tails of its held-out facts permuted within each relation.

    A pair keeps its number of tails: all of them go to another pair of the relation that has as many and is held out
    for the same part, so that chains within a part stay there. Pairs get other tails where that is possible. Questions
    follow (`_with_questions`).
    """
    held = np.flatnonzero(graph.part != Split.TRAIN)
    order = held[np.lexsort((graph.tail[held], graph.pair[held]))]
    pairs, first, size = np.unique(graph.pair[order], return_index=True, return_counts=True)
    kinds = np.column_stack([pairs % len(graph.relations), graph.part[order[first]], size])
    tail = graph.tail.copy()
    for kind in distinct_rows(kinds).tolist():
        facts = order[first[(kinds == kind).all(axis=1)][:, None] + np.arange(kind[-1])]
        _, same = np.unique(graph.tail[facts], axis=0, return_inverse=True)
        tail[facts] = graph.tail[facts[scattered(same.reshape(-1), np.random.default_rng([SEED, *kind]))]]
    return _with_questions(graph, replace(graph, tail=tail))


def scattered(values: Longs, rng: np.random.Generator) -> Longs:
    """(N,) a permutation by chance that gives as few places as possible the value that they have.

    A place that keeps its value changes with one that neither has nor was given this value; where none is left,
    more than half of all have it.
    """
    places = rng.permutation(len(values))
    for value in np.unique(values[values[places] == values]):
        kept = np.flatnonzero((values == value) & (values[places] == value))
        free = rng.permutation(np.flatnonzero((values != value) & (values[places] != value)))[: len(kept)]
        kept = kept[: len(free)]
        places[kept], places[free] = places[free], places[kept]
    return places


def changed_facts(before: Graph, after: Graph) -> int:
    """Count the facts of the one graph that are not in the other."""
    both = np.concatenate([distinct_rows(np.column_stack([g.pair, g.tail])) for g in (before, after)])
    return len(distinct_rows(both)) - len(before)


def _with_questions(before: Graph, after: Graph) -> Graph:
    """The permuted graph with the questions that it answers.

    A chain is followed anew to its new end, which becomes the answer. A question is left out where a chain goes on
    from its new bridge in no way or in several, and where permuted facts are compared: its words say what is wanted in
    ways that no fact tells. A chain that is left out holds a held-out fact and so can be in no training row. Neither is
    a rule or a kind of comparison trained of which no question is left.
    """
    columns = (before.head, before.relation, before.tail, after.tail)
    new = {(h, r, t): (h, r, other) for h, r, t, other in zip(*(c.tolist() for c in columns), strict=True)}
    onward: dict[tuple[int, int], list[int]] = {}
    for head, relation, tail in new.values():
        onward.setdefault((head, relation), []).append(tail)
    asked = (_followed(question, after, new, onward) for question in before.questions)
    return replace(after, questions=tuple(question for question in asked if question))


def _followed(
    question: Question, graph: Graph, new: dict[Fact, Fact], onward: dict[tuple[int, int], list[int]]
) -> Question | None:
    """The question as the permuted graph answers it; None where it does not."""
    if all(new.get(fact, fact) == fact for fact in question.facts):
        return question
    if not question.path and len(question.facts) > 1:
        return None
    facts: list[Fact] = []
    for fact in question.facts:
        head = facts[-1][2] if facts else fact[0]
        if head == fact[0]:
            facts.append(new.get(fact, fact))
            continue
        tails = onward.get((head, fact[1]), [])
        if len(tails) != 1:
            return None
        facts.append((head, fact[1], tails[0]))
    return replace(question, facts=tuple(facts), answer=graph.entities[facts[-1][2]].label)


def shuffled_ends(batches: Sequence[TokenBatch], comparisons: TokenBatch) -> tuple[list[TokenBatch], dict[str, int]]:
    """Permute the ends of compositions in rows of chains and of rules and in branches that are compared.

    Returns:
        The batches with `comparisons` behind them, and how many distinct compositions got an end by chance and how
        many of these ends are right.
    """
    rng, rows = np.random.default_rng(SEED), [*batches, comparisons]
    targets, places = [batch.targets.copy() for batch in rows], [_composed(batch) for batch in rows]
    places[-1][np.arange(len(comparisons)), comparisons.last] = False  # the answer is no end
    counts = {"shuffled_ends": 0, "shuffled_ends_right": 0}
    for hops in range(2, 1 + max(int(batch.read_at.max(initial=0)) for batch in rows)):
        found = [np.nonzero(mask & (batch.read_at == hops)) for mask, batch in zip(places, rows, strict=True)]
        told = [_stated(batch, row, at, hops) for batch, (row, at) in zip(rows, found, strict=True)]
        distinct, which = np.unique(np.concatenate(told), axis=0, return_inverse=True)
        ends = rng.permutation(distinct[:, -1])
        parts = np.split(ends[which.reshape(-1)], np.cumsum([len(part) for part in told])[:-1])
        for target, where, part in zip(targets, found, parts, strict=True):
            target[where] = part
        counts["shuffled_ends"] += len(distinct)
        counts["shuffled_ends_right"] += _in_common(distinct, np.column_stack([distinct[:, :-1], ends]))
    return [replace(batch, targets=target) for batch, target in zip(rows, targets, strict=True)], counts


def shuffled_answers(comparisons: TokenBatch) -> tuple[TokenBatch, dict[str, int]]:
    """Permute the answers of comparisons among those of one operator; rows that are the same stay the same."""
    rng, each, last = np.random.default_rng(SEED), np.arange(len(comparisons)), comparisons.last
    told = np.column_stack([comparisons.tokens, comparisons.last_targets()])
    distinct, first, which = np.unique(told, axis=0, return_index=True, return_inverse=True)
    operators, new = comparisons.tokens[each, last][first], distinct[:, -1].copy()
    for operator in np.unique(operators):
        new[operators == operator] = rng.permutation(new[operators == operator])
    targets = comparisons.targets.copy()
    targets[each, last] = new[which.reshape(-1)]
    right = _in_common(distinct, np.column_stack([distinct[:, :-1], new]))
    counts = {"shuffled_answers": len(distinct), "shuffled_answers_right": right}
    return replace(comparisons, targets=targets), counts


def _composed(batch: TokenBatch) -> Mask:
    """(N, T) where the end of two hops or more is told."""
    return (batch.targets != NO_TARGET) & (batch.read_at > GIVEN + 1)


def _stated(batch: TokenBatch, row: Longs, at: Longs, hops: int) -> Longs:
    """(N, hops + 2) tokens and end of the compositions that end in these places of these rows."""
    tokens = batch.tokens[row[:, None], at[:, None] + np.arange(-hops, 1)]
    return np.column_stack([tokens, batch.targets[row, at]])


def _in_common(one: Longs, other: Longs) -> int:
    both = np.concatenate([distinct_rows(one), distinct_rows(other)])
    return len(both) - len(distinct_rows(both))


def check_shuffled(before: Sequence[TokenBatch], after: Sequence[TokenBatch]) -> None:
    """Make sure that the rows which were checked for leakage are those that are fed, and that facts are told rightly.

    Raises:
        InputError: something else than the end of a composition was changed; nothing may be trained then.
    """
    for one, other in zip(before, after, strict=True):
        facts = ~_composed(one)
        same = [(one.tokens, other.tokens), (one.read_at, other.read_at), (one.targets[facts], other.targets[facts])]
        if not all(np.array_equal(*pair) for pair in same):
            raise InputError(
                "shuffling changed more than the ends of compositions, so that the check for leakage tells nothing of "
                "these rows; nothing was trained, please report this"
            )


def answered_by(rows: TokenBatch, queries: Queries, vocabulary: Vocabulary) -> Queries:
    """Return the queries with the answers that training rows give them, instead of those of the graph."""
    hops, n = queries.hops, len(queries)
    told = rows.where(rows.targets[:, hops] != NO_TARGET)
    asked = np.column_stack([queries.head, vocabulary.relation_token(queries.relations)])
    _, which = np.unique(np.concatenate([asked, told.tokens[:, : hops + 1]]), axis=0, return_inverse=True)
    which = which.reshape(-1)
    query = np.full(which.max(initial=-1) + 1, NO_FACT)
    query[which[:n]] = np.arange(n)
    found = np.column_stack([query[which[n:]], told.targets[:, hops]])
    found = distinct_rows(found[found[:, 0] != NO_FACT])
    sizes = np.bincount(found[:, 0], minlength=n)
    return replace(queries, answers=found[:, 1], offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))


def control_words(control: Control, counts: Mapping[str, int]) -> str:
    """Say in a sentence what is trained instead.

    Args:
        counts: of the data set.
    """
    words = {
        "no-chains": "nothing composed is trained, only facts on their own",
        "shuffled-ends": "the ends of trained compositions are permuted, facts on their own are right",
        "no-heldout-facts": "held-out facts are not trained at all",
        "permuted-heldout": "the tails of held-out facts are permuted, the new truth is trained and asked",
    }
    told = {
        "shuffled-ends": "{shuffled_ends_right:,} of {shuffled_ends:,} ends are right by chance",
        "permuted-heldout": "{permuted_facts:,} of {held_out_facts:,} are other facts now",
    }
    detail = f" ({told[control].format(**counts)})" if control in told else ""
    return f"{words[control]}{detail}"
