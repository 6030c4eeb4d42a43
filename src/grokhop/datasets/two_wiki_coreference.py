"""Inside one record of 2WikiMultiHopQA: which names stand for one thing.

A record tells it in four ways, used in this order: `evidences_id`; `entity_ids`, the ids of what the
evidences are about, in their order; the titles of the supporting facts, in the same order; and the type of
the question, which says what must be a chain. 'André de Toth', who directed, and 'Andre DeToth', who died,
are one person because the question 'which film has the director who died earlier' is about a chain.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import TypeVar

from grokhop.language import countries
from grokhop.language.names import clean, normal, similarity

CHAINS = ("compositional", "inference")
BRIDGES = ("bridge_comparison",)
_WIKIDATA = re.compile(r"Q\d+")
_DATE = "date_information"  # what stands for the id of a date
_MOST_ORDERED = 5  # heads in a record whose order is looked at
_TRUST_IN_ORDER = 0.5  # of two names that fit perfectly, against two that do not fit at all

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class QuestionRecord:
    """What is used of one record. `evidence_ids` and `entity_ids` are empty where the file gives none."""

    id: str
    type: str
    question: str
    answer: str
    answer_id: str
    evidences: tuple[tuple[str, str, str], ...]
    evidence_ids: tuple[tuple[str, str, str], ...]
    entity_ids: tuple[str, ...]
    titles: tuple[str, ...]


@dataclass(eq=False)
class Node:
    """One thing that a record names, in one or more spellings. `key` is set when all records are known."""

    labels: list[str]
    roles: set[tuple[str, str]]
    """(relation, 'head' or 'tail') that it plays."""
    id: str = ""
    title: str = ""
    is_date: bool = False
    """Whether the file itself says so."""
    key: str = ""


@dataclass(kw_only=True)
class Linked:
    """A record with its evidences as (head, relation, tail) over nodes, in the order of the hops."""

    record: QuestionRecord
    evidences: list[tuple[Node, str, Node]] = field(default_factory=list)

    def nodes(self) -> list[Node]:
        """Each node once, in the order of the evidences."""
        return list(dict.fromkeys(node for head, _, tail in self.evidences for node in (head, tail)))


def link(record: QuestionRecord) -> Linked:
    """Return the evidences of a record over nodes, one node for each thing that it names."""
    tail_ids, heads = _heads(record)
    evidences = []
    for (_, relation, label), head, tail_id in zip(record.evidences, heads, tail_ids, strict=True):
        head.roles.add((relation, "head"))
        id_ = tail_id if _WIKIDATA.fullmatch(tail_id) else ""
        tail = Node([clean(label)], {(relation, "tail")}, id=id_, is_date=tail_id == _DATE)
        evidences.append((head, relation, tail))
    starts = _join(record, evidences)
    return Linked(record=record, evidences=_in_hop_order(starts, evidences))


def _heads(record: QuestionRecord) -> tuple[list[str], list[Node]]:
    """The id of each evidence's tail ('' where none is given) and the node of its head."""
    ids = _aligned_ids(record)
    named = [(clean(head), ids[i][0] if ids else "") for i, (head, _, _) in enumerate(record.evidences)]
    if record.type in CHAINS and len(named) == 2:
        groups = [0, 1]  # a father and a son of one name are still two links of a chain
    else:
        order = list(dict.fromkeys(id_ or normal(label) for label, id_ in named))
        groups = [order.index(id_ or normal(label)) for label, id_ in named]
    nodes = [Node([], set()) for _ in range(max(groups) + 1)]
    for group, (label, id_) in zip(groups, named, strict=True):
        nodes[group].id = id_
        nodes[group].labels.append(label)
    if not ids and len(record.entity_ids) == len(nodes):
        for node, id_ in zip(nodes, record.entity_ids, strict=True):
            node.id = id_
    _give_titles(nodes, record.titles)
    return [tail for _, tail in ids] or [""] * len(named), [nodes[group] for group in groups]


def _aligned_ids(record: QuestionRecord) -> list[tuple[str, str]]:
    """(head id, tail id) of each evidence.

    Where one thing has several objects, the file lists the evidences thing by thing and their ids in turns,
    so that the i-th id is not always that of the i-th evidence: both are grouped by what they are about, and
    among the objects of one thing a country's name goes to the country's id.
    """
    if len(record.evidence_ids) != len(record.evidences):
        return []
    ids = [(head, tail) for head, _, tail in record.evidence_ids]
    labels = [normal(head) for head, _, _ in record.evidences]
    label_order, id_order = list(dict.fromkeys(labels)), list(dict.fromkeys(head for head, _ in ids))
    id_of = dict(zip(label_order, id_order, strict=False))
    if len(label_order) != len(id_order) or Counter(id_of[label] for label in labels) != Counter(h for h, _ in ids):
        return ids
    aligned = []
    for head, _, tail in record.evidences:
        of_head = [pair for pair in ids if pair[0] == id_of[normal(head)]]
        country = countries.ids().get(normal(tail))
        aligned.append(next((pair for pair in of_head if pair[1] == country), of_head[0]))
        ids.remove(aligned[-1])
    return aligned


def _give_titles(nodes: Sequence[Node], titles: Sequence[str]) -> None:
    """The titles of the supporting facts name the heads, in order unless the names clearly say otherwise."""
    if len(titles) != len(nodes):
        return

    def fit(order: Sequence[str]) -> float:
        return sum(
            max(similarity(title, label) for label in node.labels) for node, title in zip(nodes, order, strict=True)
        )

    for node, title in zip(nodes, _best_order(titles, fit), strict=True):
        node.title = title


def _best_order(given: Sequence[T], fit: Callable[[Sequence[T]], float]) -> Sequence[T]:
    """The order that fits best; the given one has an advantage, for names may be alike by chance."""
    if len(given) > _MOST_ORDERED:
        return given
    return max(permutations(given), key=lambda order: fit(order) + (_TRUST_IN_ORDER if order == tuple(given) else 0))


def _join(record: QuestionRecord, evidences: list[tuple[Node, str, Node]]) -> list[Node]:
    """Replace each tail that is the head of a later hop by that head; return the heads of the first hops."""
    heads = list(dict.fromkeys(head for head, _, _ in evidences))
    if record.type in CHAINS:
        for i, later in enumerate(heads[1:], 1):
            _attach(later, heads[:i], evidences)
        return heads[:1]
    if record.type in BRIDGES and len(heads) >= 3:
        starts, bridges = heads[:2], heads[2:]
        for start, bridge in zip(starts, _bridge_order(starts, bridges, evidences), strict=False):
            _attach(bridge, [start], evidences)
        return starts
    if record.type == "comparison":
        return heads
    for later in heads:
        score, i = _fit(later, [head for head in heads if head is not later], evidences)
        if score == 1:
            evidences[i] = _to(later, evidences[i])
    tails = {tail for _, _, tail in evidences}
    return [head for head in heads if head not in tails] or heads


def _bridge_order(
    starts: Sequence[Node], bridges: Sequence[Node], evidences: list[tuple[Node, str, Node]]
) -> Sequence[Node]:
    """The bridge of each start: in the order of the file, unless the names clearly say otherwise."""
    if len(bridges) == 1:
        return [bridges[0], bridges[0]]

    def fit(order: Sequence[Node]) -> float:
        return sum(_fit(bridge, [start], evidences)[0] for start, bridge in zip(starts, order, strict=False))

    return _best_order(bridges, fit)


def _attach(later: Node, earlier: Sequence[Node], evidences: list[tuple[Node, str, Node]]) -> None:
    _, i = _fit(later, earlier, evidences)
    if i >= 0:
        evidences[i] = _to(later, evidences[i])


def _to(later: Node, evidence: tuple[Node, str, Node]) -> tuple[Node, str, Node]:
    head, relation, tail = evidence
    later.labels = [*tail.labels, *later.labels]
    later.roles |= tail.roles
    later.id = later.id or tail.id
    return head, relation, later


def _fit(later: Node, earlier: Iterable[Node], evidences: list[tuple[Node, str, Node]]) -> tuple[float, int]:
    """How well the best tail of `earlier` fits the head `later`, and the evidence it is in (-1: none)."""
    sources = list(earlier)
    fits = [
        (_alike(tail, later), -i)
        for i, (head, _, tail) in enumerate(evidences)
        if head in sources and head is not later
    ]
    score, i = max(fits, default=(0.0, 1))
    return score, -i


def _alike(tail: Node, head: Node) -> float:
    if tail.id and head.id:
        return float(tail.id == head.id)
    names = [*head.labels, *([head.title] if head.title else [])]
    return max(similarity(label, name) for label in tail.labels for name in names)


def _in_hop_order(starts: Sequence[Node], evidences: Sequence[tuple[Node, str, Node]]) -> list[tuple[Node, str, Node]]:
    """Branch after branch, each from its start along its hops."""
    ordered: list[tuple[Node, str, Node]] = []
    for start in starts:
        waiting, used = [start], set()
        while waiting:
            node = waiting.pop(0)
            for i, evidence in enumerate(evidences):
                if evidence[0] is node and i not in used:
                    used.add(i)
                    ordered.append(evidence)
                    waiting.append(evidence[2])
    return [*ordered, *(e for e in evidences if e not in ordered)]
