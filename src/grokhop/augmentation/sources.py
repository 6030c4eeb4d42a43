"""What each source adds to a graph: planned edges, true facts about places, what an endpoint proposes.

Each is asked for what the sources before it left missing, and adds its facts under its own name. All but the planner's
pass `grokhop.augmentation.validation`; the planner itself is confined by the same rules
(`grokhop.augmentation.constraints`).
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from grokhop.augmentation.planner import Addition, Lack, Plan
from grokhop.augmentation.validation import Fact, FactValidator, Proposal
from grokhop.core.registry import Registry
from grokhop.graph.graph import Entity, Graph
from grokhop.phi.report import measure

if TYPE_CHECKING:
    from grokhop.core.llm_client import Client


@dataclass
class Grown:
    """What has been added so far, by source."""

    graph: Graph
    ledger: list[Addition] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    plan: Plan | None = None
    wanted: dict[str, int] = field(default_factory=dict)

    def add(
        self, source: str, additions: Sequence[Addition], *, entities: Sequence[Entity] = (), observed: bool
    ) -> None:
        if additions:
            facts = [(a.head, a.relation, a.tail) for a in additions]
            name = _source_name(self.graph, source)
            self.graph = self.graph.extended(facts, source=name, entities=entities, observed=observed)
            self.ledger += additions


def _source_name(graph: Graph, source: str) -> str:
    again = sum(name.startswith(f"augment:{source}") for name in graph.sources)
    return f"augment:{source} {again + 1}" if again else f"augment:{source}"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What sources are asked by: see `grokhop.augmentation.augment.augment`; at most `most` facts are planned."""

    target: float
    seed: int
    max_degree: int
    most: int
    new_cities: int
    client: "Client | None"
    paragraphs: Sequence[str]
    notice: Callable[[str], None]


def ask_graph(grown: Grown, options: Options) -> None:
    """Plan edges between the entities there are."""
    graph, plan = grown.graph, new_plan(grown.graph, options, ())
    failing = measure(graph, target=options.target).trainable.failing
    if set(failing) & {graph.relations[r] for r in np.flatnonzero(plan.reachable)}:
        plan = _run(plan, options)
    grown.plan = plan
    grown.rejected += plan.rejected
    grown.add("graph", plan.additions, entities=_synthetic_entities(graph, plan.new_subject_of), observed=False)


def ask_gazetteer(grown: Grown, options: Options) -> None:
    """Keep those true facts that make paths for a relation that is short of them."""
    from grokhop.augmentation import gazetteer

    gate = FactValidator(grown.graph, source="geonames", vouched=True)
    facts = gate.admit(gazetteer.propose(grown.graph))
    facts += gate.admit(gazetteer.about_countries(grown.graph))
    grown.rejected += gate.admitted.rejected
    useful = _useful(grown.graph, facts, options.target)
    useful += _about_new(grown.graph, facts, options.new_cities)
    entities, additions = _renumbered(grown.graph, gate.admitted.entities, useful)
    grown.add("gazetteer", additions, entities=entities, observed=True)


def _useful(graph: Graph, facts: Sequence[Fact], target: float) -> list[Addition]:
    """The facts that make a path for a relation that is short of them, and for which relation and role."""
    trainable = graph.trainable
    rows = measure(graph, target=target).trainable.by_relation()
    missing = np.array(
        [target * row.facts - row.paths if (row := rows.get(label)) else 0.0 for label in graph.relations]
    )
    into: dict[int, Counter[int]] = {}
    for relation, tail in zip(trainable.relation.tolist(), trainable.tail.tolist(), strict=True):
        into.setdefault(tail, Counter())[relation] += 1
    kept = []
    for head, relation, tail in facts:
        if head >= len(graph.entities):
            continue
        before = into.get(head, Counter())
        needy = [r for r in before if missing[r] > 0]
        if missing[relation] > 0 and before:
            needy.append(relation)
        if not needy:
            continue
        for_relation = max(needy, key=lambda r: missing[r])
        role = "later hop" if for_relation == relation else "first hop"
        kept.append(
            Addition(head=head, relation=relation, tail=tail, for_relation=for_relation, role=role, source="gazetteer")
        )
        for r, paths in before.items():
            missing[r] -= paths
        missing[relation] += target - before.total()
    return kept


def _about_new(graph: Graph, facts: Sequence[Fact], n: int) -> list[Addition]:
    """The facts about the first `n` subjects that the graph does not know."""
    new = set(list(dict.fromkeys(head for head, _, _ in facts if head >= len(graph.entities)))[:n])
    return [
        Addition(head=h, relation=r, tail=t, for_relation=r, role="comparison", source="gazetteer")
        for h, r, t in facts
        if h in new
    ]


def _renumbered(
    graph: Graph, entities: Sequence[Entity], additions: Sequence[Addition]
) -> tuple[list[Entity], list[Addition]]:
    """Only the new entities that the additions need, numbered anew behind the graph's."""
    first = len(graph.entities)
    needed = sorted({end for a in additions for end in (a.head, a.tail) if end >= first})
    number = {old: first + i for i, old in enumerate(needed)}
    moved = [replace(a, head=number.get(a.head, a.head), tail=number.get(a.tail, a.tail)) for a in additions]
    return [entities[old - first] for old in needed], moved


def ask_llm(grown: Grown, options: Options) -> None:
    """Ask for facts of each relation that is short of paths, a path or two for each in what is asked for."""
    rows = measure(grown.graph, target=options.target).trainable.per_relation
    missing = {row.relation: options.target * row.facts - row.paths for row in rows if not row.passes}
    grown.wanted = {relation: ceil(max(1.0, paths / options.target)) for relation, paths in missing.items()}
    if options.client is None:
        return
    from grokhop.augmentation.llm import extract_facts, propose_facts

    gate = FactValidator(grown.graph, source="llm")
    extract_facts(options.paragraphs, grown.graph, gate, options.client, options.notice)
    propose_facts(grown.graph, gate, options.client, grown.wanted, options.notice)
    grown.rejected += gate.admitted.rejected
    additions = [
        Addition(head=h, relation=r, tail=t, for_relation=r, role="first hop", source="llm")
        for h, r, t in gate.admitted.facts
    ]
    grown.add("llm", additions, entities=gate.admitted.entities, observed=False)


_HERE = "grokhop.augmentation.sources"
SOURCES: Registry[Callable[[Grown, Options], Iterable[Proposal] | None]] = Registry(
    "augmentation source",
    {"graph": f"{_HERE}:ask_graph", "gazetteer": f"{_HERE}:ask_gazetteer", "llm": f"{_HERE}:ask_llm"},
    option="--source",
)
"""Each adds facts to what has grown, or returns facts in names, which `add_proposals` adds for it. Whatever a source
does, nothing that touches a held-out or asked pair is ever written."""


def add_proposals(grown: Grown, source: str, proposals: Iterable[Proposal]) -> None:
    """Add those of the facts in names that pass a `FactValidator`, as facts that nobody observed."""
    gate = FactValidator(grown.graph, source=source)
    gate.admit(proposals)
    grown.rejected += gate.admitted.rejected
    additions = [
        Addition(head=h, relation=r, tail=t, for_relation=r, role="first hop", source=source)
        for h, r, t in gate.admitted.facts
    ]
    grown.add(source, additions, entities=gate.admitted.entities, observed=False)


def new_plan(graph: Graph, options: Options, given_up: Collection[Lack]) -> Plan:
    rng = np.random.default_rng(options.seed)
    return Plan(graph, target=options.target, max_degree=options.max_degree, rng=rng, given_up=given_up)


def _run(plan: Plan, options: Options) -> Plan:
    """Run a plan; while it is stuck, begin again without what was missing most, so that nothing is added in vain."""
    given_up: list[Lack] = []
    while (lack := plan.run(most=options.most)) is not None:
        given_up.append(lack)
        plan = new_plan(plan.graph, options, given_up)
    return plan


def _synthetic_entities(graph: Graph, subject_of: list[int]) -> list[Entity]:
    """Entities named after the relation they were made for, with labels and keys that nothing else has."""
    taken = {name for e in graph.entities for name in (e.key, *e.names)} if subject_of else set()
    numbers: Counter[int] = Counter()
    made = []
    for r in subject_of:
        while True:
            numbers[r] += 1
            relation = graph.relations[r]
            key, label = f"synthetic:{relation}:{numbers[r]}", f"synthetic subject of {relation} {numbers[r]}"
            if key not in taken and label not in taken:
                break
        made.append(Entity(key=key, label=label))
    return made
