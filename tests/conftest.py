"""Settings of all tests, and where they find data that is not part of the project."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.graphs import random_graph

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: two test processes with two threads each hinder one another
settings.register_profile("grokhop", deadline=None)  # no test is about a time
settings.load_profile("grokhop")

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("GROKHOP_DATA", ROOT.parent / "shared" / "data"))


def data_file(name: str) -> Path:
    """Return a development file, or skip the test until GROKHOP_DATA names the folder that holds it."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not in {DATA}: set GROKHOP_DATA to the folder of development data")
    return path


@pytest.fixture
def two_wiki_sample() -> Path:
    """368 records of the 2WikiMultiHopQA development set."""
    return data_file("2wikimultihopqa/dev_sample.json")


@pytest.fixture
def codex() -> Path:
    """The folder of CoDEx-S."""
    return data_file("codex-s/train.txt").parent


@pytest.fixture(scope="session")
def mini_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph folder of 80 facts, on which a training takes a second or two."""
    path = tmp_path_factory.mktemp("graphs") / "mini"
    random_graph(entities=20, relations=5, degree=4, holdout=0.2).write(path)
    return path
