"""Rules: a word that stands for a path, 'paternal grandfather' for the father of the father, as a relation of its own.

Which words there are is read from the graph's inference questions. A word gets one token for each hop of its path,
`h paternal_grandfather_1 paternal_grandfather_2`, since each place of a row works one hop. That the first of them
means 'father' is said nowhere: only the end of a path is told, for trainable paths that no question asks, and the rule
has to be found from these examples and then holds for people for whom it was never shown.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from grokhop.graph.graph import Graph, Split
from grokhop.graph.paths import Longs, PathIndex, Queries
from grokhop.graph.queries import Rule
from grokhop.language.lexicon import NOUNS
from grokhop.tasks.composition import hold_tested
from grokhop.tasks.encoding import NO_TARGET, TokenBatch, encode_paths, stack
from grokhop.tasks.vocabulary import Vocabulary

MOST_ROWS = 2000
"""Of each rule."""


def with_rules(graph: Graph) -> Graph:
    """The graph with the relations that spell the words which its inference questions use."""
    labels = [label for word, path in _words(graph) for label in _spelled(word, len(path))]
    return graph.extended([], source="rules", relations=labels, observed=True) if labels else graph


def rules_of(graph: Graph) -> list[Rule]:
    """The rules of a graph that was made by `with_rules`."""
    ids = {label: i for i, label in enumerate(graph.relations)}
    return [
        Rule(word, path, tuple(ids[label] for label in _spelled(word, len(path))))
        for word, path in _words(graph)
        if _spelled(word, 1)[0] in ids
    ]


def _spelled(word: str, hops: int) -> list[str]:
    return [f"{word}, hop {hop}" for hop in range(1, hops + 1)]


def _words(graph: Graph) -> list[tuple[str, tuple[int, ...]]]:
    """The paths of inference questions for which there is one word that means nothing else, in the order they occur."""
    words = {paths[0]: row.split("|")[0] for row, paths in NOUNS.items() if len(paths) == 1 and len(paths[0]) > 1}
    asked = dict.fromkeys(q.path[1] for q in graph.questions if q.type == "inference" and q.path)
    named = ((words.get(tuple(graph.relations[r] for r in path)), path) for path in asked)
    return [(word, path) for word, path in named if word]


def rule_rows(graph: Graph, *, tested: NDArray[np.uint64], only: Rule | None = None) -> TokenBatch:
    """Examples of all rules, or of one, over trainable paths that hold no tested query; only their ends are told."""
    made = []
    for rule in [only] if only else rules_of(graph):
        paths = _paths(graph, rule, Split.TRAIN)
        made.append(spelled(graph, paths[~hold_tested(graph, paths, tested)], rule.tokens))
    return stack(made)


def rule_queries(graph: Graph, rule: Rule, part: Split, *, tested: NDArray[np.uint64]) -> Queries:
    """The queries of a rule whose path leads over facts of `part`; of trainable facts only those that are tested."""
    paths = _paths(graph, rule, part)
    if part is Split.TRAIN:
        paths = paths[hold_tested(graph, paths, tested)]
    found, _ = PathIndex(graph).queries(paths)
    return replace(found, relations=np.tile(rule.tokens, (len(found), 1)))


def _paths(graph: Graph, rule: Rule, part: Split) -> Longs:
    """(P, k) paths of a rule over facts of `part`, without those beside which it leads over facts of another."""
    chaining = PathIndex(graph)
    steps = [(graph.relation == relation) & (graph.part == part) for relation in rule.path]
    paths = chaining.paths(steps, limit=MOST_ROWS, rng=np.random.default_rng(0))
    return paths[chaining.of_one_part(paths)]


def spelled(graph: Graph, paths: Longs, tokens: Sequence[int]) -> TokenBatch:
    """Rows of (N, k) paths, asked by a rule's tokens, with the end of each path as the only target."""
    rows = encode_paths(graph, paths)
    asked, targets = rows.tokens.copy(), np.full_like(rows.targets, NO_TARGET)
    asked[:, 1:] = Vocabulary.of(graph).relation_token(np.array(tokens))
    targets[:, -1] = rows.targets[:, -1]
    return TokenBatch(tokens=asked, read_at=rows.read_at, targets=targets)
