"""Datasets by name: what reads files, or nothing, into a graph of which nothing is held out yet."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from grokhop.core.registry import Registry
from grokhop.graph.graph import Graph


class ReadDataset(Protocol):
    """Reads a dataset; `options` are given on the command line as `--option NAME=VALUE`.

    def read(files: Sequence[Path], **options: str) -> Graph:
        builder = GraphBuilder(source="mine")  # of grokhop.graph.graph
        for head, relation, tail in facts_of(files):
            builder.fact(head, relation, tail)
        return builder.build()
    """

    def __call__(self, files: Sequence[Path], **options: str) -> Graph: ...


DATASETS: Registry[ReadDataset] = Registry(
    "dataset",
    {
        "worldfacts": "grokhop.datasets.worldfacts:read_dataset",
        "2wiki": "grokhop.datasets.two_wiki:read",
        "triples": "grokhop.datasets.triples:read",
    },
    option="ingest",
)
"""Those with commands of their own, which know more options and other ways to hold out, and those of other packages."""
