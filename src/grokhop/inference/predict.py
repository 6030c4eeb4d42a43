"""Answering: encoded rows through a model in batches, and how many of the answers are right."""

import numpy as np
import torch

from grokhop.core.parallel import spread, threads_on
from grokhop.graph.paths import Longs, Mask, Queries
from grokhop.models.base import Hops, Model
from grokhop.tasks.encoding import TokenBatch, encode_queries
from grokhop.tasks.vocabulary import Vocabulary

BATCH_SIZE = 1024


def answer(model: Model, rows: TokenBatch) -> Hops:
    """The hop trace of every row: (N, T) entities and probabilities."""
    tokens, read_at = torch.from_numpy(rows.tokens), torch.from_numpy(rows.read_at)
    if not len(rows):
        return Hops(tokens, torch.zeros(tokens.shape))
    batches = [slice(start, start + BATCH_SIZE) for start in range(0, len(rows), BATCH_SIZE)]
    traces = spread(lambda batch: model.hops(tokens[batch], read_at[batch]), batches, threads_on(model.device))
    return Hops(*map(torch.cat, zip(*traces, strict=True)))


def are_right(model: Model, vocabulary: Vocabulary, queries: Queries) -> Mask:
    """(Q,) whether the model answers each query with one of its right answers."""
    return queries.are_right(last_answers(model, encode_queries(vocabulary, queries)))


def last_answers(model: Model, rows: TokenBatch) -> Longs:
    """(N,) the entity answered at the last position of each row; all rows must be of one length."""
    return answer(model, rows).entity[:, -1].numpy()


def right_at_the_end(model: Model, rows: TokenBatch) -> Mask:
    """(N,) whether the last position that is due in each row answers its target."""
    return answers_at_the_end(model, rows) == rows.last_targets()


def answers_at_the_end(model: Model, rows: TokenBatch) -> Longs:
    """(N,) the entity answered at the last position of each row that is due."""
    return answer(model, rows).entity.numpy()[np.arange(len(rows)), rows.last]
