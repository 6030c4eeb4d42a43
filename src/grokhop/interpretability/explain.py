"""The explanation of a run: all measures of its circuit, for each finished seed, in one file.

Two-hop queries are looked into, those of the test cells II ('id') and OO ('ood'). Where the bridge is, is found on
validation queries in distribution.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean

import numpy as np
import torch

from grokhop.core.artifacts import conditions, write_json
from grokhop.core.errors import InputError
from grokhop.graph.paths import PathIndex, Queries
from grokhop.inference.loading import load_model
from grokhop.interpretability.faithfulness import score
from grokhop.interpretability.hooks import Site
from grokhop.interpretability.logit_lens import lens, mean_lens, members
from grokhop.interpretability.measures import measured
from grokhop.interpretability.patching import FEWEST_PAIRS, ablate, bridge_place, carried_over, trace
from grokhop.interpretability.progress import formation, some_of
from grokhop.language.parser import QuestionParser
from grokhop.models.base import Model
from grokhop.runs.explanation import (
    BridgePlace,
    Candidate,
    CellCircuit,
    Explanation,
    PlaceReading,
    QueryCircuit,
    SeedCircuit,
)
from grokhop.runs.run import EXPLANATION, Run
from grokhop.tasks.composition import cell_name
from grokhop.tasks.encoding import encode_queries
from grokhop.tasks.vocabulary import Vocabulary, token_labels

HOPS = 2
"""Of the queries that are looked into; a model that chooses its loops freely gets as many."""
TOP = 3
"""Tokens that are told of each place of a single query."""


def explain(
    path: Path, *, texts: Sequence[str] = (), threads: int | None = None, device: str | None = None
) -> Explanation:
    """Look into the finished models of the run folder `path`; write and return `explain.json`.

    Args:
        texts: questions or paths, of which all places are told too, and what patching shows of each.

    Raises:
        InputError: the run cannot be read, no seed has finished, its models have no places to look at, or a text is no
            chain that the graph knows.
    """
    run = Run.read(path)
    torch.set_num_threads(threads or torch.get_num_threads())
    chaining = PathIndex(run.graph)
    cells = run.dataset.test[2]
    asked = {name: cells[cell_name([name == "ood"] * 2)] for name in ("id", "ood")}
    chains = [_chain(run, text) for text in texts]
    models = {seed: load_model(run, seed, device=device) for seed in run.finished_seeds()}
    for model in models.values():
        model.limit_loops(HOPS)
    seeds = tuple(_of_seed(run, seed, model, chaining, asked) for seed, model in models.items())
    sampled = {name: some_of(queries) for name, queries in asked.items()}
    place = "ood" if all(found.ood.bridge for found in seeds) else "id"
    result = Explanation(
        bridge_named=_bridge_named(seeds),
        right_for_wrong_reason=tuple(
            replace(example, seed=found.seed) for found in seeds for example in found.ood.score.right_for_wrong_reason
        ),
        asked=place,
        patching=_restored([found.of(place) for found in seeds]),
        formation=tuple(row for found in seeds for row in found.formation),
        seeds=seeds,
        queries=tuple(
            _of_query(run, models[min(models)], chaining, text, chain)
            for text, chain in zip(texts, chains, strict=True)
        ),
        measures=tuple(row for seed, model in models.items() for row in measured(model, chaining, sampled, seed=seed)),
        conditions=conditions(),
    )
    write_json(run.path / EXPLANATION, result.to_dict())
    return result


def _of_seed(run: Run, seed: int, model: Model, chaining: PathIndex, asked: dict[str, Queries]) -> SeedCircuit:
    place = bridge_place(model, chaining, some_of(run.dataset.validation[2][cell_name([False] * 2)]))
    found = {name: _of_cell(model, chaining, queries, place) for name, queries in asked.items()}
    return SeedCircuit(seed=seed, **found, formation=tuple(formation(run, seed, model, place)))


def _of_cell(model: Model, chaining: PathIndex, queries: Queries, place: Site | None) -> CellCircuit:
    some = some_of(queries)
    vocabulary = Vocabulary.of(chaining.graph)
    traced = trace(model, chaining, some)
    # From a handful of pairs nothing is concluded.
    at = place if traced[0].n >= FEWEST_PAIRS else None
    parts = [chaining.answers(some.head, some.relations[:, :hop]) for hop in range(1, some.hops + 1)]
    ends = [members(part, vocabulary.size) for part in parts]
    return CellCircuit(
        score=score(model, chaining, queries),
        lens=mean_lens(lens(model, encode_queries(vocabulary, some)), ends) if len(some) else (),
        trace=traced,
        bridge=None if at is None else BridgePlace(depth=at.depth, position=at.position),
        carried_over=None if at is None else carried_over(model, chaining, some, at),
        ablation=None if at is None else ablate(model, chaining, some, at),
    )


def _bridge_named(seeds: Sequence[SeedCircuit]) -> float | None:
    """The share of all right answers out of distribution that have the right reason."""
    right = sum(found.ood.score.right for found in seeds)
    return sum(found.ood.score.right_and_named for found in seeds) / right if right else None


def _restored(cells: Sequence[CellCircuit]) -> dict[str, float]:
    """The mean, over seeds with a bridge, of what each place of the residual stream brings back of a corrupted head."""
    shares: dict[tuple[int, int], list[float]] = {}
    for place in (place for cell in cells if cell.bridge for place in cell.trace[0].residual):
        shares.setdefault((place.depth, place.position), []).append(place.restored)
    return {f"depth {depth}, position {position}": mean(shares[depth, position]) for depth, position in sorted(shares)}


def _chain(run: Run, text: str) -> Queries:
    """The chain that a text asks for.

    Raises:
        InputError: it is not understood, or is no chain.
    """
    query = QuestionParser(run.plain_graph).understand(text).query
    if query.operator is not None:
        raise InputError(f"{text!r} compares, and only chains can be looked into: write 'entity / relation / relation'")
    branch = query.branches[0]
    return PathIndex(run.graph).answers(np.array([branch.head]), np.array([branch.relations]))


def _of_query(run: Run, model: Model, chaining: PathIndex, text: str, chain: Queries) -> QueryCircuit:
    """What each place of one query says, in the model of the first seed, and what patching shows of it."""
    seed = run.finished_seeds()[0]
    graph = run.graph
    names = token_labels(graph)
    asked = [int(chain.head[0]), *Vocabulary.of(graph).relation_token(chain.relations[0])]
    rows = encode_queries(Vocabulary.of(graph), chain)
    model.limit_loops(chain.hops)
    return QueryCircuit(
        text=text,
        seed=seed,
        query=tuple(names[token] for token in asked),
        expected=tuple(names[entity] for entity in chain.answers.tolist()),
        places=tuple(
            PlaceReading(
                depth=depth,
                position=position,
                token=names[asked[position]],
                top=tuple(
                    Candidate(entity=names[token], probability=share)
                    for share, token in zip(*(x.tolist() for x in p[0].topk(TOP)), strict=True)
                ),
            )
            for (depth, position), p in lens(model, rows).items()
        ),
        trace=trace(model, chaining, chain) if len(chain.answers) else (),
    )
