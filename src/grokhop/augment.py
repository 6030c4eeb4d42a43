"""The stage `augment`: adds facts until every relation that can reach the target phi does.

Everything is counted on trainable facts and two-hop paths. Sources are asked in an order, each for what those before it
left missing, and every fact is labelled with its source:

- `gazetteer`: true facts about cities, from an embedded table (`grokhop.gazetteer`);
- `llm`: what an endpoint proposes (`grokhop.llm`);
- `graph`: new edges between the entities there are (`grokhop.plan`), wrong or right by chance;
- `wrong`: of all these, a share is made false on purpose (`grokhop.wrong`).

Wrong facts still build the circuit (Abramov et al. 2025), because they force a model onto structure. Added facts are
listed in a ledger, and never touch a fact held out or a question.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grokhop.errors import InputError
from grokhop.folder import read_manifest, refuse_to_overwrite, sha256
from grokhop.gate import Fact, Gate
from grokhop.graph import Entity, Graph
from grokhop.phi import TARGET, count_paths, measure
from grokhop.plan import ROLE_SHARE, Addition, Lack, Plan
from grokhop.slots import Mask
from grokhop.sources import files as input_files
from grokhop.wrong import make_wrong

if TYPE_CHECKING:
    import pyarrow as pa

    from grokhop.llm_client import Client

SOURCES = ("graph", "gazetteer", "llm", "wrong")
MOST_ADDED = 200
"""A plan may add at most this many times the facts there are."""


def augment_folder(
    path: Path | str,
    out: Path | str | None,
    *,
    target_phi: float = TARGET,
    sources: Sequence[str] = ("graph",),
    wrong_share: float | None = None,
    seed: int = 0,
    level: int | None = None,
    new_cities: int = 0,
    client: "Client | None" = None,
    paragraphs: Sequence[str] = (),
    elaborate: bool = False,
    force: bool = False,
) -> dict[str, Any]:
    """Read the graph folder `path`, write the augmented one `out` with its `ledger.parquet`; return the report.

    Args:
        out: None plans only; the report is the same as if it were written, but that no endpoint is asked: for 'llm'
            it says how many facts of each relation would be `wanted`.
        elaborate: whether the endpoint also writes a paragraph for each added fact, into `paragraphs.parquet`.

    Raises:
        InputError: see `augment`, `Graph.read` and `folder.refuse_to_overwrite`; nothing was written.
    """
    path = Path(path)
    if out is not None:
        refuse_to_overwrite(Path(out), kind="graph", force=force)
    graph = Graph.read(path)
    augmented, report, ledger = augment(
        graph,
        target_phi=target_phi,
        sources=sources,
        wrong_share=wrong_share,
        seed=seed,
        level=level,
        new_cities=new_cities,
        client=client,
        paragraphs=paragraphs,
        plan_only=out is None,
    )
    if out is None:
        return report
    manifest = read_manifest(path, kind="graph")
    tables = {"ledger": ledger_table(augmented, ledger)}
    if elaborate and client is not None:
        tables["paragraphs"] = _paragraphs_table(augmented, ledger, client)
    if client is not None:
        report["llm"] = {**client.usage.record(), "cost": client.usage.cost_line()}
    augmented.write(
        Path(out),
        force=force,
        extra_tables=tables,
        stage="augment",
        inputs=[{"name": path.name, "sha256": sha256(path / "facts.parquet")}],
        settings={
            "target_phi": target_phi,
            "sources": list(sources),
            "wrong_share": wrong_share,
            "seed": seed,
            "level": level,
            "new_cities": new_cities,
            **({} if client is None else {"endpoint": client.endpoint.record()}),
        },
        augment=report,
        ingest=manifest.get("ingest") or {key: manifest.get(key) for key in ("stage", "inputs", "settings")},
    )
    return report


@dataclass
class _Grown:
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
class _Options:
    target: float
    seed: int
    level: int
    most: int
    new_cities: int
    client: "Client | None"
    paragraphs: Sequence[str]


def augment(
    graph: Graph,
    *,
    target_phi: float = TARGET,
    sources: Sequence[str] = ("graph",),
    wrong_share: float | None = None,
    seed: int = 0,
    level: int | None = None,
    new_cities: int = 0,
    client: "Client | None" = None,
    paragraphs: Sequence[str] = (),
    plan_only: bool = False,
) -> tuple[Graph, dict[str, Any], list[Addition]]:
    """Add facts until phi_r >= `target_phi` for every relation r that can reach it (Lemma 2), and say which cannot.

    A relation used as first hop, or as later hop, by trainable paths or by a question of the graph also gets a
    quarter of the target in that role, where the kinds of entities allow it. To a graph whose reachable relations
    all pass nothing is added.

    Args:
        sources: of `SOURCES`, in the order in which they are asked. 'wrong' alone plans as 'graph' does.
        wrong_share: of the added facts, the share that is made false; 1 where 'wrong' is among the sources and
            nothing is said.
        level: the most facts that an entity is first given in either direction (see `grokhop.plan`), by default
            the target; a higher one needs fewer facts and spreads them less.
        new_cities: how many cities that the graph does not know 'gazetteer' also adds: they make no path, but can be
            compared (Algorithm 1's new locations).
        client: of the endpoint that 'llm' asks.
        paragraphs: texts out of which 'llm' first reads facts (Algorithm 2).
        plan_only: ask no endpoint.

    Returns:
        The graph, the report and the ledger of additions. `passes` in the report means every reachable relation;
        `lower_bound` is a number of facts that no plan at all could do with less, see `lower_bound`.

    Raises:
        InputError: a source, the share or the level is none; the target is no number above 0, takes more than
            `MOST_ADDED` times the facts there are, or relations are below it and none of them can be improved.
    """
    sources = list(dict.fromkeys(sources))
    share = _check(sources, wrong_share, level, has_endpoint=client is not None or plan_only)
    before = measure(graph, target=target_phi)["trainable"]
    most = MOST_ADDED * len(graph)
    level = ceil(min(target_phi, most)) if level is None else level
    options = _Options(
        target=target_phi,
        seed=seed,
        level=level,
        most=most,
        new_cities=new_cities,
        client=None if plan_only else client,
        paragraphs=paragraphs,
    )
    at_least = lower_bound(graph, _plan(graph, options, ()).reachable, target_phi)
    if at_least > most:
        raise InputError(
            f"--target-phi {target_phi:g} takes at least {at_least} added facts, more than {MOST_ADDED} for each of "
            f"the {len(graph)} there are: lower it"
        )
    grown = _Grown(graph)
    for source in ["graph"] if sources == ["wrong"] else sources:
        if source != "wrong":
            _ASK[source](grown, options)
    plan = grown.plan or _plan(grown.graph, options, ())
    reachable = [graph.relations[r] for r in np.flatnonzero(plan.reachable)]
    if before["failing"] and not grown.ledger and not grown.wanted and not _passing(before, reachable):
        raise _nothing_helps(graph, plan, before)
    augmented, ledger = make_wrong(graph, grown.graph, grown.ledger, share=share, seed=seed)
    report = _report(graph, augmented, ledger, grown.rejected, plan, before, at_least) | {"wanted": grown.wanted}
    return augmented, report, ledger


def _check(sources: Sequence[str], wrong_share: float | None, level: int | None, *, has_endpoint: bool) -> float:
    """Return the share of wrong facts, or refuse what makes no sense."""
    unknown = [source for source in sources if source not in SOURCES]
    if unknown or not sources:
        raise InputError(f"--source {','.join(unknown)} is no source: give some of {','.join(SOURCES)}")
    if level is not None and level < 1:
        raise InputError(f"--level is {level}, but an entity needs at least 1 fact in a direction: give 1 or more")
    share = wrong_share if wrong_share is not None else float("wrong" in sources)
    if not 0 <= share <= 1:
        raise InputError(f"--wrong-share is a share from 0 to 1, not {share}")
    if "llm" in sources and not has_endpoint:
        raise InputError("--source llm needs an endpoint: give --base-url and --model")
    return share


def _ask_graph(grown: _Grown, options: _Options) -> None:
    graph, plan = grown.graph, _plan(grown.graph, options, ())
    failing = measure(graph, target=options.target)["trainable"]["failing"]
    if set(failing) & {graph.relations[r] for r in np.flatnonzero(plan.reachable)}:
        plan = _run(plan, options)
    grown.plan = plan
    grown.rejected += plan.rejected
    grown.add("graph", plan.additions, entities=_synthetic_entities(graph, plan.new_subject_of), observed=False)


def _ask_gazetteer(grown: _Grown, options: _Options) -> None:
    """Keep those true facts that make paths for a relation that is short of them."""
    from grokhop import gazetteer

    gate = Gate(grown.graph, source="geonames", vouched=True)
    facts = gate.admit(gazetteer.propose(grown.graph))
    grown.rejected += gate.admitted.rejected
    useful = _useful(grown.graph, facts, options.target)
    useful += _about_new(grown.graph, facts, options.new_cities)
    entities, additions = _renumbered(grown.graph, gate.admitted.entities, useful)
    grown.add("gazetteer", additions, entities=entities, observed=True)


def _useful(graph: Graph, facts: Sequence[Fact], target: float) -> list[Addition]:
    """The facts that make a path for a relation that is short of them, and for which relation and role."""
    trainable = graph.trainable
    rows = {row["relation"]: row for row in measure(graph, target=target)["trainable"]["per_relation"]}
    missing = np.array(
        [target * row["facts"] - row["paths"] if (row := rows.get(label)) else 0.0 for label in graph.relations]
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
    new = list(dict.fromkeys(head for head, _, _ in facts if head >= len(graph.entities)))[:n]
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


def _ask_llm(grown: _Grown, options: _Options) -> None:
    """Ask for facts of each relation that is short of paths, a path or two for each in what is asked for."""
    rows = measure(grown.graph, target=options.target)["trainable"]["per_relation"]
    missing = {row["relation"]: options.target * row["facts"] - row["paths"] for row in rows if not row["passes"]}
    grown.wanted = {relation: ceil(max(1.0, paths / options.target)) for relation, paths in missing.items()}
    if options.client is None:
        return
    from grokhop.llm import extract_facts, propose_facts

    gate = Gate(grown.graph, source="llm")
    extract_facts(options.paragraphs, grown.graph, gate, options.client)
    propose_facts(grown.graph, gate, options.client, grown.wanted)
    grown.rejected += gate.admitted.rejected
    additions = [
        Addition(head=h, relation=r, tail=t, for_relation=r, role="first hop", source="llm")
        for h, r, t in gate.admitted.facts
    ]
    grown.add("llm", additions, entities=gate.admitted.entities, observed=False)


_ASK: dict[str, Callable[[_Grown, _Options], None]] = {
    "graph": _ask_graph,
    "gazetteer": _ask_gazetteer,
    "llm": _ask_llm,
}


def _plan(graph: Graph, options: _Options, given_up: Collection[Lack]) -> Plan:
    rng = np.random.default_rng(options.seed)
    return Plan(graph, target=options.target, level=options.level, rng=rng, given_up=given_up)


def _run(plan: Plan, options: _Options) -> Plan:
    """Run a plan; while it is stuck, begin again without what was missing most, so that nothing is added in vain."""
    given_up: list[Lack] = []
    while (lack := plan.run(most=options.most)) is not None:
        given_up.append(lack)
        plan = _plan(plan.graph, options, given_up)
    return plan


def _passing(measured: dict[str, Any], reachable: list[str]) -> bool:
    """Whether there are reachable relations and all of them pass."""
    return bool(reachable) and not set(measured["failing"]) & set(reachable)


def _nothing_helps(graph: Graph, plan: Plan, before: dict[str, Any]) -> InputError:
    worst = graph.relations.index(before["failing"][0])
    return InputError(
        f"none of the {len(before['failing'])} relations below phi {plan.target:g} can be improved (first: "
        f"{graph.relations[worst]}: {plan.reason(worst)}): ingest facts that join relations into paths"
    )


def _synthetic_entities(graph: Graph, subject_of: list[int]) -> list[Entity]:
    """Entities named after the relation they were made for, with labels and keys that nothing else has."""
    taken = {name for e in graph.entities for name in (e.key, e.label, *e.aliases)} if subject_of else set()
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


def _report(
    graph: Graph,
    augmented: Graph,
    ledger: Sequence[Addition],
    rejected: Counter[str],
    plan: Plan,
    before: dict[str, Any],
    at_least: int,
) -> dict[str, Any]:
    after = measure(augmented, target=plan.target)["trainable"]
    added = Counter(a.relation for a in ledger)
    per_relation = []
    for old, new in zip(before["per_relation"], after["per_relation"], strict=True):
        r = graph.relations.index(new["relation"])
        row = {"relation": new["relation"], "facts": new["facts"], "added": added[r]}
        wanted = plan.target * old["facts"]
        row["missing_before"] = max(0, ceil(wanted - old["paths"]))
        for role in ("first_hop", "last_hop"):
            row[f"missing_{role}_before"] = max(0, ceil(ROLE_SHARE * wanted - old[f"{role}_paths"]))
        for name in ("phi", "first_hop_paths", "last_hop_paths"):
            row |= {f"{name}_before": old[name], f"{name}_after": new[name]}
        per_relation.append({**row, "passes": new["passes"], "reachable": bool(plan.could_reach[r])})
    return {
        "added": len(ledger),
        "by_source": dict(Counter(a.source for a in ledger)),
        "rejected": dict(rejected),
        "lower_bound": at_least,
        "target": plan.target,
        "denominator": "trainable facts",
        "facts": len(augmented),
        "entities_added": len(augmented.entities) - len(graph.entities),
        "level": plan.level,
        "phi_before": before["phi"],
        "phi_after": after["phi"],
        "passes": all(row["passes"] for row in per_relation if row["reachable"]),
        "passes_all": after["passes"],
        "per_relation": per_relation,
        "unreachable": [
            {
                "relation": row["relation"],
                "phi": row["phi_after"],
                "reason": plan.reason(graph.relations.index(row["relation"])),
            }
            for row in per_relation
            if not row["passes"]
        ],
    }


def ledger_table(graph: Graph, ledger: list[Addition]) -> "pa.Table":
    """One row for each added fact: ids, labels, and the relation and role that it was added for."""
    import pyarrow as pa

    columns = {name: pa.array([getattr(a, name) for a in ledger], pa.int32()) for name in ("head", "relation", "tail")}
    labels = {
        "head_label": [graph.entities[a.head].label for a in ledger],
        "relation_label": [graph.relations[a.relation] for a in ledger],
        "tail_label": [graph.entities[a.tail].label for a in ledger],
        "for_relation": [graph.relations[a.for_relation] for a in ledger],
        "role": [a.role for a in ledger],
        "source": [a.source for a in ledger],
    }
    return pa.table(columns | {name: pa.array(texts, pa.string()) for name, texts in labels.items()})


def paragraphs_of(file: Path) -> list[str]:
    """The paragraphs of a text, between which there are blank lines.

    Raises:
        InputError: the file cannot be read as text.
    """
    return [part for part in re.split(r"\n\s*\n", input_files.text(file)) if part.strip()]


def _paragraphs_table(graph: Graph, ledger: Sequence[Addition], client: "Client") -> "pa.Table":
    """One row for each added fact of which the endpoint wrote a paragraph."""
    import pyarrow as pa

    from grokhop.llm import elaborate

    labels = [(graph.entities[a.head].label, graph.relations[a.relation], graph.entities[a.tail].label) for a in ledger]
    written = list(elaborate(labels, graph, client))
    names = ("head_label", "relation_label", "tail_label")
    columns = {name: pa.array([fact[i] for fact, _ in written], pa.string()) for i, name in enumerate(names)}
    return pa.table({**columns, "paragraph": pa.array([text for _, text in written], pa.string())})


def lower_bound(graph: Graph, reachable: Mask, target: float) -> int:
    """Return a number of facts that any plan must add at least, on hubs or not, to pass the reachable relations.

    Let m facts be added, none on a cycle. A new path holds an added fact. An added fact (h, r, t) and the facts
    there are make at most in(h) + out(t) <= I + O paths, with the largest in- and out-degree I and O. Two added
    facts make at most one path, since two that follow each other both ways lie on a cycle. So the new paths are
    at most N(m) = m (I + O) + m (m - 1) / 2. Each path counts for at most two relations, and a relation that is
    short keeps its facts, so 2 N(m) is at least the sum, and N(m) at least the largest, of the paths that are
    missing now. The smallest such m is the bound.
    """
    trainable = graph.trainable
    counts = count_paths(trainable)
    missing = np.maximum(target * counts.facts - counts.using, 0)[reachable]
    needed = max(float(missing.sum()) / 2, float(missing.max(initial=0)))
    E = len(graph.entities)
    most = int(np.bincount(trainable.head, minlength=E).max() + np.bincount(trainable.tail, minlength=E).max())
    # The positive root of m^2 / 2 + (I + O - 1/2) m = needed, less a little for rounding.
    half = most - 0.5
    return max(0, ceil(sqrt(half**2 + 2 * needed) - half - 1e-6))
