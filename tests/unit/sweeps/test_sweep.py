"""A sweep moves phi and nothing else, loses nothing when it is stopped, and says what each of its runs says."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

import grokhop.sweeps.workers as working
from grokhop.cli.main import app
from grokhop.cli.sweep_progress import Lines, progress_table
from grokhop.core.errors import InputError
from grokhop.core.statistics import CellScore, over_seeds
from grokhop.graph.graph import Graph, Split
from grokhop.graph.paths import NO_FACT, PathIndex, Queries
from grokhop.reporting import report
from grokhop.reporting.sweep.headline import reach
from grokhop.runs.metrics import append_look
from grokhop.runs.run import EVAL, SUMMARY, WEIGHTS, Run
from grokhop.runs.sweep import DONE, FAILED, RESULT, TRAINING, WAITING, Place, Progress, Sweep, last_look, parse_levels
from grokhop.runs.sweep_result import SweepResult, SweepRow
from grokhop.sweeps.results import thresholds
from grokhop.sweeps.sweep import sweep
from grokhop.tasks.dataset import TaskDataset
from grokhop.training.train import train_seed
from tests.graphs import paths_by_force, random_graph
from tests.settings import Told
from tests.unit.reporting.test_report import look, plotted, without_plotly
from tests.unit.sweeps.rows import sweep_row

MINI = [
    "model.d_model=16",
    "model.n_heads=2",
    "train.batch_size=32",
    "train.evaluate_every=10",
    "schedule.warmup_steps=5",
]
STEPS = 30
LEVELS = ("0.5", "2", "all")


@pytest.fixture(scope="module")
def whole(mini_graph: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of two presets and two seeds that nothing disturbed."""
    out = tmp_path_factory.mktemp("sweeps") / "whole"
    swept(mini_graph, out, phis=LEVELS, presets=["toy", "paper"], seeds=2)
    return out


def swept(graph: Path, out: Path, **changes: Any) -> dict[str, Any]:
    wanted = {"phis": ["2"], "presets": ["toy"], "seeds": 1, "changes": MINI, "budget": f"{STEPS} steps", "jobs": 2}
    return sweep(graph, out, **{**wanted, **changes}).to_dict()


def rows_of_result(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for preset, rows in Sweep.read(path).result().to_dict()["contenders"].items():
        yield from ((preset, row) for row in rows)


def run_of(path: Path, preset: str, level: str) -> Run:
    return Run.read(path / preset / f"phi-{level}")


def weights(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob(WEIGHTS))}


# Phi alone moves.


@pytest.mark.parametrize("preset", ["toy", "paper"])
def test_exactly_as_many_chains_are_trained_as_the_level_says(whole: Path, mini_graph: Path, preset: str) -> None:
    facts = Graph.read(mini_graph)
    trainable = int((facts.part == Split.TRAIN).sum())
    for level in LEVELS:
        run = run_of(whole, preset, level)
        dataset: TaskDataset = run.dataset
        tokens = dataset.rows.tokens[: dataset.chains]
        supervised = dataset.rows.targets[: dataset.chains]
        assert tokens.shape[1] == 3  # a head and two relations
        assert (supervised[:, 2] != supervised.min()).all()
        row = next(r for p, r in rows_of_result(whole) if (p, r["level"]) == (preset, level))
        assert row["trained"] == {"2": len(tokens)}
        assert row["trainable_facts"] == trainable
        if level != "all":
            assert len(tokens) == round(float(level) * trainable)
            assert row["phi"] == float(level)
        else:
            assert row["phi"] == len(tokens) / trainable > 2


def test_a_lower_level_trains_a_part_of_what_a_higher_one_does_and_all_are_asked_the_same(whole: Path) -> None:
    for preset in ("toy", "paper"):
        made = [run_of(whole, preset, level).dataset.compositions for level in LEVELS]
        chains = [{tuple(path) for path in each.chains.tolist()} for each in made]
        assert chains[0] < chains[1] < chains[2]
        assert not any(NO_FACT in path for path in chains[2])
        assert [asked(each.cells) for each in made[1:]] == [asked(made[0].cells)] * 2


def asked(cells: dict[str, dict[int, dict[str, Queries]]]) -> dict[tuple[str, int, str], list[list[int]]]:
    return {
        (part, hops, cell): [q.head.tolist(), *q.relations.T.tolist(), q.answers.tolist()]
        for part, by_hops in cells.items()
        for hops, by_cell in by_hops.items()
        for cell, q in by_cell.items()
    }


def test_the_phi_of_a_relation_is_counted_from_the_chains_that_use_it(whole: Path, mini_graph: Path) -> None:
    facts = Graph.read(mini_graph)
    everything = paths_by_force(facts, [facts.part == Split.TRAIN] * 2)
    trainable = Counter(facts.relations[r] for r in facts.relation[facts.part == Split.TRAIN].tolist())
    for preset, row in rows_of_result(whole):
        chains = {tuple(path) for path in run_of(whole, preset, row["level"]).dataset.compositions.chains.tolist()}
        assert chains <= everything
        used = Counter(facts.relations[r] for path in chains for r in {int(facts.relation[fact]) for fact in path})
        found = {r["relation"]: (r["trained"], r["trainable_facts"], r["phi"]) for r in row["per_relation"]}
        assert found == {r: (used[r], n, used[r] / n) for r, n in trainable.items()}


def test_queries_of_a_relation_are_those_that_use_it_at_any_hop(whole: Path, mini_graph: Path) -> None:
    names = Graph.read(mini_graph).relations
    _, row = next(rows_of_result(whole))
    run = run_of(whole, "toy", row["level"])
    cells, chaining = dict(run.dataset.test[2]), PathIndex(run.plain_graph)
    composed = run.dataset.composed(len(run.plain_graph))
    asked = cells["II"]
    cells["II"] = asked.where(chaining.go_along(asked.head, asked.relations, composed))
    for relation in row["per_relation"]:
        number = names.index(relation["relation"])
        for name, cell in (("id", "II"), ("ood", "OO")):
            uses = [number in relations for relations in cells[cell].relations.tolist()]
            assert relation[name]["n"] == sum(uses)


@pytest.mark.parametrize(("phis", "text"), [(["0.5", "50"], "phi 50.*offers phi"), (["0.001"], "less than one")])
def test_a_level_that_the_graph_does_not_offer_is_refused_before_anything_is_written(
    mini_graph: Path, tmp_path: Path, phis: list[str], text: str
) -> None:
    with pytest.raises(InputError, match=text):
        swept(mini_graph, tmp_path / "new" / "sweep", phis=phis)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("phis", [["0"], ["-1"], ["many"], ["nan"], ["inf"], [""], []])
def test_what_is_no_level_is_refused(phis: list[str]) -> None:
    with pytest.raises(InputError, match="--phi"):
        parse_levels(phis)


def test_a_level_has_one_name_however_it_is_written_and_all_is_the_highest() -> None:
    assert parse_levels(["all", "12", " 2.0", "3.6", 2, "0.50"]) == ("0.5", "2", "3.6", "12", "all")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"changes": ["task.phi=3"]}, "--phi"),
        ({"presets": ["none"]}, "no preset"),
        ({"changes": ["width=3"]}, "sets nothing"),
        ({"hops": 1}, "--hops"),
    ],
)
def test_settings_that_cannot_be_are_refused_first(
    mini_graph: Path, tmp_path: Path, changes: dict[str, Any], text: str
) -> None:
    with pytest.raises(InputError, match=text):
        swept(mini_graph, tmp_path / "sweep", **changes)


# What came of it.


def test_the_numbers_of_the_sweep_are_those_of_each_run(whole: Path) -> None:
    found = list(rows_of_result(whole))
    assert [(p, r["level"]) for p, r in found] == [(p, level) for p in ("toy", "paper") for level in LEVELS]
    for preset, row in found:
        run = run_of(whole, preset, row["level"])
        evaluation = json.loads((run.path / EVAL).read_text())
        assert row["seeds"] == [0, 1]
        assert row["id"] == evaluation["cells"]["2"]["II"]
        assert row["ood"] == evaluation["cells"]["2"]["OO"]
        assert row["cells"] == {"2": evaluation["cells"]["2"]}
        assert row["untrained"] == {"3": evaluation["cells"]["3"]}
        assert len(row["ood"]["per_seed"]) == 2
        assert row["train_seconds"] == [run.summary(seed).train_seconds for seed in (0, 1)]
        assert row["grok"] == {
            n: [run.summary(s).to_dict()["grok"][n] for s in (0, 1)] for n in ("train_99", "id_95", "ood_95")
        }
        assert run.manifest["threads"] == 1
        assert run.settings.task.phi == (0 if row["level"] == "all" else float(row["level"]))


def test_a_result_is_read_as_it_was_written(whole: Path) -> None:
    written = json.loads((whole / RESULT).read_text())
    result = Sweep.read(whole).result()
    assert result.to_dict() == written
    assert SweepResult.from_dict(result.to_dict()) == result
    always = {"graph", "hops", "budget", "contenders", "thresholds", "failed", "created", "versions", "hardware"}
    assert written.keys() == always
    row = written["contenders"]["toy"][0]
    of_run = {"level", "phi", "trained", "trainable_facts", "seeds", "train_seconds", "steps", "grok", "per_relation"}
    assert row.keys() == of_run | {"id", "ood", "asked", "cells", "untrained", "comparison", "questions"}
    assert row["per_relation"][0].keys() == {"relation", "trainable_facts", "trained", "phi", "id", "ood"}


def test_a_failure_is_listed_by_its_place(whole: Path) -> None:
    failure = {"contender": "toy", "level": "2", "seed": None, "error": "no memory"}
    result = SweepResult.from_dict({**json.loads((whole / RESULT).read_text()), "failed": [failure]})
    assert result.to_dict()["failed"] == [failure]
    assert result.failed[0].what == "the test queries"


def test_a_damaged_result_is_refused(whole: Path, tmp_path: Path) -> None:
    out = copytree(whole, tmp_path / "sweep")
    (out / RESULT).write_text('{"contenders": {}}')
    with pytest.raises(InputError, match="damaged"):
        Sweep.read(out).result()


def test_the_result_says_of_what_and_on_what_it_is(whole: Path, mini_graph: Path) -> None:
    result = Sweep.read(whole).result().to_dict()
    assert result["graph"]["facts"] == len(Graph.read(mini_graph))
    assert result["graph"]["name"] == "mini"
    assert result["budget"] == {"steps": STEPS}
    assert result["failed"] == []
    assert {"versions", "hardware", "thresholds"} <= result.keys()


def level_row(phi: float, id_share: float | None, ood: float | None) -> SweepRow:
    return sweep_row(phi=phi, level=f"{phi:g}", id=CellScore(accuracy=id_share), ood=CellScore(accuracy=ood))


def test_the_threshold_is_the_smallest_level_that_was_enough() -> None:
    rows = [level_row(0.5, 0.96, None), level_row(1, 0.99, 0.9499), level_row(2, 1.0, 0.95), level_row(4, 1.0, 1.0)]
    assert thresholds(rows) == {"id": 0.5, "ood": 2}
    assert thresholds(rows[:2]) == {"id": 0.5, "ood": None}
    assert thresholds([]) == {"id": None, "ood": None}
    assert reach(rows, "ood") == "from phi 2 on"
    assert reach(rows[:2], "ood") == "at no phi up to 1"
    assert reach(rows, "id") == "at every phi from 0.5 to 4"
    assert reach([*rows, level_row(8, 1.0, 0.5)], "ood") == "first at phi 2, but not at 8"


def test_scores_are_pooled_seed_by_seed() -> None:
    sets = [[np.arange(n) < right for right in rights] for n, rights in ((10, (3, 5)), (30, (30, 20)), (0, (0, 0)))]
    together = [np.concatenate([rights[seed] for rights in sets]) for seed in (0, 1)]
    assert CellScore.pooled(over_seeds(rights) for rights in sets) == over_seeds(together)
    assert CellScore.pooled([over_seeds(sets[2])]) == over_seeds(sets[2])


def test_scores_of_different_numbers_of_seeds_are_pooled_by_what_is_right_on_average() -> None:
    one, two = over_seeds([np.arange(10) < 8]), over_seeds([np.arange(30) < right for right in (20, 10)])
    together = CellScore.pooled([one, two])
    assert together.accuracy == pytest.approx((8 + 15) / 40)
    assert (together.n, together.per_seed, together.spread) == (40, [], None)


# It goes on after a stop, and grows.


def stops_early(path: Path, seed: int) -> None:
    """A job that dies with its process after the second look, as a machine that is switched off would."""
    run, looks = Run.read(path), []

    def watch(_seed: int, look: Any) -> None:
        looks.append(look)
        if len(looks) == 2 and run.settings.task.phi:
            os._exit(9)

    train_seed(run, run.dataset, seed, run.settings, Told(watch))


def test_a_sweep_whose_processes_died_goes_on_to_the_same_weights(
    mini_graph: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, told = tmp_path / "sweep", list[list[Progress]]()
    with monkeypatch.context() as patched:
        patched.setattr(working, "train_one", stops_early)
        result = swept(mini_graph, out, phis=["2", "all"], seeds=2, notice=told.append)
    assert [(f["contender"], f["level"], f["seed"]) for f in result["failed"]] == [
        ("toy", "2", 0),
        ("toy", "2", 1),
    ]
    assert "memory" in result["failed"][0]["error"]
    assert [row["level"] for row in result["contenders"]["toy"]] == ["all"]
    assert Counter(seed.state for seed in told[-1]) == {FAILED: 2, DONE: 2}
    assert {seed.look.step for seed in told[-1] if seed.look and seed.state == FAILED} == {20}
    html = without_plotly(report(out).read_text())
    assert html.count("its process ended without a word") == 2
    assert "No seed has ended: toy, phi 2." in html
    finished = (out / "toy" / "phi-all" / "seed-0" / WEIGHTS).stat().st_mtime_ns
    again = swept(mini_graph, out, phis=["2", "all"], seeds=2, resume=True)
    assert again["failed"] == []
    assert (out / "toy" / "phi-all" / "seed-0" / WEIGHTS).stat().st_mtime_ns == finished
    assert len(weights(out)) == 4
    assert weights(out).items() <= weights(whole).items()
    straight = [row["ood"] for preset, row in rows_of_result(whole) if preset == "toy"][1:]
    assert [row["ood"] for row in again["contenders"]["toy"]] == straight


class StopError(Exception):
    """Stands for Ctrl-C."""


def test_a_sweep_that_is_stopped_stops_its_processes_and_goes_on(
    mini_graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "POLL_SECONDS", 0.02)
    out, budget = tmp_path / "sweep", "2000 steps"

    def stop(progress: list[Progress]) -> None:
        if any(seed.look for seed in progress):
            raise StopError

    with pytest.raises(StopError):
        swept(mini_graph, out, budget=budget, notice=stop)
    assert not list(out.rglob(SUMMARY))
    assert not (out / "sweep.json").exists()
    with pytest.raises(InputError, match="--resume"):
        report(out)
    with pytest.raises(InputError, match="--budget"):
        swept(mini_graph, out, resume=True)


def fails_once(path: Path, seed: int) -> None:
    """A job that cannot do its work."""
    if path.name == "phi-2.5" and seed == 0:
        raise ZeroDivisionError("division by zero")
    working.train_one(path, seed)


def test_a_failing_seed_is_reported_and_the_others_go_on_and_more_can_be_added(
    mini_graph: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = copytree(whole, tmp_path / "sweep")
    before = weights(out)
    grid: dict[str, Any] = {"phis": [*LEVELS, "2.5"], "presets": ["toy", "paper"], "resume": True}
    with monkeypatch.context() as patched:
        patched.setattr(working, "train_one", fails_once)
        result = swept(mini_graph, out, **grid, seeds=2)
    assert [(f["contender"], f["level"], f["seed"], f["error"]) for f in result["failed"]] == [
        (preset, "2.5", 0, "ZeroDivisionError: division by zero") for preset in ("toy", "paper")
    ]
    added = [row for rows in result["contenders"].values() for row in rows if row["level"] == "2.5"]
    assert [row["seeds"] for row in added] == [[1], [1]]
    phis = [row["phi"] for row in result["contenders"]["toy"]]
    assert phis == sorted(phis)
    html = without_plotly(report(out).read_text())
    assert "toy, phi 2.5, seed 0 failed: ZeroDivisionError" in html
    assert {name: found for name, found in weights(out).items() if name in before} == before
    grown = swept(mini_graph, out, **grid, seeds=3)
    assert {tuple(row["seeds"]) for rows in grown["contenders"].values() for row in rows} == {(0, 1, 2)}
    assert {Run.read(p.parent).settings.resources.seeds for p in out.glob("*/*/manifest.json")} == {3}
    assert Sweep.read(out).levels == ("0.5", "2", "2.5", "all")
    assert {name: found for name, found in weights(out).items() if name in before} == before


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"phis": ["0.5", "2"]}, "and more"),
        ({"presets": ["toy"]}, "and more"),
        ({"seeds": 1}, "and more"),
        ({"changes": [*MINI, "train.batch_size=64"]}, "settings of its own"),
        ({"hops": 3}, "settings of its own"),
        ({"phis": [*LEVELS, "50"]}, "phi 50"),
    ],
)
def test_a_sweep_goes_on_only_as_what_it_was_begun(
    mini_graph: Path, whole: Path, changes: dict[str, Any], text: str
) -> None:
    grid = {"phis": LEVELS, "presets": ["toy", "paper"], "seeds": 2, "resume": True, **changes}
    before = (whole / "manifest.json").read_bytes()
    with pytest.raises(InputError, match=text):
        swept(mini_graph, whole, **grid)
    assert (whole / "manifest.json").read_bytes() == before


def test_a_sweep_of_another_graph_is_refused_and_none_is_overwritten(
    mini_graph: Path, whole: Path, tmp_path: Path
) -> None:
    random_graph(entities=20, relations=5, degree=4, holdout=0.2, seed=1).write(tmp_path / "other")
    grid: dict[str, Any] = {"phis": LEVELS, "presets": ["toy", "paper"], "seeds": 2}
    with pytest.raises(InputError, match="another graph"):
        swept(tmp_path / "other", whole, **grid, resume=True)
    with pytest.raises(InputError, match="--force"):
        swept(mini_graph, whole, **grid)
    with pytest.raises(InputError, match="not a sweep folder"):
        Sweep.read(whole / "toy" / "phi-2")


# What people see.


def seen(seed: int, state: str, *, step: int = 0, seconds: float = 0.0) -> Progress:
    looked = look(step, 0.5, ood=0.25) if step else None
    return Progress(place=Place("loop", "2"), seed=seed, state=state, look=looked and replace(looked, seconds=seconds))


def test_lines_are_said_when_something_begins_and_ends_and_from_time_to_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = Lines()
    for progress in (
        [seen(0, WAITING), seen(1, WAITING)],
        [seen(0, TRAINING), seen(1, WAITING)],
        [seen(0, TRAINING, step=50, seconds=2), seen(1, WAITING)],
        [seen(0, TRAINING, step=60, seconds=3), seen(1, FAILED)],
        [seen(0, TRAINING, step=300, seconds=13), seen(1, FAILED)],
        [seen(0, DONE, step=310, seconds=14), seen(1, FAILED)],
        [seen(0, DONE, step=310, seconds=14), seen(1, FAILED)],
    ):
        lines(progress)
    said = [line.partition(" train")[0] for line in capsys.readouterr().err.splitlines()]
    start = "loop, phi 2, seed"
    assert said == [
        f"{start} 0 step 50 2 s",
        f"{start} 1 failed",
        f"{start} 0 step 300 13 s",
        f"{start} 0 step 310 14 s",
    ]


def test_the_live_table_has_a_row_for_each_level_and_a_cell_for_each_seed() -> None:
    console = Console(width=80)
    progress = [seen(0, TRAINING, step=50), seen(1, DONE, step=70), seen(2, FAILED), seen(3, WAITING)]
    with console.capture() as captured:
        console.print(progress_table(progress))
    lines = [line.split() for line in captured.get().splitlines()]
    assert lines[-1] == ["loop,", "phi", "2", "50", "50.0", "25.0", "✓", "70", "50.0", "25.0", "failed", "–"]


def test_half_a_line_of_metrics_is_not_read(tmp_path: Path) -> None:
    assert last_look(tmp_path) is None
    append_look(tmp_path, look(10, 0.5, ood=0.5))
    append_look(tmp_path, look(20, 0.5, ood=0.5))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 30, ')
    found = last_look(tmp_path)
    assert found and found.step == 20


# The report and the command.


@pytest.fixture(scope="module")
def html(whole: Path) -> str:
    return report(whole).read_text()


def test_the_report_holds_every_level_and_says_what_was_not_reached(html: str, whole: Path) -> None:
    own = without_plotly(html)
    for preset, row in rows_of_result(whole):
        name = "2.88 (all)" if row["level"] == "all" else row["level"]
        assert re.search(rf"<td>{preset}</td><td class=\"n\">{re.escape(name)}", own)
    assert "not reached" in own
    assert "at no phi up to 2.88 (all)" in own
    assert "grokhop sweep graph --phi 0.5,2,all --preset toy,paper --set model.d_model=16" in own
    assert "--budget &#39;30 steps&#39; --seeds 2 --jobs 2 -o whole" in own


def test_every_figure_of_a_sweep_is_one_that_plotly_accepts(html: str) -> None:
    import plotly.graph_objects as go

    figures = plotted(html)
    assert set(figures) >= {"accuracy", "relations", "curves"}
    for figure in figures.values():
        go.Figure(data=figure["data"], layout=figure["layout"])
    assert len([key for key in figures["curves"]["layout"] if key.startswith("xaxis")]) == 6


def test_a_threshold_that_only_some_reached_is_shown_with_how_many_did_not(whole: Path, tmp_path: Path) -> None:
    out = copytree(whole, tmp_path / "sweep")
    result = json.loads((out / "sweep.json").read_text())
    when = {"seconds": 1.5, "steps": 20, "epochs": 2.0}
    result["contenders"]["toy"][1]["grok"]["ood_95"] = [when, None]
    (out / "sweep.json").write_text(json.dumps(result))
    html = report(out).read_text()
    times = plotted(html)["times"]
    assert ["1/2"] in [trace.get("text") for trace in times["data"]] or any(
        "1/2" in (trace.get("text") or []) for trace in times["data"]
    )
    assert sum(len(trace["x"]) for trace in times["data"] if trace.get("mode") == "markers") >= 2
    assert '<td class="n">20<br><small>1 of 2</small></td>' in without_plotly(html)


def test_a_level_that_is_alone_is_named_once(whole: Path, tmp_path: Path) -> None:
    sweep = copytree(whole, tmp_path / "sweep")
    result = json.loads((sweep / RESULT).read_text())
    alone = {name: [row for row in rows if row["level"] == "2"] for name, rows in result["contenders"].items()}
    (sweep / RESULT).write_text(json.dumps({**result, "contenders": alone}))
    heading = re.search(r"<h2>(Out of distribution at phi .*?)</h2>", report(sweep).read_text())
    assert heading
    share = r"[\d.]+\s%"
    assert re.fullmatch(rf"Out of distribution at phi 2: toy {share}, paper {share}", heading[1])


def test_a_run_of_a_sweep_has_a_report_of_its_own(whole: Path) -> None:
    page = without_plotly(report(whole / "toy" / "phi-2").read_text())
    assert "grokhop train graph --preset toy --set task.phi=2.0" in page


def test_the_command_prints_the_result_alone_and_shows_tables_to_people(mini_graph: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    words = ["sweep", str(mini_graph), "--phi", "2", "--preset", "toy", "--seeds", "1", "--budget", f"{STEPS} steps"]
    words += [word for change in MINI for word in ("--set", change)]
    made = CliRunner().invoke(app, [*words, "-o", str(out), "--json"])
    assert made.exit_code == 0
    assert json.loads(made.stdout) == json.loads((out / "sweep.json").read_text())
    assert "toy, phi 2, seed 0 step 30" in made.stderr
    shown = CliRunner().invoke(app, [*words, "-o", str(out), "--resume"])
    assert shown.exit_code == 0
    assert "toy: 95 % out of distribution at no level" in shown.stdout
    assert f"grokhop report {out}" in shown.stdout.replace("\n", "")
