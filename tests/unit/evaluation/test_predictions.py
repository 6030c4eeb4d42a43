"""Every answer to every test query is kept, and the scores can be counted from the file."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from grokhop.config import Budget, preset
from grokhop.evaluation.evaluate import evaluate
from grokhop.evaluation.predictions import PREDICTIONS
from grokhop.runs.run import Run
from grokhop.training.train import train
from tests.settings import ran
from tests.unit.tasks.test_comparison import asked_graph


@pytest.fixture(scope="module")
def asked_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("predictions")
    asked_graph().write(folder / "graph")
    train(
        folder / "graph",
        folder / "run",
        settings=ran(preset("toy"), budget=Budget(steps=20), seeds=2, preset="toy"),
    )
    evaluate(folder / "run")
    return folder / "run"


def kept(path: Path, seed: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = pq.read_table(path / f"seed-{seed}" / PREDICTIONS).to_pylist()
    return rows


def test_the_scores_of_all_cells_are_counted_from_the_predictions(asked_run: Path) -> None:
    scores = Run.read(asked_run).read_json("eval.json", made_by="grokhop eval")
    for seed in range(2):
        rows = kept(asked_run, seed)
        for hops, by_cell in scores["cells"].items():
            for cell, score in by_cell.items():
                right = [row["right"] for row in rows if row["set"] == f"{hops} hops/{cell}"]
                apart: dict[str, Any] = (
                    scores["never_composed"][hops] if set(cell) <= {"I", "0"} else {"n": 0, "per_seed": []}
                )
                assert len(right) == score["n"] + apart["n"]
                counted = [(one["per_seed"][seed], one["n"]) for one in (score, apart) if one["n"]]
                assert sum(map(bool, right)) == pytest.approx(sum(share * n for share, n in counted))
        alone = [row["right"] for row in rows if row["set"] == "fact"]
        assert len(alone) == scores["atomic"]["n"] > 0
        for cell in ("id", "ood"):
            right = [row["right"] for row in rows if str(row["set"]).startswith(f"comparison/{cell}/")]
            assert len(right) == scores["comparison"][cell]["n"] > 0


def test_an_answer_is_right_when_the_graph_gives_it_and_every_right_answer_is_listed(asked_run: Path) -> None:
    run = Run.read(asked_run)
    labels = [entity.label for entity in run.graph.entities]
    facts = {
        (labels[h], run.graph.relations[r], labels[t])
        for h, r, t in zip(run.graph.head, run.graph.relation, run.graph.tail, strict=True)
    }
    for row in kept(asked_run, 1):
        assert row["right"] == (row["answer"] in row["expected"])  # type: ignore[operator]
        if row["set"] == "fact":
            head, relation = str(row["query"]).split(" / ")
            assert {t for h, r, t in facts if (h, r) == (head, relation)} == set(row["expected"])  # type: ignore[call-overload]
