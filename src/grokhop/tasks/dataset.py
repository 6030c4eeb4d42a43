"""The data set of a run: what is trained, what is asked, and the certificate that the one holds nothing of the other.

`build_dataset` makes it once, before any training; it lies in the run folder (`grokhop.tasks.storage`), and training,
evaluation, explanation and sweeps read it there. Chains come first among the training rows, then the facts that stand
alone: held-out facts, and facts that begin no chain. A control (`grokhop.tasks.controls`) trains something else.
"""

from dataclasses import dataclass, replace

import numpy as np

from grokhop.config import Control, TaskConfig
from grokhop.core.errors import InputError
from grokhop.graph.graph import Graph, Split
from grokhop.graph.paths import NO_FACT, Longs, Mask, PathIndex, Queries
from grokhop.tasks.comparison import OPERATORS, Comparing, check_comparisons, comparable, is_comparable
from grokhop.tasks.composition import Compositions, cell_name, compose
from grokhop.tasks.controls import (
    answered_by,
    changed_facts,
    check_shuffled,
    controlled_graph,
    shuffled_answers,
    shuffled_ends,
    without_chains,
    without_heldout_facts,
)
from grokhop.tasks.encoding import TokenBatch, encode_paths, stack
from grokhop.tasks.leakage import check_leakage, check_rows
from grokhop.tasks.rules import rule_queries, rule_rows, rules_of, with_rules
from grokhop.tasks.vocabulary import Vocabulary, token_labels

PROBE_ROWS = 1000
"""Training rows on which training accuracy is measured."""
MOST_ATOMIC_SHARE = 0.9
DRAWN_PHI = 25
"""Comparisons drawn for each trainable fact, of which those are trained that a phi asks for."""
VALIDATION_ROWS_PER_KIND, TEST_ROWS_PER_KIND = 60, 300


def worded(graph: Graph, *, compare: bool) -> Graph:
    """Return the graph with the words that its questions use: rules, and where comparisons are wanted, those too.

    Added facts, entities and relations stand behind those of the graph, which keep their numbers.
    """
    return comparable(with_rules(graph)) if compare else with_rules(graph)


@dataclass(frozen=True, kw_only=True)
class RuleTest:
    """A word that stands for a path of relations, and what tests it.

    Attributes:
        relations: the ids of the path's relations.
        examples: how many training rows show the word.
        id: queries over trainable facts that are tested. ood: queries over facts that are held out for test.
    """

    word: str
    relations: tuple[int, ...]
    examples: int
    id: Queries
    ood: Queries


@dataclass(frozen=True, kw_only=True)
class TaskDataset:
    """All that training and evaluation read of a graph.

    Attributes:
        labels: (V,) the name of each token, for models that know words.
        compositions: the trained chains as facts, and the queries of every cell.
        rows: training rows: chains first, then the facts that are trained on their own.
        chains: how many of `rows` are chains.
        atomic_share: of each batch, the share of rows that are facts on their own.
        objects: (F,) sorted, pair * E + object of every fact: all objects of a pair, trained or not.
        probe: queries of training rows, by their hops, on which training accuracy is measured...
        probed: ...and so are these comparisons.
        rules: training rows of composed relations; none where no question uses one or no trainable path is free.
        comparisons: training rows that compare two branches; none where nothing is compared.
        operands: training rows that compare two numbers or entities by themselves.
        compared: comparisons for validation: "id" of trainable facts whose pairs are held out, "ood" of held-out facts.
        tested_comparisons: the same for test, by cell and operator.
        tested_rules: the tests of each rule.
    """

    vocabulary: Vocabulary
    labels: tuple[str, ...]
    compositions: Compositions
    rows: TokenBatch
    chains: int
    atomic_share: float
    objects: Longs
    probe: list[Queries]
    probed: TokenBatch
    rules: TokenBatch
    comparisons: TokenBatch
    operands: TokenBatch
    compared: dict[str, TokenBatch]
    tested_comparisons: dict[str, dict[str, TokenBatch]]
    tested_rules: list[RuleTest]

    @property
    def validation(self) -> dict[int, dict[str, Queries]]:
        """Validation queries by hops and cell."""
        return self.compositions.cells["validation"]

    @property
    def test(self) -> dict[int, dict[str, Queries]]:
        """Test queries by hops and cell."""
        return self.compositions.cells["test"]

    @property
    def counts(self) -> dict[str, int]:
        """How many rows and queries there are, for the manifest, including what the leakage check compared."""
        return self.compositions.counts

    def inside(self, graph: Graph, composed: Mask) -> dict[int, Mask]:
        """By hops, which test queries over no held-out fact go along facts that are all in trained compositions."""
        chaining, asked = PathIndex(graph), {k: by_cell[cell_name([False] * k)] for k, by_cell in self.test.items()}
        return {
            k: chaining.go_along(queries.head.astype(np.int64), queries.relations.astype(np.int64), composed)
            for k, queries in asked.items()
        }

    def composed(self, facts: int) -> Mask:
        """(F,) whether each of a graph's facts is in a trained chain; those behind the composed ones are in none."""
        marked = np.zeros(facts, bool)
        chains = self.compositions.chains
        marked[chains[chains != NO_FACT]] = True
        return marked

    @property
    def phi(self) -> float:
        """Phi as trained: two-hop inferred facts in training for each trainable fact."""
        return self.counts.get("trained_2_hops", 0) / max(1, self.counts["trainable_facts"])

    def trained(self, *, comparable: bool) -> dict[str, int]:
        """Count the trained inferred facts by number of hops, and the comparisons where the graph has any."""
        found = {
            name.removeprefix("trained_").removesuffix("_hops"): n
            for name, n in self.counts.items()
            if name.startswith("trained_")
        }
        return {**found, "comparisons": self.counts["comparison_rows"]} if comparable else found

    @staticmethod
    def of(graph: Graph, made: Compositions, *, prefixes: bool = True, phi: float = 0.0) -> "TaskDataset":
        """Build the data set of a worded graph and of what was composed of the graph before it was worded.

        Args:
            prefixes: as `made` was composed; without, only the end of a row is supervised.
            phi: at most so many comparisons are trained for each trainable fact, all if 0.

        Raises:
            InputError: a row would leak, or nothing but comparisons is trained and there are fewer than asked.
        """
        paths = _paths(graph, made)
        comparing = Comparing(graph, tested=made.tested)
        comparisons = trained_comparisons(comparing, made, phi=phi)
        rows, rules = encode_paths(graph, paths), rule_rows(graph, tested=made.tested)
        operands = comparing.operands()
        counts = {
            **made.counts,
            **_alone_counts(graph, made),
            "comparison_rows": len(comparisons),
            "distinct_comparisons": len(comparisons.distinct()),
            "operand_rows": len(operands),
            "rule_rows": len(rules),
            **check_rows(graph, rows, cells=made.cells, facts=made.facts),
        }
        dataset = TaskDataset(
            vocabulary=Vocabulary.of(graph),
            labels=token_labels(graph),
            compositions=replace(made, counts=counts),
            rows=rows,
            chains=len(made.chains),
            atomic_share=_atomic_share(made.chains, len(rows) - len(made.chains)),
            objects=np.unique(graph.pair.astype(np.int64) * len(graph.entities) + graph.tail),
            probe=_probe(graph, paths),
            probed=comparisons.sample(PROBE_ROWS, np.random.default_rng(0)),
            rules=rules,
            comparisons=comparisons,
            operands=operands,
            compared=_validation_comparisons(comparing),
            tested_comparisons=_test_comparisons(comparing),
            tested_rules=_rule_tests(graph, made),
        )
        return dataset if prefixes else dataset.of_single_answers()

    def of_single_answers(self) -> "TaskDataset":
        """Return the same with one answer at the end of each row, and without operands, which no fact tells."""
        ends = {name: getattr(self, name).ends() for name in ("rows", "comparisons", "rules")}
        return replace(self, **ends, operands=stack([]))._counting(operand_rows=0)

    def under(self, control: Control, graph: Graph) -> "TaskDataset":
        """Return what a control trains of the worded graph instead; what is asked stays the same.

        Rows must tell the end of every hop, as they do before `of_single_answers`.

        Raises:
            InputError: a row would leak.
        """
        made = self.compositions
        if control == "no-chains":
            without = replace(
                self,
                comparisons=stack([]),
                rules=stack([]),
                probed=stack([]),
                tested_rules=[replace(rule, examples=0) for rule in self.tested_rules],
            )
            left_out = {f"left_out_{n}": self.counts[n] for n in ("comparison_rows", "rule_rows")}
            none = dict.fromkeys(("comparison_rows", "distinct_comparisons", "rule_rows"), 0)
            return without._composed_as(graph, without_chains(made))._counting(**none, **left_out)
        if control == "no-heldout-facts":
            return self._composed_as(graph, without_heldout_facts(graph, made))
        return self._with_shuffled_ends() if control == "shuffled-ends" else self

    def _composed_as(self, graph: Graph, made: Compositions) -> "TaskDataset":
        """The same with other chains and facts on their own, checked anew."""
        paths = _paths(graph, made)
        rows = encode_paths(graph, paths)
        checked = {
            **check_leakage(graph, made),
            **check_rows(graph, rows, cells=made.cells, facts=made.facts),
            **_alone_counts(graph, made),
        }
        return replace(
            self,
            compositions=made,
            rows=rows,
            chains=len(made.chains),
            atomic_share=_atomic_share(made.chains, len(rows) - len(made.chains)),
            probe=_probe(graph, paths),
        )._counting(**checked)

    def _with_shuffled_ends(self) -> "TaskDataset":
        """The same with false ends, which training accuracy is measured by too."""
        before = [self.rows, self.rules, self.comparisons]
        (rows, rules, branches), ends = shuffled_ends(before[:2], self.comparisons)
        comparisons, answers = shuffled_answers(branches)
        check_shuffled(before, [rows, rules, comparisons])
        return replace(
            self,
            rows=rows,
            rules=rules,
            comparisons=comparisons,
            probe=[q if q.hops == 1 else answered_by(rows, q, self.vocabulary) for q in self.probe],
            probed=comparisons.sample(PROBE_ROWS, np.random.default_rng(0)),
        )._counting(**ends, **answers)

    def _counting(self, **counts: int) -> "TaskDataset":
        return replace(self, compositions=replace(self.compositions, counts={**self.counts, **counts}))

    def all_rows(self) -> TokenBatch:
        """Return the rows that state or compose facts, of all kinds together."""
        return stack([self.rows, self.comparisons, self.rules])


def build_dataset(graph: Graph, settings: TaskConfig) -> TaskDataset:
    """Build what the settings train of a graph as it was given, and what is asked; controls are applied here.

    Raises:
        InputError: the graph has too few compositions and no comparisons that might be trained alone, or a row would
            leak.
    """
    kept = controlled_graph(graph, settings.control)
    words = worded(kept, compare=settings.compare)
    dataset = TaskDataset.of(words, compose_as(kept, settings), phi=settings.phi).under(settings.control, words)
    if settings.control == "permuted-heldout":
        left_out = len(graph.questions) - len(kept.questions)
        dataset = dataset._counting(permuted_facts=changed_facts(graph, kept), questions_left_out=left_out)
    return dataset if settings.supervision == "every_hop" else dataset.of_single_answers()


def compose_as(graph: Graph, settings: TaskConfig) -> Compositions:
    """Compose what the settings train of a graph as it was given, and what is asked.

    Raises:
        InputError: it has too few compositions, and no comparisons that might be trained alone (`compose`).
    """
    return compose(
        graph,
        hops=settings.hops,
        extra_hops=settings.extra_hops,
        phi=settings.phi,
        prefixes=settings.supervision == "every_hop",
        required=not is_comparable(worded(graph, compare=settings.compare)),
    )


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


def _validation_comparisons(comparing: Comparing) -> dict[str, TokenBatch]:
    sets = {"id": (Split.TRAIN, Split.VALIDATION), "ood": (Split.VALIDATION, Split.TRAIN)}
    return {
        cell: comparing.rows(facts, pairs=pairs, per_kind=VALIDATION_ROWS_PER_KIND)
        for cell, (facts, pairs) in sets.items()
    }


def _test_comparisons(comparing: Comparing) -> dict[str, dict[str, TokenBatch]]:
    """'id' are pairs of trainable facts that are not trained together, 'ood' are held-out facts."""
    sets = {"id": (Split.TRAIN, Split.TEST), "ood": (Split.TEST, Split.TRAIN)}
    return {
        cell: {
            operator: comparing.rows(facts, pairs=pairs, operators=(operator,), per_kind=TEST_ROWS_PER_KIND).distinct()
            for operator in OPERATORS
        }
        for cell, (facts, pairs) in sets.items()
    }


def _rule_tests(graph: Graph, made: Compositions) -> list[RuleTest]:
    return [
        RuleTest(
            word=rule.word,
            relations=rule.path,
            examples=len(rule_rows(graph, tested=made.tested, only=rule)),
            id=rule_queries(graph, rule, Split.TRAIN, tested=made.tested),
            ood=rule_queries(graph, rule, Split.TEST, tested=made.tested),
        )
        for rule in rules_of(graph)
    ]


def _paths(graph: Graph, made: Compositions) -> Longs:
    """(N, K) facts of all rows that state or chain facts; what the calendar adds begins no chain."""
    atomic = np.concatenate([made.atomic, np.arange(made.facts, len(graph))])
    lonely = np.full((len(atomic), made.chains.shape[1]), NO_FACT)
    lonely[:, 0] = atomic
    return np.concatenate([made.chains, lonely])


def _alone_counts(graph: Graph, made: Compositions) -> dict[str, int]:
    """How many rows on their own are of held-out facts, which `atomic_rows` counts too, and of the calendar."""
    held_out = int((graph.part[made.atomic] != Split.TRAIN).sum())
    return {"held_out_rows": held_out, "calendar_rows": len(graph) - made.facts}


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
