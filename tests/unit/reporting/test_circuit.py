"""The circuit in the report, from an explain.json that is written by hand: no training, no torch."""

import json
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest

from grokhop.core.artifacts import write_json
from grokhop.core.errors import InputError
from grokhop.reporting import report
from grokhop.reporting.heatmaps import cell_text
from tests.unit.reporting.test_report import HOSTILE, make_run, page, plotted, texts, without_plotly

NOTHING: dict[str, Any] = {"n": 0, "right": 0, "right_and_named": 0, "named_and_wrong": 0, "right_for_wrong_reason": []}
ODD = {"query": [HOSTILE, "r1", "r2"], "named": ["nowhere"], "answer": "by luck"}


def score(n: int, right: int, named: int, *, wrong: int = 0, odd: int = 0) -> dict[str, Any]:
    examples = [ODD] * odd
    return {
        "n": n,
        "right": right,
        "right_and_named": named,
        "named_and_wrong": wrong,
        "right_for_wrong_reason": examples,
    }


def place(depth: int, position: int, share: float, **more: int) -> dict[str, Any]:
    return {"depth": depth, "position": position, **more, "restored": share}


def traced(corrupted: int, n: int, bridge: float) -> dict[str, Any]:
    """A loop of two: of depth 2 only the last position is computed."""
    maps: dict[str, Any] = {"residual": [], "attention": [], "mlp": [], "heads": []}
    if n:
        maps["residual"] = [place(0, p, float(p == corrupted)) for p in range(3)]
        maps["residual"] += [place(1, 0, -0.001), place(1, 1, bridge), place(1, 2, 0.0)]
        maps["attention"] = [place(1, 1, bridge), place(2, 2, 1.0)]
        maps["mlp"] = [place(1, 1, 0.25), place(2, 2, 0.5)]
        maps["heads"] = [place(1, 1, 0.125 * h, head=h) for h in range(2)] + [place(2, 2, 0.5, head=0)]
    return {"corrupted": corrupted, "n": n, **maps}


def cell(found: dict[str, Any], *, pairs: tuple[int, int, int] = (90, 0, 80), bridge: float = 0.9) -> dict[str, Any]:
    shares = {(0, 0): (0.0, 0.1), (0, 1): (0.0, 0.0), (0, 2): (0.0, 0.0), (1, 1): (bridge, 0.0), (2, 2): (0.0, 0.75)}
    return {
        "score": found,
        "lens": [
            {"depth": d, "position": p, "probability": list(both), "rank": [1.0, 1.0]}
            for (d, p), both in shares.items()
        ],
        "trace": [traced(corrupted, n, bridge) for corrupted, n in enumerate(pairs)],
        "bridge": {"depth": 1, "position": 1} if pairs[0] else None,
        "carried_over": {"n": 64, "restored": 0.9, "answered": 0.875} if pairs[0] else None,
        "ablation": {"n": 32, "bridge": 0.25, "second": 0.96875, "second_leads_there": 0.125} if pairs[0] else None,
    }


def nothing() -> dict[str, Any]:
    return {**cell(NOTHING, pairs=(0, 0, 0)), "lens": []}


def snapshot(seed: int, step: int, ood: float, bridge: float, restored: float | None = None) -> dict[str, Any]:
    bridges = [{"depth": 1, "probability": bridge, "rank": 1.0}, {"depth": 2, "probability": 1.0, "rank": 1.0}]
    one = {"accuracy": ood, "bridge": bridges, "restored": restored}
    return {"seed": seed, "step": step, "train": {**one, "accuracy": 1.0}, "id": one, "ood": one}


def explanation(*seeds: dict[str, Any], asked: str = "ood", formation: Any = ()) -> dict[str, Any]:
    numbered = [{"seed": number, **seed} for number, seed in enumerate(seeds)]
    return {"seeds": numbered, "asked": asked, "formation": list(formation), "queries": []}


def html_of(path: Path, found: dict[str, Any]) -> str:
    write_json(make_run(path) / "explain.json", found)
    return page(path)


def two_seeds(**more: Any) -> dict[str, Any]:
    id_ = cell(score(200, 180, 178, wrong=9, odd=2))
    return explanation(
        {"id": id_, "ood": cell(score(100, 90, 90), bridge=0.9)},
        {"id": id_, "ood": cell(score(100, 80, 79, odd=1), bridge=0.7)},
        **more,
    )


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    steps = [(1, 0.0, 0.1, None), (10, 0.2, 0.6, None), (100, 0.9, 0.9, 0.8), (1000, 1.0, 1.0, 1.0)]
    return html_of(
        tmp_path_factory.mktemp("circuit") / "run",
        two_seeds(formation=[snapshot(seed, *at) for seed in (0, 1) for at in steps[: 4 - seed]]),
    )


def test_the_heading_counts_right_answers_of_all_seeds_in_which_the_bridge_is_named(html: str) -> None:
    assert "In 169 of 170 right answers over held-out facts the bridge is named on the way</h2>" in html
    assert "all 2 seeds together" in html


def test_the_table_tells_what_patching_and_ablation_found(html: str) -> None:
    own = without_plotly(html)
    for text in ("87.5 %<br><small>of 64", "25.0 %<br><small>of 32", "96.9 %<br><small>of 32", "9<br><small>of 20"):
        assert text in own


def test_answers_that_are_right_for_the_wrong_reason_are_listed_and_escaped(html: str) -> None:
    own = without_plotly(html)
    assert "Right for the wrong reason: 5 answers" in own
    assert own.count("<bdi>by luck</bdi>") == 5
    assert own.index('<td>OOD</td><td class="n">1</td>') < own.index(
        '<td>ID</td><td class="n">0</td></tr>\n<tr><td><bdi>'
    )
    assert HOSTILE not in own


def test_at_most_twenty_of_them_are_listed(tmp_path: Path) -> None:
    many = cell(score(100, 90, 60, odd=20))
    own = without_plotly(html_of(tmp_path / "run", explanation({"id": many, "ood": many})))
    assert own.count("<bdi>by luck</bdi>") == 20
    assert "Right for the wrong reason: 60 answers" in own and "Here are 20 of them." in own


def test_each_place_shows_the_mean_over_seeds_of_what_it_brings_back(html: str) -> None:
    head = plotted(html)["circuit-residual"]["data"][0]
    assert (head["x"], head["y"]) == ([0, 1, 2], [0, 1])
    assert head["z"] == [[1.0, 0.0, 0.0], [-0.001, 0.8, 0.0]]
    assert head["text"] == [["100", "0", "0"], ["0", "80", "0"]]
    assert head["customdata"][1][1] == "relation 1, depth 1"
    assert "The state at relation 1, depth 1, brings back 80.0\u00a0% of the answer" in html


def test_all_maps_share_one_scale_from_nothing_to_all(html: str) -> None:
    for name in ("residual", "parts", "heads", "lens"):
        figure = plotted(html)[f"circuit-{name}"]
        assert {trace["coloraxis"] for trace in figure["data"]} == {"coloraxis"}
        assert (figure["layout"]["coloraxis"]["cmin"], figure["layout"]["coloraxis"]["cmax"]) == (0, 1)


def test_a_map_without_pairs_says_so(html: str) -> None:
    figure = plotted(html)["circuit-residual"]
    notes = [note["text"] for note in figure["layout"]["annotations"]]
    assert notes == [
        "head, 180 pairs",
        "first relation, 0 pairs",
        "no pair is answered rightly",
        "second relation, 160 pairs",
    ]
    assert {share for row in figure["data"][1]["z"] for share in row} == {None}


def test_where_nothing_was_computed_the_map_is_blank(html: str) -> None:
    attention = plotted(html)["circuit-parts"]["data"][0]
    assert attention["y"] == [1, 2]
    assert attention["z"] == [[None, 0.8, None], [None, None, 1.0]]
    assert attention["text"][0][0] == ""


def test_attention_heads_stand_by_position(html: str) -> None:
    figure = plotted(html)["circuit-heads"]
    heads, axis = figure["data"][0], figure["layout"]["xaxis"]
    first = dict(zip(heads["x"], heads["z"][0], strict=True))
    assert (first[3], first[4], first[6]) == (0.0, 0.125, None)
    assert axis["ticktext"][axis["tickvals"].index(3.5)] == "<br>relation 1"


def test_the_lens_shows_the_bridge_and_the_answer(html: str) -> None:
    bridge, answer = plotted(html)["circuit-lens"]["data"]
    assert bridge["z"] == [[0.0, 0.0, 0.0], [None, 0.8, None], [None, None, 0.0]]
    assert answer["z"][2] == [None, None, 0.75]
    assert "The bridge is read with 80.0\u00a0% at relation 1, depth 1; the answer is read with 75.0\u00a0% at" in html


def test_formation_tells_which_came_first(html: str) -> None:
    assert "The bridge came at step 10, the answer after it at step 100" in html
    assert (
        "first named with a mean probability over 50 % (at depth 1); accuracy out of distribution is first over 50 %"
        in html
    )
    assert "at step 100 and over 95 % at no snapshot." in html  # in the mean it comes to 95 %, and not over it


def test_a_seed_that_has_ended_counts_with_its_last_value(html: str) -> None:
    traces = {trace["name"]: trace for trace in plotted(html)["circuit-formation"]["data"]}
    ood = traces["accuracy, out of distribution (OOD)"]
    assert (ood["x"], ood["y"]) == ([1, 10, 100, 1000], [0.0, 0.2, 0.9, 0.95])
    assert "accuracy, out of distribution (OOD), seed 1" in traces
    assert traces["brought back by the bridge’s place, OOD"]["x"] == [100, 1000]


def test_the_last_depth_of_a_decoder_is_drawn_but_not_taken_for_a_bridge(html: str) -> None:
    traces = {trace["name"]: trace for trace in plotted(html)["circuit-formation"]["data"]}
    assert traces["bridge at depth 2, the last, OOD"]["opacity"] < traces["bridge at depth 1, OOD"]["opacity"]
    assert "At step 10 the bridge is first named" in html


def test_an_answer_that_comes_before_the_bridge_is_told_so(tmp_path: Path) -> None:
    formed = [snapshot(0, 1, 0.0, 0.0), snapshot(0, 10, 0.96, 0.4), snapshot(0, 100, 1.0, 0.9)]
    html = html_of(tmp_path / "run", two_seeds(formation=formed))
    assert "The answer came at step 10, before the bridge at step 100" in html
    assert "is first over 50 % at step 10 and over 95 % at step 10." in html
    assert "seed 0" not in " ".join(texts(plotted(html)["circuit-formation"]))


@pytest.mark.parametrize(
    ("ood", "bridge", "heading"),
    [
        (0.1, 0.9, "The bridge came at step 5, the answer not by the last snapshot"),
        (0.9, 0.1, "The answer came at step 5, the bridge not by the last snapshot"),
        (0.9, 0.9, "Bridge and answer came together, at step 5"),
    ],
)
def test_what_came_and_what_did_not_is_told_apart(tmp_path: Path, ood: float, bridge: float, heading: str) -> None:
    html = html_of(tmp_path / "run", two_seeds(formation=[snapshot(0, 1, 0.0, 0.0), snapshot(0, 5, ood, bridge)]))
    assert f"<h3>{heading}</h3>" in html


def test_where_nothing_came_formation_says_so(tmp_path: Path) -> None:
    html = html_of(tmp_path / "run", two_seeds(formation=[snapshot(0, 1, 0.0, 0.0)]))
    assert "Neither the bridge nor the answer came by the last snapshot" in html
    assert "At no snapshot is the bridge named" in html and "is over 50 % at no snapshot." in html


def test_where_only_the_first_hop_is_there_the_heading_says_so(tmp_path: Path) -> None:
    wrong = cell(score(40, 0, 0, wrong=30), pairs=(0, 0, 0))
    found = explanation({"id": cell(score(200, 180, 178)), "ood": wrong}, asked="id")
    html = html_of(tmp_path / "run", found)
    assert "The second hop is missing: no answer over held-out facts is right; in 30 of 40 wrong ones" in html
    assert "these are test queries <b>in distribution</b>" in html
    found["seeds"][0]["ood"]["score"]["named_and_wrong"] = 3
    write_json(tmp_path / "run" / "explain.json", found)
    assert "<h2>No answer over held-out facts is right; in 3 of 40 wrong ones" in page(tmp_path / "run")


def test_where_nothing_is_asked_out_of_distribution_the_heading_is_about_what_was(tmp_path: Path) -> None:
    html = html_of(tmp_path / "run", explanation({"id": cell(score(200, 180, 178)), "ood": nothing()}, asked="id"))
    assert "In 178 of 180 right answers in distribution the bridge is named on the way" in html
    assert "Out of distribution too few" not in html


def test_bridges_that_are_named_in_wrong_answers_too_are_not_kept_quiet(tmp_path: Path) -> None:
    found = explanation({"id": nothing(), "ood": cell(score(100, 10, 10, wrong=45))})
    assert "the bridge is named on the way, and in 45 of 90 wrong ones" in html_of(tmp_path / "run", found)


def test_a_model_that_answers_nothing_is_reported(tmp_path: Path) -> None:
    html = html_of(tmp_path / "run", explanation({"id": nothing(), "ood": nothing()}, asked="id"))
    assert "No query was answered, and no bridge was named" in html
    assert "Too few queries are answered rightly to trace" in html
    assert not [name for name in plotted(html) if name.startswith("circuit")]


def test_a_query_that_was_looked_into_is_shown_place_by_place(tmp_path: Path) -> None:
    places = [(0, 0, "a", 0.5), (0, 1, "r", 0.25), (1, 1, HOSTILE, 0.875)]
    query = {
        "query": ["a", "r"],
        "seed": 0,
        "expected": ["b"],
        "places": [
            {"depth": d, "position": p, "top": [{"entity": name, "probability": share}]} for d, p, name, share in places
        ],
    }
    html = html_of(tmp_path / "run", {**two_seeds(), "queries": [query]})
    assert "By the graph the answer is <bdi>b</bdi>" in html
    assert HOSTILE not in html
    table = html.split("By the graph")[1].split("</table>")[0]
    _, _, deepest, embeddings = table.split("<tr>")
    assert "87.5" in deepest
    assert deepest.count("<small>") == 1
    assert embeddings.count("<small>") == 2


def test_seeds_that_were_not_looked_into_are_counted(tmp_path: Path) -> None:
    whole = cell(score(9, 9, 9))
    assert "1 more finished seed has not" in html_of(tmp_path / "run", explanation({"id": whole, "ood": whole}))


def test_without_an_explanation_there_is_no_such_section(tmp_path: Path) -> None:
    html = page(make_run(tmp_path / "run"))
    assert "The circuit" not in without_plotly(html)
    assert set(plotted(html)) == {"phi", "learning", "cells", "hardest"}


@pytest.mark.parametrize("text", ["{not json", "{}", json.dumps({"seeds": [{}], "asked": "ood", "formation": []})])
def test_a_damaged_explanation_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    run = make_run(tmp_path / "run")
    (run / "explain.json").write_text(text)
    with pytest.raises(
        InputError, match=r"explain\.json is damaged .* make it again with 'grokhop explain'"
    ) as refused:
        report(run)
    assert "\n" not in str(refused.value)
    assert not (run / "report.html").exists()


def test_every_figure_of_the_circuit_is_one_that_plotly_accepts(html: str) -> None:
    names = [name for name in plotted(html) if name.startswith("circuit-")]
    assert len(names) == 5
    for name in names:
        go.Figure(data=plotted(html)[name]["data"], layout=plotted(html)[name]["layout"])


def test_every_figure_of_the_circuit_has_its_place_on_the_page(html: str) -> None:
    for name in plotted(html):
        assert f'id="plot-{name}"' in html


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100"), (0.9999999, "100"), (0.9973, "99.7"), (0.5, "50"), (0.004, "0"), (-0.004, "0"), (-0.12, "-12")],
)
def test_a_cell_says_whole_per_cent_and_only_all_is_a_hundred(share: float, text: str) -> None:
    assert cell_text(share) == text
