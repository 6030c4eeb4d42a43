"""The built-in graph: real facts about the world, small enough to be grokked in minutes."""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from grokhop.core.errors import InputError
from grokhop.datasets import triples
from grokhop.graph.graph import Graph


def path() -> Path:
    """Return where the packaged table of facts lies."""
    return Path(str(resources.files("grokhop.datasets") / "worldfacts.tsv.gz"))


def read() -> Graph:
    """Return the graph of worldfacts.tsv.gz, which comes with the package."""
    return triples.read([path()], columns="head,relation,tail", source="worldfacts")


def read_dataset(files: Sequence[Path] = ()) -> Graph:
    """Read the built-in graph as a registered dataset, which takes no files.

    Raises:
        InputError: files are given.
    """
    if files:
        raise InputError(f"worldfacts is built in and reads no files: leave {files[0]} out")
    return read()
