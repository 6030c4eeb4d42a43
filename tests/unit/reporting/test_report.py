"""The report, on a tiny run folder that is written by hand: no training, no torch."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grokhop.config import Budget, preset
from grokhop.core.artifacts import write_json
from grokhop.core.errors import InputError
from grokhop.core.formatting import duration, percent
from grokhop.core.statistics import over_seeds
from grokhop.graph.graph import GraphBuilder
from grokhop.graph.splits import hold_out
from grokhop.phi.report import measure
from grokhop.reporting import report
from grokhop.reporting.curves import curves
from grokhop.reporting.plot import MOST_RELATIONS
from grokhop.reporting.reproduce import commands
from grokhop.runs.metrics import EvalRecord, keep_looks, summary
from grokhop.runs.run import Run, write_settings
from tests.settings import ran

HOSTILE = "<script>alert('pwned')</script>"
CLOSING = '</script><img src=x onerror="alert(1)">'
NON_LATIN = "Ελλάδα 日本 مصر"


def make_run(
    path: Path,
    *,
    seeds: int = 2,
    finished: int = 2,
    holdout: float = 0.3,
    evaluated: bool = True,
    relations: int = 3,
    augment: dict[str, Any] | None = None,
) -> Path:
    """Write a run folder with `seeds` seeds of which the first `finished` have ended."""
    builder = GraphBuilder(source="hand")
    for e in range(30):
        builder.entity(f"e{e}", label={0: HOSTILE, 1: CLOSING, 2: NON_LATIN}.get(e, f"entity {e}"))
    names = [HOSTILE, CLOSING, NON_LATIN, *(f"relation {i}" for i in range(3, relations))][:relations]
    for e in range(30):
        for i, relation in enumerate(names):
            builder.fact(f"e{e}", relation, f"e{(e * 7 + i + 1) % 30}")
    graph = hold_out(builder.build(), share=holdout)
    record: dict[str, Any] = {
        "stage": "ingest",
        "settings": {"source": "triples", "columns": None, "holdout": holdout},
        "inputs": [{"name": "my facts.tsv", "sha256": "0" * 64}],
    }
    if augment:
        record = {"stage": "augment", "settings": {"target_phi": 6.25, "seed": 0}, "augment": augment}
    path.mkdir()
    graph.write(path / "graph", **record)
    write_json(path / "phi.json", measure(graph).to_dict())
    write_json(path / "manifest.json", run_manifest())
    write_settings(path, ran(preset("toy"), budget="5m", seeds=max(seeds, 1)))
    for seed in range(seeds):
        looks = [
            look(50 * i, share, ood=share if holdout else None) for i, share in enumerate((0.1, 0.6, 0.96, 1.0), 1)
        ]
        folder = path / f"seed-{seed}"
        folder.mkdir()
        keep_looks(folder, looks)
        if seed < finished:
            write_json(folder / "summary.json", summary(looks).to_dict())
    if evaluated:
        write_json(path / "eval.json", evaluation(names, seeds=finished, held_out=holdout > 0))
    return path


def run_manifest() -> dict[str, Any]:
    return {
        "kind": "run",
        "schema_version": 1,
        "threads": 1,
        "composed": {"paths": 1234, "leak_checked_pieces": 1000, "leaked_facts": 0, "leaked_queries": 0},
        "created": "2026-01-02T03:04:05+00:00",
        "versions": {"grokhop": "0.1.0"},
        "hardware": {"processor": "a <b>fast</b> one", "cores": 2, "system": "Linux"},
    }


def look(step: int, share: float, *, ood: float | None) -> EvalRecord:
    cells = {"2": {"II": share}, "3": {"0": share / 2}}
    accuracies: dict[str, Any] = {"train": share, "id": share, "ood": ood, "cells": cells}
    times = {"step": step, "seconds": step / 10, "epochs": step / 100, "rows_per_second": 9000.0}
    return EvalRecord(**times, loss=1 / step, cooling=step > 150, **accuracies)  # type: ignore[arg-type]


def score(right: int, n: int, seeds: int) -> dict[str, Any]:
    return over_seeds([np.arange(n) < right] * seeds).to_dict()


def asked(right: int, n: int, seeds: int) -> dict[str, Any]:
    """The scores of questions (`grokhop.evaluation.qa_metrics.score`) as the report reads them."""
    return {**score(right, n, seeds), "f1": 0.8125, "evidence_f1": 0.7321, "parsed": 1.0}


def floor(majority: float, pair: float, asked: bool = True) -> dict[str, float | None]:
    return {"majority": majority, "pair": pair, "head": 0.0} if asked else dict.fromkeys(("majority", "pair", "head"))


def evaluation(relations: list[str], *, seeds: int, held_out: bool) -> dict[str, Any]:
    two = {
        "II": score(1999, 2000, seeds),
        **{cell: score(40, 50 if held_out else 0, seeds) for cell in ("IO", "OI", "OO")},
    }
    two = two if held_out else {"II": two["II"], **{cell: score(0, 0, seeds) for cell in ("IO", "OI", "OO")}}
    three = {"0": score(9, 10, seeds), **{cell: score(0, 0, seeds) for cell in "123"}}
    miss = {
        "seed": 0,
        "id": "q",
        "question": HOSTILE,
        "expected": CLOSING,
        "read": [NON_LATIN, HOSTILE],
        "cause": "hop 2",
    }
    return {
        "seeds": seeds,
        "atomic": score(90, 90, seeds),
        "atomic_held_out": score(0, 0, seeds),
        "cells": {"2": two, "3": three},
        "floors": {
            "2": {"II": floor(0.0625, 0.03125), **{c: floor(0.125, 0.1875, held_out) for c in ("IO", "OI", "OO")}},
            "3": {"0": floor(0.5, 0.25), **{cell: floor(0, 0, False) for cell in "123"}},
        },
        "comparison": {
            "id": {**score(13, 20, seeds), "majority": 0.44},
            "ood": {**score(0, 0, seeds), "majority": None},
        },
        "rules": [],
        "questions": {
            "comparison": {"id": {**asked(11, 16, seeds), "misses": [], "baseline": 0.5625}},
            "compositional": {"ood": {**asked(3, 4, seeds), "misses": [miss]}},
        },
        "parsed": 0.975,
        "per_relation": [
            {"relation": r, "first_hop": {"II": score(7, 9, seeds)}, "last_hop": {"II": score(0, 0, seeds)}}
            for r in relations
        ],
        "per_pair": [{"relations": [a, b], **score(7, 9, seeds)} for a in relations for b in relations[:3]],
    }


def page(path: Path) -> str:
    return report(path).read_text()


def without_plotly(html: str) -> str:
    """The page without the longest script, which is Plotly's own file."""
    return html.replace(max(re.findall(r"<script>.*?</script>", html, re.S), key=len), "")


def plotted(html: str) -> dict[str, Any]:
    found = re.search(r"^const figures = (.*);$", html, re.M)
    assert found
    return dict(json.loads(found[1]))


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    return page(make_run(tmp_path_factory.mktemp("report") / "run"))


def test_the_report_is_one_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    before = {p.name for p in run.iterdir()}
    assert report(run) == run / "report.html"
    assert {p.name for p in run.iterdir()} == before | {"report.html"}


def test_nothing_is_fetched_when_the_report_is_opened(html: str) -> None:
    own = without_plotly(html)
    assert not re.findall(r"""(?:src|href|action|data)\s*=\s*["']?\s*(?:https?:)?//""", own)
    assert not re.findall(r"@import|url\(|<link|<iframe|import\(|fetch\(|XMLHttpRequest", own)
    assert not re.findall(r"https?://", own)
    assert "default-src 'none'" in html


def test_plotly_is_inside_exactly_once(html: str) -> None:
    assert html.count("plotly.js v") == 1
    assert 4e6 < len(html) < 6e6


def test_the_verdict_names_the_main_numbers(html: str) -> None:
    heading = re.search(r"<h1>(.*?)</h1>", html, re.S)
    assert heading
    for number in ("99.95 %", "80.0 %", "mean of 2 seeds", "Not grokked"):
        assert number in heading[1]


@pytest.mark.parametrize("number", ["2,000", "67.0 % to 88.8 %", "90.0 %", "1,234", "15.0 s", "77.8 %"])
def test_a_measured_number_appears(html: str, number: str) -> None:
    assert number in without_plotly(html)


@pytest.mark.parametrize(
    "text",
    ["ID comparison", "65.0 %", "44.0 %", "97.5 % of the questions were understood", "56.2 %", "81.2 %", "73.2 %"],
)
def test_comparisons_and_the_scores_of_questions_appear(html: str, text: str) -> None:
    assert text in without_plotly(html)


def test_the_floor_stands_beside_every_cell_and_names_the_rule_that_reaches_it(html: str) -> None:
    own = without_plotly(html)
    assert '>6.2 %</span><br><small class="how">the commonest tail of the last relation</small>' in own
    assert '>18.8 %</span><br><small class="how">the commonest end of the last two relations</small>' in own
    assert 'title="majority 12.5 %, pair 18.8 %, head 0 %"' in own
    tile = re.search(r"both facts held out; floor 18.8 %, the commonest end of the last two relations", own)
    assert tile and tile.start() < own.index("<section")
    assert own.index("floor 50.0 %, the commonest tail of the last relation") < own.index("<section")


def test_controls_and_baselines_stand_beside_every_cell_and_the_controls_at_the_top_too(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    found = json.loads((run / "eval.json").read_text())
    found["controls"] = {
        "no-chains": {
            "seeds": 1,
            "atomic": score(90, 90, 1),
            "cells": {"2": {"II": score(3, 40, 1), "OO": score(1, 32, 1)}},
        }
    }
    write_json(run / "eval.json", found)
    lookup = {"cells": {"2": {"II": score(17, 32, 1), "OO": score(19, 32, 1)}}}
    write_json(run / "baselines.json", {"baselines": {"lookup": lookup, "oracle": {}}, "model": None})
    html = without_plotly(page(run))
    assert '<th class="n">floor</th><th class="n how">no-chains</th><th class="n how">lookup</th>' in html
    row = html[html.index('<td class="name">2 hops, OO</td>') :]
    assert '<td class="n">3.1 %</td><td class="n">59.4 %</td>' in row[: row.index("</tr>")]
    assert "the commonest end of the last two relations; no-chains 3.1 %" in html[: html.index("<section")]
    table = html[html.index('<th class="n how">no-chains</th>') :]
    columns = {line.count("<td") for line in table[: table.index("</table>")].splitlines() if line.startswith("<tr>")}
    assert columns == {9}


def test_a_run_that_was_evaluated_before_there_were_floors_is_reported(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    found = json.loads((run / "eval.json").read_text())
    write_json(run / "eval.json", {key: value for key, value in found.items() if key != "floors"})
    html = without_plotly(page(run))
    assert "floor 18.8 %" not in html and "2 hops, OO" in html


def test_a_cell_of_comparisons_that_asks_nothing_is_left_out(html: str) -> None:
    assert "OOD comparison" not in without_plotly(html)


def test_a_run_that_was_evaluated_before_there_were_comparisons_is_reported(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    found = json.loads((run / "eval.json").read_text())
    kept = {key: value for key, value in found.items() if key not in ("comparison", "rules", "parsed")}
    kept["questions"] = {"compositional": {"ood": {**asked(4, 4, 2), "misses": []}}}
    write_json(run / "eval.json", kept)
    html = without_plotly(page(run))
    assert "ID comparison" not in html
    assert "No misses" in html


def test_before_eval_the_report_says_which_command_is_missing_and_still_shows_curves(tmp_path: Path) -> None:
    html = page(make_run(tmp_path / "run", evaluated=False))
    assert "grokhop eval run" in html
    assert "on validation queries" in html
    assert set(plotted(html)) == {"phi", "learning"}


def test_an_unfinished_seed_is_named_with_the_command_that_goes_on(tmp_path: Path) -> None:
    html = without_plotly(page(make_run(tmp_path / "run", seeds=3, finished=2)))
    assert "Seed 2 of 3 not finished" in html
    assert "--resume" in html
    assert "not finished</small>" in html


def test_a_run_without_hold_out_is_reported_without_a_claim_about_ood(tmp_path: Path) -> None:
    html = without_plotly(page(make_run(tmp_path / "run", holdout=0)))
    assert "No fact was held out" in html
    assert "rokked" not in html.split("</h1>")[0]


def test_one_seed_has_no_thin_lines_and_no_spread(tmp_path: Path) -> None:
    html = page(make_run(tmp_path / "run", seeds=1, finished=1))
    assert "one seed" in html
    assert not [trace for trace in plotted(html)["learning"]["data"] if "seed" in trace.get("name", "")]


def test_a_run_that_has_not_looked_yet_is_reported(tmp_path: Path) -> None:
    html = without_plotly(page(make_run(tmp_path / "run", seeds=0, finished=0, evaluated=False)))
    assert "Not trained yet" in html


def test_hostile_labels_are_escaped_in_the_page_and_in_its_figures(html: str) -> None:
    own = without_plotly(html)
    assert HOSTILE not in own and CLOSING not in own and "<img" not in own and "<b>fast" not in own
    assert "&lt;script&gt;" in own
    for text in texts(plotted(html)):
        assert not re.search(r"<(?!br>|extra>|/extra>)", text), text


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [t for v in value.values() for t in texts(v)]
    return (
        [t for v in value for t in texts(v)] if isinstance(value, list) else [value] if isinstance(value, str) else []
    )


def test_labels_in_any_script_are_kept(html: str) -> None:
    assert NON_LATIN in html
    assert any(NON_LATIN in text for text in texts(plotted(html)))


def test_every_figure_is_one_that_plotly_accepts(html: str) -> None:
    import plotly.graph_objects as go

    for figure in plotted(html).values():
        go.Figure(data=figure["data"], layout=figure["layout"])


def test_hundreds_of_relations_are_cut_to_the_most_used_and_the_page_says_so(tmp_path: Path) -> None:
    html = page(make_run(tmp_path / "run", relations=200))
    assert len(plotted(html)["phi"]["data"][0]["y"]) == MOST_RELATIONS
    assert len(plotted(html)["hardest"]["data"][0]["z"]) <= MOST_RELATIONS
    assert "The 30 relations with the most facts, of 200" in html
    assert "30 most asked of 200 relations" in html


def test_an_augmented_graph_shows_phi_with_and_without_the_added_facts(tmp_path: Path) -> None:
    rows = [{"relation": name, "phi_before": 1.5} for name in (HOSTILE, CLOSING, NON_LATIN)]
    record = {"added": 77, "phi_before": 1.5, "phi_after": 7.0, "target": 6.25, "per_relation": rows, "unreachable": []}
    html = page(make_run(tmp_path / "run", augment=record))
    assert "added 77 facts" in html
    assert [trace["name"] for trace in plotted(html)["phi"]["data"]] == ["with added facts", "observed facts alone"]
    assert "grokhop augment graph --target-phi 6.25 --seed 0 -o augmented" in html


def test_the_commands_are_those_that_made_the_run(tmp_path: Path) -> None:
    assert commands(Run.read(make_run(tmp_path / "run"))) == [
        "grokhop ingest triples 'my facts.tsv' --holdout 0.3 -o graph",
        "grokhop train graph --preset toy --budget 5m --seeds 2 --threads 1 -o run",
        "grokhop eval run",
        "grokhop report run",
    ]


def test_an_augmented_graph_is_made_again_from_the_ingest_that_it_keeps(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", augment={"added": 0})
    files = [{"name": name, "sha256": name * 8} for name in ("dev.json", "other.json", "dev.json")]
    settings = {"source": "2wiki", "holdout": 0.1, "ood_questions": "/somewhere/else/dev.json"}
    change(run / "graph" / "manifest.json", ingest={"stage": "ingest", "inputs": files, "settings": settings})
    assert commands(Run.read(run))[:3] == [
        "grokhop ingest 2wiki dev.json other.json --holdout 0.1 --ood-questions dev.json -o graph",
        "grokhop augment graph --target-phi 6.25 --seed 0 -o augmented",
        "grokhop train augmented --preset toy --budget 5m --seeds 2 --threads 1 -o run",
    ]
    assert "other.jsonother.json" in page(run)


def test_labels_are_an_option_and_no_file_of_facts(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    settings = {"source": "triples", "columns": "s,p,o", "labels": "names.tsv", "holdout": 0.3}
    inputs = [{"name": name, "sha256": "0" * 64} for name in ("a.tsv", "names.tsv")]
    change(run / "graph" / "manifest.json", settings=settings, inputs=inputs)
    assert commands(Run.read(run))[0] == (
        "grokhop ingest triples a.tsv --columns s,p,o --labels names.tsv --holdout 0.3 -o graph"
    )


@pytest.mark.parametrize(
    "budget", [{"seconds": 90.0}, {"seconds": 5400.0}, {"seconds": 1234567.5}, {"steps": 2000}, {"steps": 10**9}]
)
def test_the_budget_of_the_command_is_the_one_of_the_run(tmp_path: Path, budget: dict[str, float]) -> None:
    run = make_run(tmp_path / "run")
    write_settings(run, ran(Run.read(run).settings, budget=Budget(**budget)))
    words = shlex.split(commands(Run.read(run))[1])
    assert Budget.parse(words[words.index("--budget") + 1]) == Budget(**budget)


def test_where_questions_take_the_chains_of_held_out_facts_the_verdict_is_about_them(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    found = evaluation([HOSTILE], seeds=2, held_out=True)
    found["cells"]["2"]["OO"] = score(0, 0, 2)
    change(
        run / "eval.json", cells=found["cells"], questions={"inference": {"ood": {**asked(68, 68, 2), "misses": []}}}
    )
    html = without_plotly(page(run))
    assert "99.95 % in distribution on 2,000 two-hop test queries and 100 % out of distribution on 68 questions" in html
    assert "questions over held-out facts alone" in html
    assert "No query is in cell OO" in html
    assert "No misses" in html


def test_a_graph_is_not_said_to_have_hubs(html: str) -> None:
    assert "hubs" not in without_plotly(html)


def change(path: Path, **values: Any) -> None:
    write_json(path, {**json.loads(path.read_text()), **values})


def test_the_mean_of_the_seeds_keeps_a_finished_seed_at_its_last_value() -> None:
    long, short = ([look(50 * i, i / 10, ood=0.5) for i in range(1, n)] for n in (5, 3))
    figure = curves({0: long, 1: short}, {0: summary(long).grok, 1: summary(short).grok}, untrained=None)
    mean = next(trace for trace in figure["data"] if trace["name"] == "training")
    assert mean["y"] == pytest.approx([0.1, 0.2, 0.25, 0.3])
    assert [view["label"] for view in figure["views"]] == ["seconds", "steps", "epochs"]


def test_a_missing_run_and_a_newer_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="grokhop train"):
        report(tmp_path / "nowhere")
    run = make_run(tmp_path / "run")
    write_json(run / "manifest.json", {**run_manifest(), "schema_version": 99})
    with pytest.raises(InputError, match="upgrade"):
        report(run)


def test_the_report_is_made_without_torch(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    code = (
        "import sys; from pathlib import Path; import grokhop.reporting as r; light = 'plotly' not in sys.modules;"
        f"r.report(Path({str(run)!r})); print(light, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100 %"), (0.9999999999999998, "100 %"), (0.0, "0 %"), (0.9995, "99.95 %"), (0.5, "50.0 %"), (None, "–")],
)
def test_only_all_is_a_hundred_per_cent(share: float | None, text: str) -> None:
    assert percent(share) == text


def test_durations_are_read_at_a_glance() -> None:
    assert [duration(s) for s in (9.44, 75.2, 720, 12600)] == ["9.4 s", "75 s", "12 min", "3.5 h"]
