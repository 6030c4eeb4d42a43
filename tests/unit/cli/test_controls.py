"""Controls from the command line: trained, kept, resumed as the same alone, and named wherever numbers are shown."""

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from typer.testing import CliRunner

from grokhop.cli.main import app
from grokhop.config import Control
from grokhop.core.errors import InputError
from grokhop.graph.graph import Graph
from grokhop.runs.run import EVAL, REPORT, Run
from grokhop.tasks.controls import permuted_heldout
from tests.graphs import triples

CONTROLS = [control for control in get_args(Control) if control != "none"]
TINY = [
    "--preset",
    "toy",
    "--budget",
    "6 steps",
    "--threads",
    1,
    "--set",
    "model.d_model=16",
    "--set",
    "model.n_heads=2",
]


def cli(*words: Any) -> Any:
    return CliRunner().invoke(app, list(map(str, words)))


@pytest.fixture(scope="module", params=CONTROLS)
def trained(request: pytest.FixtureRequest, mini_graph: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("controls") / "run"
    result = cli("train", mini_graph, "--control", request.param, *TINY, "-o", out, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["control"] == request.param
    assert f"control {request.param}: " in result.stderr
    return Run.read(out)


def test_a_control_is_kept_with_its_settings_and_what_was_trained(trained: Run, mini_graph: Path) -> None:
    assert trained.settings.task.control == trained.control
    counts, graph = trained.manifest["composed"], Graph.read(mini_graph)
    assert counts == trained.dataset.counts
    assert (counts["chains"] == 0) == (trained.control == "no-chains")
    assert (counts["held_out_rows"] == 0) == (trained.control == "no-heldout-facts")
    assert (counts.get("shuffled_ends", 0) > 0) == (trained.control == "shuffled-ends")
    wanted = permuted_heldout(graph) if trained.control == "permuted-heldout" else graph
    assert triples(trained.plain_graph) == triples(wanted)
    assert (counts.get("permuted_facts", 0) > 0) == (triples(wanted) != triples(graph))
    assert np.array_equal(trained.plain_graph.part, graph.part)


def test_a_control_is_named_in_what_is_asked_and_reported(trained: Run) -> None:
    asked = cli("eval", trained.path, "--json")
    assert asked.exit_code == 0, asked.output
    assert json.loads(asked.stdout)["control"] == trained.control
    assert json.loads((trained.path / EVAL).read_text())["control"] == trained.control
    assert f"control {trained.control}" in " ".join(cli("eval", trained.path).stdout.split())
    assert f"control {trained.control}" in " ".join(cli("ask", trained.path, "e1 / r1 / r2").stdout.split())
    baselines = cli("eval", trained.path, "--baseline", "majority")
    assert f"control {trained.control}" in " ".join(baselines.stdout.split())
    assert cli("report", trained.path).exit_code == 0
    page = (trained.path / REPORT).read_text()
    assert f"Control {trained.control}. " in page
    assert "This run is a control" in page
    assert f"--control {trained.control}" in page


def test_a_control_goes_on_as_the_same_control_alone(trained: Run, mini_graph: Path) -> None:
    again = ["train", mini_graph, *TINY, "-o", trained.path, "--resume"]
    assert cli(*again, "--control", trained.control).exit_code == 0
    for other in (["--control", next(c for c in CONTROLS if c != trained.control)], []):
        refused = cli(*again, *other)
        assert isinstance(refused.exception, InputError)
        assert f"{trained.control} control" in str(refused.exception)


def test_a_run_that_is_no_control_names_none(mini_graph: Path, tmp_path: Path) -> None:
    result = cli("train", mini_graph, *TINY, "-o", tmp_path / "run", "--json")
    assert "control" not in json.loads(result.stdout)
    assert "control" not in result.stderr
    assert "control" not in json.loads(cli("eval", tmp_path / "run", "--json").stdout)
    assert Run.read(tmp_path / "run").control is None


def test_a_control_that_there_is_not_is_refused_with_those_that_there_are(mini_graph: Path, tmp_path: Path) -> None:
    refused = cli("train", mini_graph, "--control", "no-chain", *TINY, "-o", tmp_path / "run")
    assert isinstance(refused.exception, InputError)
    assert all(control in str(refused.exception) for control in CONTROLS)


def test_a_control_can_be_set_by_a_file_and_varied_by_a_sweep(mini_graph: Path, tmp_path: Path) -> None:
    (tmp_path / "control.yaml").write_text("preset: toy\ntask: {control: no-chains}\nresources: {budget: 2 steps}\n")
    assert cli("train", mini_graph, "--config", tmp_path / "control.yaml", "-o", tmp_path / "run").exit_code == 0
    assert Run.read(tmp_path / "run").control == "no-chains"
    grid = ["--grid", "task.control=none,no-chains", "--phi", "all", "--seeds", 1]
    result = cli("sweep", mini_graph, "--preset", "toy", *grid, "--budget", "2 steps", "-o", tmp_path / "s", "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["contenders"]
    assert list(rows) == [f"toy task.control={control}" for control in ("none", "no-chains")]
    plain, bare = rows.values()
    assert [row["phi"] for row in plain] == [row["phi"] for row in bare]
    assert [row["trained"]["2"] for row in bare] == [0]
    assert cli("report", tmp_path / "s").exit_code == 0
