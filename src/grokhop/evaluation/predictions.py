"""What each seed answered to each test query, kept in the run folder so that anyone can check a score.

    RUN/seed-N/predictions.parquet    set, query, answer, right, expected (all right answers)

Sets are named `2 hops/OO`, `fact`, `rule/WORD/ood`, `comparison/ood/LESS`; queries are written as `A / r / s`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from grokhop.graph.paths import Longs, Mask, Queries
from grokhop.inference.predict import answers_at_the_end, last_answers
from grokhop.models.base import Model
from grokhop.tasks.encoding import GIVEN, TokenBatch, encode_queries
from grokhop.tasks.vocabulary import Vocabulary

PREDICTIONS = "predictions.parquet"


@dataclass(frozen=True, kw_only=True)
class Answered:
    """One set of N test queries and what every seed answered.

    Attributes:
        rows: (N, T) the queries as they were asked.
        answers: all right answers, those of query n at `offsets[n]:offsets[n + 1]`.
        predicted: for each seed, (N,) tokens. rights: for each seed, (N,) whether they are right.
    """

    name: str
    rows: TokenBatch
    answers: Longs
    offsets: Longs
    predicted: list[Longs]
    rights: list[Mask]


def ask_queries(name: str, models: Sequence[Model], vocabulary: Vocabulary, queries: Queries) -> Answered:
    """Ask every model the queries; an answer is right when it is one of the query's answers."""
    rows = encode_queries(vocabulary, queries)
    predicted = [last_answers(model, rows) for model in models]
    return Answered(
        name=name,
        rows=rows,
        answers=queries.answers,
        offsets=queries.offsets,
        predicted=predicted,
        rights=[queries.are_right(tokens) for tokens in predicted],
    )


def ask_rows(name: str, models: Sequence[Model], rows: TokenBatch) -> Answered:
    """Ask every model the rows, each of which has one right answer, at its last position that is due."""
    predicted, expected = [answers_at_the_end(model, rows) for model in models], rows.last_targets()
    return Answered(
        name=name,
        rows=rows,
        answers=expected,
        offsets=np.arange(len(rows) + 1),
        predicted=predicted,
        rights=[tokens == expected for tokens in predicted],
    )


def write_predictions(path: Path, labels: Sequence[str], asked: Sequence[Answered], seed: int) -> None:
    """Write what the `seed`-th of the models answered to all sets.

    Args:
        labels: (V,) the name of each token.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = pa.array(labels, pa.string())
    sizes = [len(one.rows) for one in asked]
    predicted = np.concatenate([np.empty(0, np.int64), *(one.predicted[seed] for one in asked)])
    right = np.concatenate([np.empty(0, bool), *(one.rights[seed] for one in asked)])
    answers = np.concatenate([np.empty(0, np.int64), *(one.answers for one in asked)])
    counts = np.concatenate([np.empty(0, np.int64), *(np.diff(one.offsets) for one in asked)])
    offsets = np.concatenate([[0], np.cumsum(counts)])
    table = pa.table(
        {
            "set": pa.array(np.repeat([one.name for one in asked], sizes).tolist(), pa.string()),
            "query": pa.array([text for one in asked for text in _texts(one.rows, labels)], pa.string()),
            "answer": names.take(pa.array(predicted)),
            "right": pa.array(right),
            "expected": pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), names.take(pa.array(answers))),
        }
    )
    aside = path.with_name(f".{path.name}.aside")
    pq.write_table(table, aside, compression="zstd")
    aside.replace(path)


def _texts(rows: TokenBatch, labels: Sequence[str]) -> list[str]:
    lengths = rows.last + 1 if len(rows) else np.empty(0, np.int64)
    lengths = np.maximum(lengths, (rows.read_at == GIVEN).sum(axis=1))
    return [
        " / ".join(labels[token] for token in row[:length])
        for row, length in zip(rows.tokens.tolist(), lengths.tolist(), strict=True)
    ]
