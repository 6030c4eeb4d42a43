"""Do wrong facts help? Take facts out of a graph, give them back with a share of them false, and compare.

    python scripts/wrong_facts.py GRAPH --keep 0.2 --shares 0 0.25 0.5 0.75 1 --seeds 3 --budget '400 steps'

Of the trainable facts, `--keep` stay and the others are the ones that are added: truly, with a share of their objects
exchanged within their relation (`grokhop.augmentation.corruption`: phi stays the same), or not at all. The facts that
are held out, and with them the OO queries, are the same in each condition: true, observed facts that no training chain
uses. Accuracies are on validation queries, as in `ablate.py`, whose variants say what is trained.

With `--contradict SHARE`, nothing is taken out; that share of the trainable facts gets a second, wrong object each, and
the table says how often the true one, the wrong one or another is answered when such a fact is asked alone.
"""

import argparse
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import torch
from ablate import VARIANTS

from grokhop.augmentation.corruption import make_wrong
from grokhop.augmentation.planner import Addition
from grokhop.config import Budget, preset
from grokhop.graph.graph import Graph, Split
from grokhop.graph.paths import Longs, PathIndex
from grokhop.inference.predict import are_right, last_answers
from grokhop.phi.report import measure
from grokhop.tasks.composition import cell_name, compose
from grokhop.tasks.dataset import TaskDataset
from grokhop.tasks.encoding import encode_queries
from grokhop.training.trainer import Trainer


def taken_out(graph: Graph, keep: float, seed: int) -> tuple[Graph, list[Addition]]:
    """The graph with `keep` of its trainable facts, and the others as additions."""
    rng = np.random.default_rng([seed, 5])
    trainable = np.flatnonzero(graph.part == Split.TRAIN)
    out = np.sort(rng.permutation(trainable)[round(keep * len(trainable)) :])
    stays = np.ones(len(graph), bool)
    stays[out] = False
    rows = zip(*(column[out].tolist() for column in (graph.head, graph.relation, graph.tail)), strict=True)
    return graph.where(stays), [
        Addition(head=h, relation=r, tail=t, for_relation=r, role="first hop") for h, r, t in rows
    ]


def given_back(base: Graph, additions: list[Addition], share: float, seed: int) -> tuple[Graph, float]:
    """The base with all additions, and the share of them that was really made false."""
    facts = [(a.head, a.relation, a.tail) for a in additions]
    augmented, made = make_wrong(
        base, base.extended(facts, source="augment:graph"), additions, share=share, seed=seed, acyclic=False
    )
    return augmented, sum(a.source == "wrong" for a in made) / len(made)


def contradicted(graph: Graph, share: float, seed: int) -> tuple[Graph, Longs]:
    """The graph with a second, wrong object for a share of its trainable facts; (N, 4) head, relation, true, wrong."""
    rng = np.random.default_rng([seed, 6])
    trainable = np.flatnonzero(graph.part == Split.TRAIN)
    single = trainable[np.isin(graph.pair[trainable], [p for p, n in Counter(graph.pair.tolist()).items() if n == 1])]
    chosen = rng.permutation(single)[: round(share * len(single))]
    rows = []
    for fact in chosen.tolist():
        others = graph.tail[(graph.relation == graph.relation[fact]) & (graph.tail != graph.tail[fact])]
        if len(others):
            rows.append((graph.head[fact], graph.relation[fact], graph.tail[fact], rng.choice(others)))
    twins = np.array(rows, np.int64)
    return graph.extended([(h, r, w) for h, r, _, w in twins.tolist()], source="contradicts"), twins


def trained(graph: Graph, variant: str, seed: int, budget: Budget) -> tuple[Trainer, dict[str, float]]:
    """A model of one variant, and its validation accuracies."""
    _, trainer_class, model_class, change = VARIANTS[variant]
    made = compose(graph)
    dataset = TaskDataset.of(graph, made)

    class Variant(trainer_class):  # type: ignore[valid-type, misc]  # one of ablate's classes
        def make_model(self) -> torch.nn.Module:
            return model_class(self.settings.model, vocabulary=self.dataset.vocabulary.size)

    with tempfile.TemporaryDirectory() as folder:
        trainer = Variant(dataset, change(preset("loop")), seed=seed, folder=Path(folder))
        trainer.run(budget)
    cells = made.cells["validation"][2]
    right = {
        name: are_right(trainer.average.model, dataset.vocabulary, cells[cell_name(pattern)])
        for name, pattern in (("ID", [False, False]), ("OOD", [True, True]))
    }
    return trainer, {name: float(np.mean(found)) for name, found in right.items() if len(found)}


def answers_alone(trainer: Trainer, graph: Graph, twins: Longs) -> dict[str, float]:
    """How often the true, the wrong or another object is answered."""
    queries = PathIndex(graph).answers(twins[:, 0], twins[:, 1:2])
    given = last_answers(trainer.average.model, encode_queries(trainer.dataset.vocabulary, queries))
    true, wrong = (float(np.mean(given == twins[:, i])) for i in (2, 3))
    return {"true": true, "wrong": wrong, "another": 1 - true - wrong}


def _row(name: str, results: list[dict[str, float]]) -> str:
    columns = list(results[0])
    values = {c: [result[c] for result in results if c in result] for c in columns}
    texts = [f"{mean(v):.3f} ± {stdev(v):.3f}" if len(v) > 1 else f"{mean(v):.3f}" for v in values.values()]
    return f"| {name} | {' | '.join(texts)} |"


def main() -> None:
    """Print one line for each run as it ends, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graph", type=Path)
    parser.add_argument("--keep", type=float, default=0.2)
    parser.add_argument("--shares", type=float, nargs="+", default=[0, 0.25, 0.5, 0.75, 1])
    parser.add_argument("--contradict", type=float)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", default="400 steps")
    parser.add_argument("--variant", default="loop", choices=VARIANTS)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    graph, budget = Graph.read(options.graph), Budget.parse(options.budget)
    graph = replace(graph, questions=())  # their chains are among the queries all the same, held out by hash
    table: dict[str, list[dict[str, float]]] = {}
    for seed in range(options.seeds):
        if options.contradict is not None:
            grown, twins = contradicted(graph, options.contradict, seed)
            trainer, accuracies = trained(grown, options.variant, seed, budget)
            conditions = {f"{len(twins)} contradicted": {**accuracies, **answers_alone(trainer, grown, twins)}}
        else:
            base, additions = taken_out(graph, options.keep, seed)
            graphs = {"nothing added": (base, 0.0)}
            graphs |= {f"{share:.0%} wrong": given_back(base, additions, share, seed) for share in options.shares}
            conditions = {}
            for name, (grown, false) in graphs.items():
                _, accuracies = trained(grown, options.variant, seed, budget)
                phi = measure(grown).to_dict()["trainable"]["phi"]
                conditions[name] = {"facts": float(len(grown)), "phi": phi, "really wrong": false, **accuracies}
                print(f"seed {seed} {name}: {conditions[name]}", flush=True)
        for name, result in conditions.items():
            table.setdefault(name, []).append(result)
    first = next(iter(table.values()))
    print(f"\n| condition | {' | '.join(first[0])} |\n|{' --- |' * (len(first[0]) + 1)}")
    for name, results in table.items():
        print(_row(name, results))


if __name__ == "__main__":
    main()
