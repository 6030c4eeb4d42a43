"""The stage `augment`: adds synthetic facts until every relation that can reach the target phi does.

Everything is counted on trainable facts and two-hop paths. The added facts are wrong or right by chance: wrong
facts still build the circuit (Abramov et al. 2025), because they force a model onto structure. They are marked
as not observed, listed in a ledger, and never touch a fact held out or a question; `grokhop.plan` says how they
are chosen.
"""

from collections import Counter
from collections.abc import Collection
from math import ceil, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grokhop.errors import InputError
from grokhop.folder import read_manifest, refuse_to_overwrite, sha256
from grokhop.graph import Entity, Graph
from grokhop.phi import TARGET, count_paths, measure
from grokhop.plan import Addition, Lack, Plan
from grokhop.slots import Mask

if TYPE_CHECKING:
    import pyarrow as pa

SOURCE = "augment:graph"
MOST_ADDED = 200
"""A plan may add at most this many times the facts there are."""


def augment_folder(
    path: Path | str,
    out: Path | str,
    *,
    target_phi: float = TARGET,
    seed: int = 0,
    level: int | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Read the graph folder `path`, write the augmented one `out` with its `ledger.parquet`; return the report.

    Raises:
        InputError: see `augment`, `Graph.read` and `folder.refuse_to_overwrite`; nothing was written.
    """
    path, out = Path(path), Path(out)
    refuse_to_overwrite(out, kind="graph", force=force)
    graph = Graph.read(path)
    manifest = read_manifest(path, kind="graph")
    ingest = manifest.get("ingest") or {key: manifest.get(key) for key in ("stage", "inputs", "settings")}
    inputs = [{"name": path.name, "sha256": sha256(path / "facts.parquet")}]
    augmented, report, ledger = augment(graph, target_phi=target_phi, seed=seed, level=level)
    augmented.write(
        out,
        force=force,
        extra_tables={"ledger": ledger_table(augmented, ledger)},
        stage="augment",
        inputs=inputs,
        settings={"target_phi": target_phi, "seed": seed, "level": level},
        augment=report,
        ingest=ingest,
    )
    return report


def augment(
    graph: Graph, *, target_phi: float = TARGET, seed: int = 0, level: int | None = None
) -> tuple[Graph, dict[str, Any], list[Addition]]:
    """Add facts until phi_r >= `target_phi` for every relation r that can reach it (Lemma 2), and say which cannot.

    A relation used as first hop, or as later hop, by trainable paths or by a question of the graph also gets a
    quarter of the target in that role, where the kinds of entities allow it. To a graph whose reachable relations
    all pass nothing is added.

    Args:
        level: the most facts that an entity is first given in either direction (see `grokhop.plan`), by default
            the target; a higher one needs fewer facts and spreads them less.

    Returns:
        The graph, the report and the ledger of additions. `passes` in the report means every reachable relation;
        `lower_bound` is a number of facts that no plan at all could do with less than, see `lower_bound`.

    Raises:
        InputError: the target is no number above 0, takes more than `MOST_ADDED` times the facts there are, or
            relations are below it and none of them can be improved.
    """
    if level is not None and level < 1:
        raise InputError(f"--level is {level}, but an entity needs at least 1 fact in a direction: give 1 or more")
    before = measure(graph, target=target_phi)["trainable"]
    most = MOST_ADDED * len(graph)
    level = ceil(min(target_phi, most)) if level is None else level
    plan = _plan(graph, target_phi, seed, level, ())
    at_least = lower_bound(graph, plan.reachable, target_phi)
    if at_least > most:
        raise InputError(
            f"--target-phi {target_phi:g} takes at least {at_least} added facts, more than {MOST_ADDED} for each of "
            f"the {len(graph)} there are: lower it"
        )
    reachable = [graph.relations[r] for r in np.flatnonzero(plan.reachable)]
    if set(before["failing"]) & set(reachable):
        plan = _run(plan, seed, level, most)
    if before["failing"] and not plan.additions and not _passing(before, reachable):
        raise _nothing_helps(graph, plan, before)
    augmented = _extended(graph, plan)
    return augmented, _report(graph, augmented, plan, before, at_least), plan.additions


def _plan(graph: Graph, target: float, seed: int, level: int, given_up: Collection[Lack]) -> Plan:
    return Plan(graph, target=target, level=level, rng=np.random.default_rng(seed), given_up=given_up)


def _run(plan: Plan, seed: int, level: int, most: int) -> Plan:
    """Run a plan; while it is stuck, begin again without what was missing most, so that nothing is added in vain."""
    given_up: list[Lack] = []
    while (lack := plan.run(most=most)) is not None:
        given_up.append(lack)
        plan = _plan(plan.graph, plan.target, seed, level, given_up)
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


def _extended(graph: Graph, plan: Plan) -> Graph:
    if not plan.additions:
        return graph
    again = sum(source.startswith(SOURCE) for source in graph.sources)
    return graph.extended(
        [(a.head, a.relation, a.tail) for a in plan.additions],
        source=f"{SOURCE} {again + 1}" if again else SOURCE,
        entities=_synthetic_entities(graph, plan.new_subject_of),
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


def _report(graph: Graph, augmented: Graph, plan: Plan, before: dict[str, Any], at_least: int) -> dict[str, Any]:
    after = measure(augmented, target=plan.target)["trainable"]
    added = Counter(a.relation for a in plan.additions)
    per_relation = []
    for old, new in zip(before["per_relation"], after["per_relation"], strict=True):
        r = graph.relations.index(new["relation"])
        row = {"relation": new["relation"], "facts": new["facts"], "added": added[r]}
        for name in ("phi", "first_hop_paths", "last_hop_paths"):
            row |= {f"{name}_before": old[name], f"{name}_after": new[name]}
        per_relation.append({**row, "passes": new["passes"], "reachable": bool(plan.could_reach[r])})
    return {
        "added": len(plan.additions),
        "by_source": {"graph": len(plan.additions)},
        "rejected": dict(plan.rejected),
        "lower_bound": at_least,
        "target": plan.target,
        "denominator": "trainable facts",
        "facts": len(augmented),
        "entities_added": len(plan.new_subject_of),
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
    }
    return pa.table(columns | {name: pa.array(texts, pa.string()) for name, texts in labels.items()})


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
