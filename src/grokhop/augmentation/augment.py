"""The stage `augment`: adds facts until every relation that can reach the target phi does.

Everything is counted on trainable facts and two-hop paths. Sources are asked in an order, each for what those before it
left missing, and every fact is labelled with its source:

- `gazetteer`: true facts about cities and countries, from embedded tables (`grokhop.augmentation.gazetteer`);
- `llm`: what an endpoint proposes (`grokhop.augmentation.llm`);
- `graph`: new edges between the entities there are (`grokhop.augmentation.planner`), wrong or right by chance;
- `wrong`: of all these, a share is made false on purpose (`grokhop.augmentation.corruption`).

Wrong facts still build the circuit (Abramov et al. 2025), because they force a model onto structure. Added facts are
listed in a ledger, and never touch a fact held out or a question.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil, sqrt
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from grokhop.augmentation.constraints import Mask
from grokhop.augmentation.corruption import make_wrong
from grokhop.augmentation.planner import ROLE_SHARE, Addition, Plan
from grokhop.augmentation.report import AugmentReport, RelationAugment, Unreachable
from grokhop.augmentation.sources import SOURCES, Grown, Options, add_proposals, new_plan
from grokhop.augmentation.validation import untouched
from grokhop.core.artifacts import read_manifest, refuse_to_overwrite, sha256
from grokhop.core.errors import InputError
from grokhop.core.registry import nearest
from grokhop.datasets import files as input_files
from grokhop.graph.graph import Graph
from grokhop.phi.count import count_paths
from grokhop.phi.report import TARGET, PhiCounts, RelationPhi, measure

if TYPE_CHECKING:
    import pyarrow as pa

    from grokhop.core.llm_client import Client


WRONG = "wrong"
"""Named among the sources, it makes a share of what the others add false."""
MOST_ADDED = 200
"""A plan may add at most this many times the facts there are."""


def augment_folder(
    path: Path | str,
    out: Path | str | None,
    *,
    target_phi: float = TARGET,
    sources: Sequence[str] = ("graph",),
    corrupt_fraction: float | None = None,
    seed: int = 0,
    max_degree: int | None = None,
    new_cities: int = 0,
    client: "Client | None" = None,
    paragraphs: Sequence[str] = (),
    elaborate: bool = False,
    notice: Callable[[str], None] = lambda _line: None,
    force: bool = False,
) -> AugmentReport:
    """Read the graph folder `path`, write the augmented one `out` with its `ledger.parquet`; return the report.

    Args:
        out: None plans only; the report is the same as if it were written, but that no endpoint is asked: for 'llm'
            it says how many facts of each relation would be `wanted`.
        notice: is told how far the endpoint is.
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
        corrupt_fraction=corrupt_fraction,
        seed=seed,
        max_degree=max_degree,
        new_cities=new_cities,
        client=client,
        paragraphs=paragraphs,
        plan_only=out is None,
        notice=notice,
    )
    if out is None:
        return report
    manifest = read_manifest(path, kind="graph")
    tables = {"ledger": ledger_table(augmented, ledger)}
    if elaborate and client is not None:
        tables["paragraphs"] = _paragraphs_table(augmented, ledger, client)
    if client is not None:
        report = replace(report, llm={**client.usage.record(), "cost": client.usage.cost_line()})
    augmented.write(
        Path(out),
        force=force,
        extra_tables=tables,
        stage="augment",
        inputs=[{"name": path.name, "sha256": sha256(path / "facts.parquet")}],
        settings={
            "target_phi": target_phi,
            "sources": list(sources),
            "corrupt_fraction": corrupt_fraction,
            "seed": seed,
            "max_degree": max_degree,
            "new_cities": new_cities,
            **({} if client is None else {"endpoint": client.endpoint.record()}),
        },
        augment=report.to_dict(),
        ingest=manifest.get("ingest") or {key: manifest.get(key) for key in ("stage", "inputs", "settings")},
    )
    return report


def augment(
    graph: Graph,
    *,
    target_phi: float = TARGET,
    sources: Sequence[str] = ("graph",),
    corrupt_fraction: float | None = None,
    seed: int = 0,
    max_degree: int | None = None,
    new_cities: int = 0,
    client: "Client | None" = None,
    paragraphs: Sequence[str] = (),
    plan_only: bool = False,
    notice: Callable[[str], None] = lambda _line: None,
) -> tuple[Graph, AugmentReport, list[Addition]]:
    """Add facts until phi_r >= `target_phi` for every relation r that can reach it (Lemma 2), and say which cannot.

    A relation used as first hop, or as later hop, by trainable paths or by a question of the graph also gets a
    quarter of the target in that role, where the kinds of entities allow it. To a graph whose reachable relations
    all pass nothing is added.

    Args:
        sources: names of `SOURCES` and `WRONG`, in the order in which they are asked. 'wrong' alone plans as 'graph'
            does.
        corrupt_fraction: of the added facts, the share that is made false; 1 where 'wrong' is among the sources and
            nothing is said.
        max_degree: the most facts that an entity is first given in either direction (see
            `grokhop.augmentation.planner`), by default the target; a higher one needs fewer facts and spreads them
            less.
        new_cities: how many cities that the graph does not know 'gazetteer' also adds: they make no path, but can be
            compared (Algorithm 1's new locations).
        client: of the endpoint that 'llm' asks.
        paragraphs: texts out of which 'llm' first reads facts (Algorithm 2).
        plan_only: ask no endpoint.

    Returns:
        The graph, the report and the ledger of additions.

    Raises:
        InputError: a source, the share or the maximal degree is none; the target is no number above 0, takes more than
            `MOST_ADDED` times the facts there are, or relations are below it and none of them can be improved.
    """
    sources = list(dict.fromkeys(sources))
    share = _check(sources, corrupt_fraction, max_degree, has_endpoint=client is not None or plan_only)
    before = measure(graph, target=target_phi).trainable
    most = MOST_ADDED * len(graph)
    max_degree = ceil(min(target_phi, most)) if max_degree is None else max_degree
    options = Options(
        target=target_phi,
        seed=seed,
        max_degree=max_degree,
        most=most,
        new_cities=new_cities,
        client=None if plan_only else client,
        paragraphs=paragraphs,
        notice=notice,
    )
    at_least = lower_bound(graph, new_plan(graph, options, ()).reachable, target_phi)
    if at_least > most:
        raise InputError(
            f"--target-phi {target_phi:g} takes at least {at_least} added facts, more than {MOST_ADDED} for each of "
            f"the {len(graph)} there are: lower it"
        )
    grown = Grown(graph)
    for source in ["graph"] if sources == [WRONG] else sources:
        if source != WRONG:
            proposals = SOURCES.get(source)(grown, options)
            if proposals is not None:
                add_proposals(grown, source, proposals)
    plan = grown.plan or new_plan(grown.graph, options, ())
    reachable = [graph.relations[r] for r in np.flatnonzero(plan.reachable)]
    if before.failing and not grown.ledger and not grown.wanted and not _passing(before, reachable):
        raise _nothing_helps(graph, plan, before)
    augmented, ledger = make_wrong(graph, grown.graph, grown.ledger, share=share, seed=seed)
    if not untouched(graph, [(a.head, a.relation, a.tail) for a in ledger]):
        raise InputError(
            "leakage: a fact about a held-out or asked pair was added; nothing is written, please report this"
        )
    return augmented, _report(graph, augmented, ledger, grown, plan, before, at_least), ledger


def _check(
    sources: Sequence[str], corrupt_fraction: float | None, max_degree: int | None, *, has_endpoint: bool
) -> float:
    """Return the share of wrong facts, or refuse what makes no sense."""
    known = [*SOURCES.names(), WRONG]
    unknown = [source for source in sources if source not in known]
    if unknown or not sources:
        near = nearest(unknown[0], known) if unknown else ""
        raise InputError(f"--source {','.join(unknown)} is no source: give some of {','.join(known)}{near}")
    if max_degree is not None and max_degree < 1:
        raise InputError(
            f"--max-degree is {max_degree}, but an entity needs at least 1 fact in a direction: give 1 or more"
        )
    share = corrupt_fraction if corrupt_fraction is not None else float(WRONG in sources)
    if not 0 <= share <= 1:
        raise InputError(f"--corrupt-fraction is a share from 0 to 1, not {share}")
    if "llm" in sources and not has_endpoint:
        raise InputError("--source llm needs an endpoint: give --base-url and --model")
    return share


def _passing(measured: PhiCounts, reachable: list[str]) -> bool:
    """Whether there are reachable relations and all of them pass."""
    return bool(reachable) and not set(measured.failing) & set(reachable)


def _nothing_helps(graph: Graph, plan: Plan, before: PhiCounts) -> InputError:
    worst = graph.relations.index(before.failing[0])
    return InputError(
        f"none of the {len(before.failing)} relations below phi {plan.target:g} can be improved (first: "
        f"{graph.relations[worst]}: {plan.reason(worst)}): ingest facts that join relations into paths"
    )


def _report(
    graph: Graph,
    augmented: Graph,
    ledger: Sequence[Addition],
    grown: Grown,
    plan: Plan,
    before: PhiCounts,
    at_least: int,
) -> AugmentReport:
    after = measure(augmented, target=plan.target).trainable
    added = Counter(a.relation for a in ledger)
    per_relation = []
    for old, new in zip(before.per_relation, after.per_relation, strict=True):
        r = graph.relations.index(new.relation)
        per_relation.append(_of_relation(old, new, added[r], plan.target, reachable=bool(plan.could_reach[r])))
    return AugmentReport(
        added=len(ledger),
        by_source=dict(Counter(a.source for a in ledger)),
        rejected=dict(grown.rejected),
        lower_bound=at_least,
        target=plan.target,
        denominator="trainable facts",
        facts=len(augmented),
        entities_added=len(augmented.entities) - len(graph.entities),
        max_degree=plan.max_degree,
        phi_before=before.phi,
        phi_after=after.phi,
        passes=all(row.passes for row in per_relation if row.reachable),
        passes_all=after.passes,
        per_relation=per_relation,
        unreachable=[
            Unreachable(
                relation=row.relation, phi=row.phi_after, reason=plan.reason(graph.relations.index(row.relation))
            )
            for row in per_relation
            if not row.passes
        ],
        wanted=grown.wanted,
    )


def _of_relation(old: RelationPhi, new: RelationPhi, added: int, target: float, *, reachable: bool) -> RelationAugment:
    wanted = target * old.facts

    def missing(paths: int, share: float = 1.0) -> int:
        return max(0, ceil(share * wanted - paths))

    return RelationAugment(
        relation=new.relation,
        facts=new.facts,
        added=added,
        missing_before=missing(old.paths),
        missing_first_hop_before=missing(old.first_hop_paths, ROLE_SHARE),
        missing_last_hop_before=missing(old.last_hop_paths, ROLE_SHARE),
        phi_before=old.phi,
        phi_after=new.phi,
        first_hop_paths_before=old.first_hop_paths,
        first_hop_paths_after=new.first_hop_paths,
        last_hop_paths_before=old.last_hop_paths,
        last_hop_paths_after=new.last_hop_paths,
        passes=new.passes,
        reachable=reachable,
    )


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

    from grokhop.augmentation.llm import elaborate

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
