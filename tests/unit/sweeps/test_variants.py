"""Contenders are presets with every choice of what is varied; none is made of what was not meant."""

import json
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from grokhop.cli.main import app
from grokhop.config import preset
from grokhop.core.errors import InputError
from grokhop.core.statistics import CellScore, over_seeds
from grokhop.reporting import report
from grokhop.reporting.sweep.lengths import Asked, asked_lengths, heading
from grokhop.runs.metrics import GrokTime
from grokhop.runs.run import WEIGHTS, Run
from grokhop.runs.summary import times
from grokhop.runs.sweep import Place, Sweep
from grokhop.runs.sweep_result import SweepRow
from grokhop.sweeps.sweep import sweep
from grokhop.sweeps.variants import alternatives, contenders
from tests.unit.reporting.test_report import plotted, without_plotly
from tests.unit.sweeps.rows import sweep_row
from tests.unit.sweeps.test_sweep import MINI

NAMES = ["toy task.hops=2", "toy task.hops=3", "paper task.hops=2", "paper task.hops=3"]


def swept(graph: Path, out: Path, **changes: Any) -> dict[str, Any]:
    wanted = {"phis": ["1"], "presets": ["toy", "paper"], "grid": ["task.hops=2,3"], "seeds": 2, "changes": MINI}
    return sweep(graph, out, **{**wanted, "budget": "20 steps", "jobs": 2, **changes}).to_dict()


@pytest.fixture(scope="module")
def varied(mini_graph: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sweeps") / "varied"
    swept(mini_graph, out)
    return out


# What is meant by --grid.


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("task.hops=2,task.hops=3", [("task.hops=2",), ("task.hops=3",)]),
        ("task.hops=2, 3 ,4", [("task.hops=2",), ("task.hops=3",), ("task.hops=4",)]),
        (
            "train.loss=softmax, optimizer.name = muon,adamw",
            [("train.loss=softmax",), ("optimizer.name=muon",), ("optimizer.name=adamw",)],
        ),
        (
            "optimizer.name=muon,optimizer.name=orthograd+train.loss=stablemax",
            [("optimizer.name=muon",), ("optimizer.name=orthograd", "train.loss=stablemax")],
        ),
        ("optimizer.adam_lr=1e+3,1e-3", [("optimizer.adam_lr=1e+3",), ("optimizer.adam_lr=1e-3",)]),
        ("model.pretrained=a/b+c,d", [("model.pretrained=a/b+c",), ("model.pretrained=d",)]),
    ],
)
def test_alternatives_are_read_as_they_are_meant(text: str, meant: list[tuple[str, ...]]) -> None:
    assert alternatives(text) == meant


def test_every_preset_is_trained_with_every_choice() -> None:
    grid = ["task.hops=2,3", "optimizer.name=muon,optimizer.name=adamw+optimizer.adam_lr=0.01"]
    found = contenders(["loop", " toy", "loop"], grid, hops=None, changes=["train.batch_size=64"])
    ends = ["optimizer.name=muon", "optimizer.name=adamw optimizer.adam_lr=0.01"]
    assert [c.name for c in found] == [
        f"{p} task.hops={h} {end}" for p in ("loop", "toy") for h in (2, 3) for end in ends
    ]
    changes = ["train.batch_size=64", "task.hops=3", "optimizer.name=adamw", "optimizer.adam_lr=0.01"]
    assert found[-1].settings == preset("toy", changes=changes)
    assert found[-1].preset == "toy"


def test_where_nothing_varies_a_contender_is_its_preset() -> None:
    found = contenders(["loop", "paper"], [], hops=3, changes=[])
    assert [(c.name, c.settings) for c in found] == [(name, preset(name, hops=3)) for name in ("loop", "paper")]


@pytest.mark.parametrize(
    ("grid", "text"),
    [
        (["task.hops=9"], "contender 'loop task.hops=9': .*task.hops must be at most 8"),
        (["task.hops=1"], "task.hops must be at least 2"),
        (["task.hops=2.5"], "must be a whole number"),
        (["task.phi=1,2"], "--phi"),
        (["hop=2"], "'hop=2' sets nothing: write SECTION.NAME=VALUE"),
        (["2,3"], "'2' sets nothing"),
        ([""], "sets nothing"),
        (["task.hops=2,"], "sets nothing"),
        (["optimizer.name=adamw+train.loss=stablemax,muon"], "'muon' follows an alternative of several"),
        (["task.hops=2,3", "task.hops=4"], "sets task.hops twice"),
        (["task.hops=2+task.hops=3"], "sets task.hops twice"),
        (
            ["optimizer.adam_lr=0.001,1e-3"],
            "'loop optimizer.adam_lr=0.001' and 'loop optimizer.adam_lr=1e-3', which are the same",
        ),
    ],
)
def test_what_cannot_be_varied_is_refused_in_one_line(grid: list[str], text: str) -> None:
    with pytest.raises(InputError, match=text) as raised:
        contenders(["loop"], grid, hops=None, changes=[])
    assert "\n" not in str(raised.value)


def test_a_value_with_a_slash_makes_one_folder_and_no_two_contenders_share_it() -> None:
    names = [
        "gpt2 model.pretrained=a/b",
        "gpt2 model.pretrained=a%2Fb",
        "gpt2 model.pretrained=../b",
        "loop task.hops=3",
    ]
    paths = [Place(name, "all").path for name in names]
    assert {len(path.parts) for path in paths} == {2}
    assert len(set(paths)) == len(names)
    assert paths[-1] == Path("loop task.hops=3/phi-all")
    assert str(Place(names[0], "2")) == "gpt2 model.pretrained=a/b, phi 2"


# A sweep of contenders.


def test_each_contender_is_trained_as_it_is_called(varied: Path) -> None:
    found = Sweep.read(varied)
    assert list(found.contenders) == list(found.result().contenders) == list(found.result().thresholds) == NAMES
    assert found.presets == {name: name.split()[0] for name in NAMES}
    for name in NAMES:
        run = Run.read(varied / name / "phi-1")
        assert run.settings.preset == name.split()[0]
        wanted = preset(name.split()[0], hops=int(name[-1]), changes=[*MINI, "task.phi=1"])
        assert run.settings.trains_as(wanted)
        row = found.result().contenders[name][0]
        assert list(row.cells) == ["2", "3"][: run.settings.task.hops - 1]
        assert list(row.untrained) == [str(run.settings.task.hops + 1)]
        assert row.steps == [run.summary(seed).steps for seed in (0, 1)]


def test_a_sweep_goes_on_with_more_alternatives_and_not_with_fewer(
    mini_graph: Path, varied: Path, tmp_path: Path
) -> None:
    out = copytree(varied, tmp_path / "sweep")
    before = {p: p.stat().st_mtime_ns for p in out.rglob(WEIGHTS)}
    with pytest.raises(InputError, match=r"--phi 1 --preset toy,paper --grid task.hops=2,3 --seeds 2.*not with fewer"):
        swept(mini_graph, out, grid=["task.hops=2"], resume=True)
    grown = swept(mini_graph, out, grid=["task.hops=2,3,4"], resume=True)
    assert list(grown["contenders"]) == [
        "toy task.hops=2",
        "toy task.hops=3",
        "toy task.hops=4",
        "paper task.hops=2",
        "paper task.hops=3",
        "paper task.hops=4",
    ]
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert len(list(out.rglob(WEIGHTS))) == 12
    assert Sweep.read(out).words() == ["--phi", "1", "--preset", "toy,paper", "--grid", "task.hops=2,3,4"]


def test_the_command_varies_what_it_is_told(mini_graph: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    words = ["sweep", str(mini_graph), "--phi", "1", "--preset", "toy", "--seeds", "1", "--budget", "20 steps"]
    words += [word for change in MINI for word in ("--set", change)]
    words += ["--grid", "train.loss=softmax,stablemax", "--grid", "task.hops=2", "-o", str(out)]
    made = CliRunner().invoke(app, words)
    assert made.exit_code == 0, made.output
    assert "toy train.loss=stablemax task.hops=2, phi 1, seed 0 step 20" in made.stderr
    assert "seconds to" in made.stdout
    assert {p.name for p in out.iterdir() if p.is_dir()} == {
        "toy train.loss=softmax task.hops=2",
        "toy train.loss=stablemax task.hops=2",
    }
    wrong = CliRunner().invoke(app, [*words[:-2], "--grid", "task.phi=1", "-o", str(tmp_path / "none")])
    assert wrong.exit_code != 0
    assert not (tmp_path / "none").exists()


# What people see of it.


def row_of_times(*reached: tuple[int, float] | None) -> SweepRow:
    found = [when and GrokTime(steps=when[0], seconds=when[1], epochs=1.0) for when in reached]
    return sweep_row(grok=dict.fromkeys(("train_99", "id_95", "ood_95"), found), steps=[5000] * len(found))


@pytest.mark.parametrize(
    ("reached", "steps", "seconds"),
    [
        ([(1200, 30.0), (1400, 34.0)], ("1,300 ± 141", ""), ("32 ± 3", "")),
        ([(1200, 3.0), None, (1400, 5.0)], ("1,300 ± 141", "2 of 3"), ("4.0 ± 1.4", "2 of 3")),
        ([None, (50, 2.5)], ("50", "1 of 2"), ("2.5", "1 of 2")),
        ([None, None], ("not reached", "in 5,000 steps"), ("not reached", "in 5,000 steps")),
    ],
)
def test_times_are_of_the_seeds_that_got_there(reached: Any, steps: tuple[str, str], seconds: tuple[str, str]) -> None:
    found = [(time.text, time.note) for time in times(row_of_times(*reached))]
    assert found == [steps, steps, steps, seconds]


def score(n: int, *right: int) -> CellScore:
    return over_seeds([np.arange(n) < each for each in right]) if n else CellScore()


def test_lengths_are_asked_in_order_and_few_queries_are_pooled() -> None:
    row = sweep_row(
        cells={"2": {"II": score(40, 40, 20), "IO": score(60, 30, 30), "OI": score(20, 0, 0), "OO": score(20, 20, 10)}},
        untrained={
            "10": {str(i): score(0) for i in range(11)},
            "3": {"0": score(50, 25, 50), "1": score(9, 9, 9), "2": score(9, 9, 9), "3": score(30, 15, 0)},
        },
    )
    found = asked_lengths(row, few={2, 10})
    assert [(a.hops, a.trained) for a in found] == [(2, True), (3, False)]
    assert found[0].id.per_seed == [1, 0.5]
    assert found[0].ood.n == 100
    assert found[0].ood.per_seed == pytest.approx([0.5, 0.4])
    assert (found[1].ood.n, found[1].ood.per_seed) == (30, [0.5, 0])


def lengths(trained: int, *shares: int) -> list[Asked]:
    """Of 2 hops and more, so many per cent right."""
    return [Asked(hops, hops <= trained, score(100, right), CellScore()) for hops, right in enumerate(shares, 2)]


def test_the_heading_says_who_answers_how_far_beyond_what_was_trained() -> None:
    far, near = lengths(2, 100, 99, 98), lengths(3, 100, 100, 40)
    assert heading({"loop": far}) == "loop still has 98.0 % of ID queries two hops beyond what it was trained on"
    both = {"loop task.hops=2": lengths(2, 100, 97), "loop task.hops=3": near}
    assert heading(both) == (
        "loop task.hops=2 still has 97.0 % of ID queries one hop beyond what it was trained on; "
        "loop task.hops=3 has 40.0 %"
    )
    assert heading({"loop": near}) == "loop has 40.0 % of ID queries one hop beyond what it was trained on"
    assert heading({"loop": lengths(3, 100, 100)}) == "Accuracy by the number of hops"


def test_the_report_shows_trained_lengths_filled_and_others_hollow(varied: Path) -> None:
    import plotly.graph_objects as go

    html = report(varied).read_text()
    figures = plotted(html)
    for figure in figures.values():
        go.Figure(data=figure["data"], layout=figure["layout"])
    shown = [trace for trace in figures["lengths"]["data"] if "name" in trace and trace["xaxis"] == "x1"]
    assert [trace["name"] for trace in shown] == [f"{name}, phi 1" for name in NAMES]
    result = json.loads((varied / "sweep.json").read_text())
    for trace, name in zip(shown, NAMES, strict=True):
        row, hops = result["contenders"][name][0], int(name[-1])
        marks = [(symbol.endswith("-open"), y) for symbol, y in zip(trace["marker"]["symbol"], trace["y"], strict=True)]
        cells = [("II", "2"), ("0", "3"), ("0", "4")][:hops]
        assert marks == [(int(k) > hops, {**row["cells"], **row["untrained"]}[k][c]["accuracy"]) for c, k in cells]
    assert len({(t["line"]["color"], t["line"]["dash"], t["marker"]["symbol"][0]) for t in shown}) == len(NAMES)
    own = without_plotly(html)
    assert "More hops than trained" in own
    assert "Each contender was asked chains of the lengths it was trained on" in own
    assert "--preset toy,paper --grid task.hops=2,3 --set model.d_model=16" in own
    assert own.count("not reached<br><small>in 20 steps</small>") == 4 * len(NAMES)


def test_nine_contenders_are_told_apart(varied: Path, tmp_path: Path) -> None:
    """By a made-up sweep of nine, of which each has the runs of the same contender."""
    out = copytree(varied, tmp_path / "sweep")
    manifest, result = (json.loads((out / name).read_text()) for name in ("manifest.json", "sweep.json"))
    names = [f"toy batch_size={n}" for n in range(1, 10)]
    for name in names:
        copytree(out / "toy task.hops=2", out / name)
    same = {"settings": manifest["settings"]["toy task.hops=2"], "presets": "toy"}
    manifest |= {key: dict.fromkeys(names, value) for key, value in same.items()} | {"contenders": names}
    result["contenders"] = dict.fromkeys(names, result["contenders"]["toy task.hops=2"])
    for name, content in (("manifest.json", manifest), ("sweep.json", result)):
        (out / name).write_text(json.dumps(content))
    html = report(out).read_text()
    for figure, each in (("accuracy", 2), ("lengths", 1)):
        lines = [t for t in plotted(html)[figure]["data"] if "name" in t and t.get("showlegend", True)]
        assert len({(t["line"]["dash"], str(t["marker"]["symbol"])) for t in lines}) == len(lines) / each == 9
    assert "none of 9 contenders at any phi" in without_plotly(html)
