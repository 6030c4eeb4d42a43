"""The source `llm` of the augmentation: facts that a language model proposes, by both algorithms of the paper.

Algorithm 1 of Abramov et al. (2025) has a model write new locations with their country; here it is any relation of
the graph. Algorithm 2 reads facts out of paragraphs and then asks which further facts connect what was found. A
paragraph can also be written for each fact, for training on text.

Nothing secret is told: `PromptLeakGuard` says what no prompt may name. Nothing that comes back is trusted: each fact
passes `grokhop.augmentation.validation` or is counted there. Only what augments with
a language model imports this module.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, TypeVar

import numpy as np

from grokhop.augmentation.constraints import Longs, untouchable_pairs
from grokhop.augmentation.validation import MOST_LETTERS, FactValidator, Proposal
from grokhop.core.errors import InputError
from grokhop.core.llm_client import BudgetError, Client, Usage
from grokhop.graph.graph import Graph, Split
from grokhop.language.entity_linking import plain
from grokhop.language.names import without_disambiguator

try:
    from pydantic import BaseModel, ConfigDict, Field, create_model
except ImportError as error:
    raise InputError("pydantic is not installed: pip install 'grokhop[llm]'") from error


Labels = tuple[str, str, str]
Notice = Callable[[str], None]
F = TypeVar("F")

EXAMPLES = 8
"""Facts of the graph in a prompt of Algorithm 1."""
BARREN = 3
"""After so many batches in a row without a new fact a relation is given up."""
MOST_AVOIDED = 60
"""Subjects that a prompt asks not to name again, the latest ones."""
MOST_FACTS = 100
"""That are read from one reply."""
MOST_LISTED = 250
"""Relations that a schema lists; endpoints refuse longer lists. The gate knows the relations anyway."""
MOST_PARAGRAPH = 2000
"""Letters of a paragraph that was written for a fact."""

SECRET = "a text names both ends of a fact that is held out or asked, so that it was left"
SURPLUS = "facts beyond those that are read from one reply"
OFF_TOPIC = "the paragraph does not name its fact, or is no plain text"

# Strict for an endpoint that enforces the schema, lenient for one that does not: a further key does no harm.
_CLOSED = ConfigDict(json_schema_extra={"additionalProperties": False})


class Pair(BaseModel):
    """A fact of a relation that is known."""

    model_config = _CLOSED
    subject: str
    object: str


class LabelPairs(BaseModel):
    """The answer of Algorithm 1."""

    model_config = _CLOSED
    facts: list[Pair]


class Triple(BaseModel):
    """A fact."""

    model_config = _CLOSED
    subject: str
    relation: str
    object: str


class Triples(BaseModel):
    """The answer of Algorithm 2."""

    model_config = _CLOSED
    facts: list[Triple]


class Paragraph(BaseModel):
    """The answer of an elaboration."""

    model_config = _CLOSED
    paragraph: str


class PromptLeakGuard:
    """What no prompt may tell: the facts that are held out or asked by a question, and the questions.

    Names are found in texts as whole words, but for case, accents, punctuation, disambiguators and the article; a
    name of a script that puts no spaces between words, anywhere.
    """

    def __init__(self, graph: Graph) -> None:
        secret = np.isin(graph.pair, untouchable_pairs(graph))
        self._objects: defaultdict[int, set[int]] = defaultdict(set)
        for head, tail in zip(graph.head[secret].tolist(), graph.tail[secret].tolist(), strict=True):
            self._objects[head].add(tail)
        for question in graph.questions:
            if question.path:  # the two ends of a chain are a question and its answer
                self._objects[question.path[0]].add(question.facts[-1][2])
        self._all_objects = set[int]().union(*self._objects.values())
        self._names: defaultdict[str, set[int]] = defaultdict(set)
        for entity in self._objects.keys() | self._all_objects:
            for name in graph.entities[entity].names:
                for written in (plain(name), plain(without_disambiguator(name))):
                    self._names[written].add(entity)
                    self._names[written.removeprefix("the ")].add(entity)
        self._longest = max((len(name.split()) for name in self._names), default=0)
        self._unspaced = [name for name in self._names if any(c >= "\u0e00" for c in name)]
        self._questions = [plain(question.text) for question in graph.questions]

    def ends(self, text: str) -> set[int]:
        """The entities at either end of a secret fact that a text names."""
        whole = plain(text)
        words = whole.split()
        spans = (" ".join(words[i : i + n]) for i in range(len(words)) for n in range(1, self._longest + 1))
        named = {span for span in spans if span in self._names} | {name for name in self._unspaced if name in whole}
        return set[int]().union(*(self._names[name] for name in named))

    def joined(self, ends: set[int]) -> bool:
        """Whether a secret fact has both its ends there."""
        return any(self._objects.get(head, set()) & ends for head in ends)

    def told_by(self, text: str) -> bool:
        """Whether a text names both ends of a secret fact, or is or holds a question."""
        return self.joined(self.ends(text)) or any(question in plain(text) for question in self._questions)

    def answered_by(self, text: str) -> bool:
        """Whether a text names the object of any secret fact at all, or holds a question."""
        return bool(self.ends(text) & self._all_objects) or self.told_by(text)


def propose_facts(
    graph: Graph, gate: FactValidator, client: Client, wanted: Mapping[str, int], notice: Notice = lambda _line: None
) -> Usage:
    """Algorithm 1: ask for facts of each relation until the gate has admitted as many as are wanted.

    A relation is given up after `BARREN` batches without a new fact; all are when the budget is spent.

    Args:
        gate: judges and keeps the facts; it has to be a gate of `graph`.
        wanted: how many facts for each relation, by label.
        notice: is told a line about each relation.

    Raises:
        InputError: the graph has no such relation, or see `Client.ask`; the gate keeps what it has admitted.
    """
    _same_graph(graph, gate)
    unknown = [relation for relation in wanted if relation not in graph.relations]
    if unknown:
        raise InputError(f"the graph has no relation '{unknown[0]}': its relations are {', '.join(graph.relations)}")
    asking = _Asking(graph)
    try:
        for relation, number in wanted.items():
            _propose(asking, gate, client, relation, number, notice)
    except BudgetError as error:
        notice(str(error))
    return client.usage


def _propose(
    asking: "_Asking", gate: FactValidator, client: Client, relation: str, wanted: int, notice: Notice
) -> None:
    got = batch = barren = 0
    tried: dict[str, None] = {}
    try:
        while got < wanted and barren < BARREN:
            reply = client.ask(asking.prompt(relation, client.endpoint.batch, batch, list(tried)), LabelPairs)
            before = got
            for fact in _read(reply.facts if reply else [], client.usage):
                if got == wanted:
                    break
                got += len(gate.admit([Proposal(fact.subject, relation, fact.object)]))
                tried.pop(fact.subject, None)  # so that it comes last
                tried[fact.subject] = None
            batch, barren = batch + 1, 0 if got > before else barren + 1
    finally:
        notice(f"{relation}: {got} of {wanted} facts admitted, from {batch} batches")


class _Asking:
    """The prompts of Algorithm 1. No object of a secret fact is in them, be it of another relation."""

    def __init__(self, graph: Graph) -> None:
        self._graph, self._secrets = graph, PromptLeakGuard(graph)
        usable = (graph.part == Split.TRAIN) & graph.is_observed & ~np.isin(graph.pair, untouchable_pairs(graph))
        self._facts: dict[int, Longs] = {
            r: np.flatnonzero(usable & (graph.relation == r)) for r in np.unique(graph.relation)
        }

    def prompt(self, relation: str, number: int, batch: int, tried: Sequence[str]) -> str:
        """Ask for `number` facts. No two batches are asked alike, since the same prompt has the same answer."""
        examples = self._examples(self._graph.relations.index(relation), batch)
        names = [" ".join(name.split()) for name in tried if name.isprintable() and len(name) <= MOST_LETTERS]
        avoid = [name for name in names if not self._secrets.answered_by(name)][-MOST_AVOIDED:]
        parts = [
            f"Name {number} true facts of a knowledge graph, all of one relation: '{relation}'.",
            f"A fact reads: subject, {relation}, object. Names are as the title of an encyclopedia's article has them.",
            "\n".join(["Facts that are known:", *examples]) if examples else "",
            f"Name other subjects than these: {'; '.join(avoid)}." if avoid else "",
            f"This is batch {batch + 1}; earlier batches named the best known facts." if batch else "",
        ]
        return "\n".join(part for part in parts if part)

    def _examples(self, relation: int, batch: int) -> list[str]:
        facts = self._facts.get(relation, np.array([], np.int64))
        chosen: list[str] = []
        for fact in np.random.default_rng([relation, batch]).permutation(facts).tolist():
            line = ", ".join(_labels(self._graph, fact))
            if not self._secrets.answered_by(line):
                chosen.append(line)
            if len(chosen) == EXAMPLES:
                break
        return chosen


def extract_facts(
    paragraphs: Iterable[str], graph: Graph, gate: FactValidator, client: Client, notice: Notice = lambda _line: None
) -> Usage:
    """Algorithm 2: read facts out of paragraphs, then ask which further facts connect the entities of each.

    A paragraph that names both ends of a fact that is held out or asked is not sent.

    Args:
        gate: judges and keeps the facts; it has to be a gate of `graph`.
        notice: is told a line about each paragraph.

    Raises:
        InputError: see `Client.ask`; the gate keeps what it has admitted.
    """
    _same_graph(graph, gate)
    secrets, schema = PromptLeakGuard(graph), _schema_of(graph.relations)
    try:
        for number, paragraph in enumerate(filter(str.strip, paragraphs), 1):
            if secrets.told_by(paragraph):
                client.usage.failures[SECRET] += 1
                continue
            found = _admit(client.ask(_reading(paragraph, graph), schema), gate, client.usage)
            entities = _untold(found, secrets)
            more = []
            if len(entities) > 1:
                more = _admit(client.ask(_connecting(entities, graph), schema), gate, client.usage)
            notice(f"paragraph {number}: {len(found)} facts admitted, and {len(more)} that connect them")
    except BudgetError as error:
        notice(str(error))
    return client.usage


def _schema_of(relations: Sequence[str]) -> type[Triples]:
    """`Triples` of these relations. They bind an endpoint that enforces schemas; the gate judges the rest."""
    if len(relations) > MOST_LISTED:
        return Triples
    listed = Annotated[str, Field(json_schema_extra={"enum": list(relations)})]
    fact = create_model("Triple", __base__=Triple, relation=(listed, ...))
    return create_model("Triples", __base__=Triples, facts=(list[fact], ...))  # type: ignore[valid-type]


def _reading(paragraph: str, graph: Graph) -> str:
    return (
        "Read the paragraph and list the facts that it states. A fact is a subject, a relation and an object; names "
        f"are as the title of an encyclopedia's article has them.\nThe only relations: {'; '.join(graph.relations)}.\n"
        f"Paragraph:\n{paragraph.strip()}"
    )


def _connecting(entities: Sequence[str], graph: Graph) -> str:
    return (
        "Which further true facts connect these entities with one another, or with others? A fact is a subject, a "
        f"relation and an object.\nThe only relations: {'; '.join(graph.relations)}.\nEntities: {'; '.join(entities)}."
    )


def _admit(reply: Triples | None, gate: FactValidator, usage: Usage) -> list[Labels]:
    """Let the facts of a reply through the gate; return those that passed, in the labels they have now."""
    facts = _read(reply.facts if reply else [], usage)
    passed = gate.admit(Proposal(fact.subject, fact.relation, fact.object) for fact in facts)
    known = len(gate.graph.entities)

    def label(entity: int) -> str:
        return (gate.graph.entities[entity] if entity < known else gate.admitted.entities[entity - known]).label

    return [(label(head), gate.graph.relations[relation], label(tail)) for head, relation, tail in passed]


def _untold(facts: Iterable[Labels], secrets: PromptLeakGuard) -> list[str]:
    """The entities of facts, less those that together would tell a secret."""
    chosen: list[str] = []
    ends: set[int] = set()
    for name in dict.fromkeys(end for head, _, tail in facts for end in (head, tail)):
        with_it = ends | secrets.ends(name)
        if not secrets.joined(with_it):
            chosen, ends = [*chosen, name], with_it
    return chosen


def elaborate(facts: Iterable[Labels], graph: Graph, client: Client) -> Iterator[tuple[Labels, str]]:
    """Yield (fact, paragraph that states it) for the facts, given in labels, for which a usable one is written.

    A fact that is held out or asked is not sent, and a paragraph that tells one is dropped; both are counted in
    `client.usage`. It ends early when the budget is spent.

    Raises:
        InputError: see `Client.ask`.
    """
    secrets = PromptLeakGuard(graph)
    for fact in facts:
        if secrets.told_by(", ".join(fact)):
            client.usage.failures[SECRET] += 1
            continue
        try:
            reply = client.ask(_elaborating(fact), Paragraph)
        except BudgetError:
            return
        paragraph = " ".join(reply.paragraph.split()) if reply else ""
        if reply and not _states(paragraph, fact):
            client.usage.failures[OFF_TOPIC] += 1
        elif reply and secrets.told_by(paragraph):
            client.usage.failures[SECRET] += 1
        elif reply:
            yield fact, paragraph


def _elaborating(fact: Labels) -> str:
    return (
        "Write a paragraph of two or three sentences, as in an encyclopedia, that states this fact and uses both names "
        f"as they are.\nFact: {', '.join(fact)}"
    )


def _states(paragraph: str, fact: Labels) -> bool:
    """Whether a paragraph is plain text of a sensible length that names both ends of a fact."""
    names = (plain(without_disambiguator(end)) for end in (fact[0], fact[2]))
    told = plain(paragraph)
    return paragraph.isprintable() and len(paragraph) <= MOST_PARAGRAPH and all(name in told for name in names)


def _read(facts: Sequence[F], usage: Usage) -> Sequence[F]:
    """The first `MOST_FACTS` facts of a reply: one that names thousands is no answer to the question."""
    if len(facts) > MOST_FACTS:
        usage.failures[SURPLUS] += len(facts) - MOST_FACTS
    return facts[:MOST_FACTS]


def _labels(graph: Graph, fact: int) -> Labels:
    head, relation, tail = (int(column[fact]) for column in (graph.head, graph.relation, graph.tail))
    return graph.entities[head].label, graph.relations[relation], graph.entities[tail].label


def _same_graph(graph: Graph, gate: FactValidator) -> None:
    if gate.graph is not graph:
        raise ValueError("the gate judges another graph, which may have held out other facts")
