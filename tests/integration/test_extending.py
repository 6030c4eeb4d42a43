"""One of each part comes from a package outside: one file of code, found by its entry points, used by the commands."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from typer.testing import CliRunner

from grokhop.cli.main import app

PARTS = '''
import torch
from torch import nn

from grokhop.augmentation.validation import Proposal
from grokhop.config import ModelConfig
from grokhop.config.sections import section
from grokhop.evaluation.baseline_types import cell_scores
from grokhop.graph.graph import GraphBuilder
from grokhop.models.base import Model, ReadOut
from grokhop.runs.baselines import BaselineResult
from grokhop.runs.callbacks import Callback


def ring(files, size="12", **options):
    builder = GraphBuilder(source="ring")
    for i in range(int(size)):
        for step, relation in ((1, "next"), (5, "far"), (7, "mirror")):
            if relation != "mirror" or i % 2:
                builder.fact(f"e{i}", relation, f"e{(i + step) % int(size)}")
    return builder.build()


def leaps(grown, options):
    for i in range(len(grown.graph.entities)):
        yield Proposal(head=f"e{i}", relation="mirror", tail=f"e{(i + 7) % 24}")
        yield Proposal(head=f"e{i}", relation="nothing like it", tail="e0")


@section
class BagConfig(ModelConfig):
    """The mean of a row's embeddings."""

    architecture: str = "bag"
    scale: float = 1.0
    """Factor of the mean."""


class Bag(Model):
    Config = BagConfig

    def __init__(self, settings, *, vocabulary, labels=()):
        super().__init__(settings, vocabulary=vocabulary)
        self.embedding = nn.Embedding(vocabulary, settings.d_model)
        self.layers = nn.ModuleList([nn.Linear(settings.d_model, settings.d_model)])
        self.final_norm = nn.Identity()

    def forward(self, tokens, read_at):
        row, position = torch.nonzero(read_at > 0, as_tuple=True)
        mean = self.settings.scale * self.embedding(tokens).cumsum(1) / (1 + torch.arange(tokens.shape[1]))[:, None]
        return [ReadOut(1, row, position, self.read_out(self.layers[0](mean[row, position])))]


def descent(model, settings, *, threads):
    return [torch.optim.SGD(model.parameters(), lr=settings.adam_lr)]


def cold(logits):
    return (logits.float() / 2).log_softmax(-1)


def zero(exam):
    return BaselineResult(questions={}, cells=cell_scores(exam.cells, lambda queries: 0 * queries.head))


def weight_norm(model, chaining, queries):
    return {"norm": model.embedding.weight.norm().item(), "asked": float(len(queries))}


class Lines(Callback):
    def __init__(self, run):
        self.path = run.parent / "lines.txt"

    def on_eval(self, seed, record):
        with self.path.open("a") as file:
            file.write(f"{seed} {record.step}\\n")
'''
POINTS = {
    "datasets": "ring = outside_parts:ring",
    "augmentation_sources": "again = outside_parts:leaps",
    "models": "bag = outside_parts:Bag",
    "optimizers": "descent = outside_parts:descent",
    "losses": "cold = outside_parts:cold",
    "baselines": "zero = outside_parts:zero",
    "circuit_measures": "weight_norm = outside_parts:weight_norm",
    "loggers": "lines = outside_parts:Lines",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package as pip installs it: a module, and its metadata beside it."""
    site = tmp_path / "site"
    (site / "outside_parts-1.0.dist-info").mkdir(parents=True)
    (site / "outside_parts.py").write_text(dedent(PARTS))
    (site / "outside_parts-1.0.dist-info" / "METADATA").write_text("Name: outside-parts\nVersion: 1.0\n")
    points = "\n".join(f"[grokhop.{group}]\n{point}" for group, point in POINTS.items())
    (site / "outside_parts-1.0.dist-info" / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(site)
    yield site
    sys.modules.pop("outside_parts", None)


def run(*words: Any) -> Any:
    result = CliRunner().invoke(app, [*map(str, words), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.usefixtures("package")
def test_one_of_each_part_comes_from_another_package(tmp_path: Path) -> None:
    graph, grown, out = tmp_path / "graph", tmp_path / "grown", tmp_path / "run"
    found = run("ingest", "ring", "-o", graph, "--option", "size=24", "--holdout", "0.2")
    assert (found["entities"], found["facts"]) == (24, 60)
    augmented = run("augment", graph, "--source", "again", "--target-phi", "1", "-o", grown)
    assert augmented["by_source"] == {"again": augmented["added"]} and augmented["added"] > 0
    assert sum(augmented["rejected"].values()) >= 24
    settings = {"model.architecture": "bag", "model.scale": 0.5, "optimizer.name": "descent", "train.loss": "cold"}
    sets = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    trained = run("train", grown, "-o", out, "--preset", "paper", "--budget", "6 steps", "--log", "lines", *sets)
    assert trained["seeds"][0]["steps"] == 6
    assert (tmp_path / "lines.txt").read_text() == "0 6\n"
    assert "architecture: bag" in (out / "config.yaml").read_text()
    assert "scale: 0.5" in (out / "config.yaml").read_text()
    assert run("eval", out)["seeds"] == 1
    cells = run("eval", out, "--baseline", "zero,majority")["baselines"]
    assert cells["zero"]["cells"]["2"]["II"]["n"] == cells["majority"]["cells"]["2"]["II"]["n"] > 0


@pytest.mark.usefixtures("package")
def test_a_measure_from_another_package_is_taken_of_every_seed(tmp_path: Path) -> None:
    run("ingest", "ring", "-o", tmp_path / "graph", "--option", "size=24", "--holdout", "0.2")
    run("train", tmp_path / "graph", "-o", tmp_path / "run", "--preset", "toy", "--budget", "3 steps", "--seeds", 2)
    measures = run("explain", tmp_path / "run")["measures"]
    assert {(row["measure"], row["seed"]) for row in measures} == {("weight_norm", 0), ("weight_norm", 1)}
    assert all(row["found"]["norm"] > 0 for row in measures)


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("ingest", "ring", "-o", "g", "--option", "sise"), "sets nothing"),
        (("train", "g", "-o", "r", "--set", "model.architecture=bagg"), "(did you mean bag?)"),
        (("train", "g", "-o", "r", "--set", "optimizer.name=descant"), "(did you mean descent?)"),
        (("train", "g", "-o", "r", "--set", "train.loss=colt"), "(did you mean cold?)"),
        (("augment", "g", "-o", "r", "--source", "agane"), "(did you mean again?)"),
    ],
)
def test_the_nearest_name_is_told_for_a_wrong_one(
    words: tuple[str, ...], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(app, ["ingest", "ring", "-o", "g"])
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code != 0
    assert complaint in str(result.exception), result.output


def test_a_package_whose_part_cannot_be_imported_is_named(package: Path, tmp_path: Path) -> None:
    (package / "outside_parts.py").write_text("import nothing_like_it")
    result = CliRunner().invoke(app, ["ingest", "ring", "-o", str(tmp_path / "g")])
    assert "outside_parts:ring cannot be imported" in str(result.exception)
