"""Lessons: which encoded rows are trained, and in which order.

Every batch mixes chains with facts on their own (held-out facts, and facts that begin no chain), and comparisons where
the graph's questions compare. The order of rows follows from the seed and the number of the step alone, so that a
stopped run goes on exactly.
"""

from dataclasses import dataclass, replace

import numpy as np

from grokhop.core.errors import InputError
from grokhop.graph.graph import Graph, Split
from grokhop.graph.paths import NO_FACT, Longs, PathIndex, Queries
from grokhop.tasks.comparison import Comparing, check_comparisons
from grokhop.tasks.composition import Compositions
from grokhop.tasks.encoding import TokenBatch, encode_paths, stack
from grokhop.tasks.rules import rule_rows
from grokhop.tasks.vocabulary import Vocabulary, token_labels

PROBE_ROWS = 1000
"""Training rows on which training accuracy is measured."""
MOST_ATOMIC_SHARE = 0.9
DRAWN_PHI = 25
"""Comparisons drawn for each trainable fact, of which those are trained that a phi asks for."""
VALIDATION_ROWS_PER_KIND = 60


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """All that training reads: encoded rows and the validation queries.

    Attributes:
        labels: what each token is called, for models that know words.
        rows: chains first, then the facts that are trained on their own.
        chains: how many of `rows` are chains.
        atomic_share: of each batch, the share of rows that are facts on their own.
        probe: queries of training rows, by their hops, on which training accuracy is measured...
        probed: ...and so are these comparisons.
        validation: queries by hops and cell.
        rules: examples of composed relations; none where no question uses one or no trainable path is free.
        comparisons: rows that compare two branches; none where nothing is compared.
        operands: rows that compare two numbers or entities by themselves.
        compared: comparisons for validation: "id" of trainable facts whose pairs are held out, "ood" of held-out facts.
        mixed: whether batches are mixed by kind; if not, each row is one query with one answer, as frequent as any.
    """

    vocabulary: Vocabulary
    labels: tuple[str, ...]
    rows: TokenBatch
    chains: int
    atomic_share: float
    probe: list[Queries]
    probed: TokenBatch
    validation: dict[int, dict[str, Queries]]
    rules: TokenBatch
    comparisons: TokenBatch
    operands: TokenBatch
    compared: dict[str, TokenBatch]
    mixed: bool = True

    @staticmethod
    def of(graph: Graph, made: Compositions, *, prefixes: bool = True, phi: float = 0.0) -> "Lesson":
        """The lesson of a graph and of what was composed of it, before it was made comparable.

        Args:
            prefixes: as `made` was composed; without, only the end of a row is supervised.
            phi: at most so many comparisons are trained for each trainable fact, all if 0.

        Raises:
            InputError: a comparison would leak, or nothing but comparisons is trained and there are fewer than asked.
        """
        # What the calendar adds stands behind the facts that were composed, and begins no chain.
        atomic = np.concatenate([made.atomic, np.arange(made.facts, len(graph))])
        lonely = np.full((len(atomic), made.chains.shape[1]), NO_FACT)
        lonely[:, 0] = atomic
        paths = np.concatenate([made.chains, lonely])
        comparing = Comparing(graph, tested=made.tested)
        comparisons = trained_comparisons(comparing, made, phi=phi)
        lesson = Lesson(
            vocabulary=Vocabulary.of(graph),
            labels=token_labels(graph),
            rows=encode_paths(graph, paths),
            chains=len(made.chains),
            atomic_share=_atomic_share(made.chains, len(atomic)),
            probe=_probe(graph, paths),
            probed=comparisons.sample(PROBE_ROWS, np.random.default_rng(0)),
            validation=made.cells["validation"],
            rules=rule_rows(graph, tested=made.tested),
            comparisons=comparisons,
            operands=comparing.operands(),
            compared=_held_out(comparing),
        )
        return lesson if prefixes else lesson.of_single_answers()

    def of_single_answers(self) -> "Lesson":
        """The same as one kind of row, each with one answer at its end; no operands, which no fact tells."""
        rows = stack([self.rows, self.comparisons, self.rules]).ends()
        none = stack([])
        return replace(self, rows=rows, comparisons=none, operands=none, rules=none, mixed=False)


def trained_comparisons(comparing: Comparing, made: Compositions, *, phi: float = 0.0) -> TokenBatch:
    """Comparisons of trainable facts, checked; with `phi` at most so many for each of these facts.

    Raises:
        InputError: one would leak, or nothing but comparisons is trained and there are fewer than asked.
    """
    graph = comparing.graph
    if phi:
        facts = np.count_nonzero(graph.part[: made.facts] == Split.TRAIN)
        # As many for any phi, so that fewer are a part of more.
        draws = round(DRAWN_PHI * facts / max(1, len(comparing.kinds)))
        rows, most = comparing.rows(Split.TRAIN, per_kind=draws).distinct(), round(phi * facts)
        if not len(made.chains) and len(rows) < most:
            raise InputError(
                f"of {DRAWN_PHI} comparisons drawn for each fact, {len(rows) / facts:.2f} differ, less than the phi of "
                f"{phi:g} asked for: give a lower phi"
            )
        rows = rows.sample(most, np.random.default_rng(0))
    else:
        rows = comparing.rows(Split.TRAIN)
    check_comparisons(comparing, rows)
    return rows


def _held_out(comparing: Comparing) -> dict[str, TokenBatch]:
    sets = {"id": (Split.TRAIN, Split.VALIDATION), "ood": (Split.VALIDATION, Split.TRAIN)}
    return {
        cell: comparing.rows(facts, pairs=pairs, per_kind=VALIDATION_ROWS_PER_KIND)
        for cell, (facts, pairs) in sets.items()
    }


def _probe(graph: Graph, paths: Longs) -> list[Queries]:
    chosen = paths[np.random.default_rng(0).permutation(len(paths))[:PROBE_ROWS]]
    hops = (chosen != NO_FACT).sum(axis=1)
    return [PathIndex(graph).queries(chosen[hops == k, :k])[0] for k in np.unique(hops)]


def _atomic_share(chains: Longs, alone: int) -> float:
    """The share of rows with which a fact on its own is looked up as often as a fact in chains is on average."""
    in_chains = chains[chains != NO_FACT]
    if not len(in_chains):
        return MOST_ATOMIC_SHARE
    lookups = len(in_chains) / np.count_nonzero(np.bincount(in_chains))
    weight = lookups * alone
    return min(MOST_ATOMIC_SHARE, weight / (weight + len(chains)))
