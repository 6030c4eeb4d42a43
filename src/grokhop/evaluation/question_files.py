"""The questions of an official file as questions of a graph that was built before, perhaps from other files.

A question that the graph knows has the facts that it has there. The entities of others are found by their keys, or by
their names where one entity is called so; a question whose facts are not all in the graph has none.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from grokhop.datasets import two_wiki
from grokhop.evaluation.qa_metrics import Gold, gold_of
from grokhop.graph.graph import Entity, Graph, Question
from grokhop.language.entity_linking import How, Linker


def read_questions(file: Path | str, graph: Graph) -> list[tuple[Question, Gold]]:
    """The questions of `file` with facts of `graph`, and what each should be answered with.

    Raises:
        InputError: see `two_wiki.read`.
    """
    return list(_Asked(graph, two_wiki.read([file])).questions())


class _Asked:
    def __init__(self, graph: Graph, asked: Graph) -> None:
        self.graph, self.asked, self.linker = graph, asked, Linker(graph)

    def questions(self) -> Iterator[tuple[Question, Gold]]:
        known = {question.id: question for question in self.graph.questions}
        for question in self.asked.questions:
            facts = known[question.id].facts if question.id in known else self._facts(question)
            here = replace(question, facts=facts)
            yield here, gold_of(self.graph, here) if facts else gold_of(self.asked, question)

    def _facts(self, question: Question) -> tuple[tuple[int, int, int], ...]:
        """The question's facts in ids of the graph; none unless all are there."""
        found = [
            (self._entity(head), self._relations.get(self.asked.relations[relation]), self._entity(tail))
            for head, relation, tail in question.facts
        ]
        facts = tuple((h, r, t) for h, r, t in found if h is not None and r is not None and t is not None)
        return facts if len(facts) == len(found) and self._known.issuperset(facts) else ()

    def _entity(self, number: int) -> int | None:
        entity = self.asked.entities[number]
        return self._keys[entity.key] if entity.key in self._keys else self._called(entity)

    def _called(self, entity: Entity) -> int | None:
        named = [m.entity for m in self.linker.matches(entity.label) if m.how <= How.SPELLING]
        return named[0] if len(named) == 1 else None

    @cached_property
    def _keys(self) -> dict[str, int]:
        return {entity.key: i for i, entity in enumerate(self.graph.entities)}

    @cached_property
    def _relations(self) -> dict[str, int]:
        return {label: i for i, label in enumerate(self.graph.relations)}

    @cached_property
    def _known(self) -> set[tuple[int, int, int]]:
        graph = self.graph
        return set(zip(graph.head.tolist(), graph.relation.tolist(), graph.tail.tolist(), strict=True))
