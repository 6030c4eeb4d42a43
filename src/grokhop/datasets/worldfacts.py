"""The built-in graph: real facts about the world, small enough to be grokked in minutes."""

from importlib import resources
from pathlib import Path

from grokhop.datasets import triples
from grokhop.graph.graph import Graph


def path() -> Path:
    """Return where the packaged table of facts lies."""
    return Path(str(resources.files("grokhop.datasets") / "worldfacts.tsv.gz"))


def read() -> Graph:
    """Return the graph of worldfacts.tsv.gz, which comes with the package."""
    return triples.read([path()], columns="head,relation,tail", source="worldfacts")
