"""Benchmarks at tiny sizes: what they measure, and that contenders agree. Nothing here is about how long it took."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from grokhop.bench import clock
from grokhop.bench.answer import COMMANDS, Asked, Ours, Theirs, bench_answer
from grokhop.bench.clock import (
    SECONDS,
    Contender,
    NotReachedError,
    ProgramError,
    Quantity,
    alternate,
    matmul_peak,
    numbers_of,
    peak_memory,
    result,
)
from grokhop.bench.counters import COUNTERS, count
from grokhop.bench.graphs import Columns, skewed
from grokhop.bench.peers import OURS as LOOP
from grokhop.bench.peers import PLAIN, RECIPES, Reached, Seen, bench_peers, preset_groks, reached, rows_of
from grokhop.bench.phi import OURS, bench_phi
from grokhop.bench.reference_gpt2 import Peer, Recipe
from grokhop.bench.rows import (
    Agreement,
    AnswerAgreement,
    BenchRow,
    CountAgreement,
    PeerRow,
    ScaleRow,
)
from grokhop.bench.sampling import sample, with_hold_out
from grokhop.bench.scale import bench_scale, exponents
from grokhop.bench.throughput import bench_train
from grokhop.cli.main import app
from grokhop.config import preset
from grokhop.core.errors import InputError
from grokhop.datasets.synthetic import Composition, draw
from grokhop.graph.graph import Graph, Split
from grokhop.graph.paths import Queries, _draw, _stable_order, distinct_rows
from grokhop.tasks.dataset import TaskDataset, build_dataset
from grokhop.tasks.vocabulary import Vocabulary
from tests.settings import with_

TIME = Quantity(name="a task")
RATE = Quantity(name="a rate", unit="1/s", more_is_better=True)
SMALL = Composition(entities=30, relations=6, out_degree=4)


def given_values(name: str, values: Sequence[float]) -> Contender:
    """A contender that measures these values, one in each run."""
    left = list(values)
    return Contender(name=name, call=lambda: left.pop(0), measures=True)


def test_contenders_take_turns() -> None:
    turns: list[str] = []
    contenders = [Contender(name=name, call=partial(turns.append, name)) for name in "AB"]
    alternate(contenders, 3, quantities=[TIME])
    assert turns == [*"ABABAB"]


def test_a_row_has_the_median_the_extremes_and_the_conditions() -> None:
    row = alternate([given_values("A", [5, 1, 2])], 3, quantities=[TIME], conditions="here")[0]
    assert (row.median, row.low, row.high, row.runs) == (2, 1, 5, [5, 1, 2])
    assert (row.name, row.contender, row.unit) == ("a task", "A", SECONDS)
    assert row.conditions == "here; 3 runs"


@pytest.mark.parametrize(("quantity", "ours", "theirs"), [(TIME, 2.0, 6.0), (RATE, 6.0, 2.0)])
def test_a_ratio_above_one_says_that_the_first_is_ahead_whatever_is_better(
    quantity: Quantity, ours: float, theirs: float
) -> None:
    rows = alternate([given_values("A", [ours]), given_values("B", [theirs])], 1, quantities=[quantity])
    assert [row.ratio for row in rows] == [1, 3]


def test_a_contender_may_measure_several_quantities_at_once() -> None:
    contenders = [Contender(name="A", call=lambda: (1.0, 8.0), measures=True)]
    contenders.append(Contender(name="B", call=lambda: (2.0, 4.0), measures=True))
    rows = alternate(contenders, 1, quantities=[TIME, RATE])
    assert [(row.name, row.contender, row.ratio) for row in rows] == [
        ("a task", "A", 1),
        ("a task", "B", 2),
        ("a rate", "A", 1),
        ("a rate", "B", 2),
    ]


def out_of_time() -> None:
    raise NotReachedError(limit=50)


def test_who_runs_out_of_time_has_no_median_and_a_ratio_that_is_a_lower_bound() -> None:
    late = Contender(name="B", call=out_of_time, measures=True)
    row = alternate([given_values("A", [2, 2]), late], 2, quantities=[TIME])[1]
    assert (row.median, row.low, row.high, row.ratio) == (None, None, None, 25)
    assert (row.reached, row.note) == (False, "not reached in 50 s")


def test_a_lower_bound_is_given_of_seconds_alone() -> None:
    ours = Contender(name="A", call=lambda: (2.0, 1.0), measures=True)
    rows = alternate([ours, Contender(name="B", call=out_of_time, measures=True)], 1, quantities=[TIME, RATE])
    assert [row.ratio for row in rows if row.contender == "B"] == [25, None]


def test_who_took_longer_than_its_limit_is_not_tried_again() -> None:
    tries: list[int] = []
    row = alternate([Contender(name="A", call=lambda: tries.append(1), limit=0.0)], 3, quantities=[TIME])[0]
    assert not row.reached
    assert len(tries) == 1


def test_no_run_is_refused() -> None:
    with pytest.raises(InputError, match="--runs"):
        alternate([given_values("A", [1])], 0, quantities=[TIME])


def test_a_result_tells_on_what_it_came_about() -> None:
    found = result([], notes=["nothing"]).to_dict()
    assert {"hardware", "versions", "created", "torch", "rows", "notes"} <= set(found)
    assert json.loads(json.dumps(found)) == found


def test_a_result_names_its_command_and_the_commit_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/grokhop", "bench", "train", "--set", "model.d_model=64"])
    found = result([]).to_dict()
    assert found["command"] == "grokhop bench train --set model.d_model=64"
    git = ["git", "-C", str(Path(clock.__file__).parent), "rev-parse", "HEAD"]
    head = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    commit = (found["commit"] or "").removesuffix("-dirty")
    assert head.startswith(commit)
    assert bool(commit) == bool(head)


def test_code_that_is_in_no_repository_names_no_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nor that of a repository which it is installed in but no part of."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "clock.py").touch()
    monkeypatch.setattr(clock, "__file__", str(tmp_path / "clock.py"))
    assert result([]).commit is None


def row_like(**changes: Any) -> BenchRow:
    row = alternate([given_values("A", [1])], 1, quantities=[TIME], conditions="here")[0]
    return replace(row, **changes)


ROW_KEYS = {
    *("name", "contender", "median", "low", "high", "unit"),
    *("ratio", "reached", "note", "runs", "conditions"),
}


def test_rows_have_the_keys_that_records_have() -> None:
    row = vars(row_like())
    peer = PeerRow(**row, trained_rows=[512, None], trained_answers=[900, None], best=[1.0, 0.5])
    found = result([row_like(), peer, ScaleRow(**row, facts=200)]).to_dict()["rows"]
    more = [set(), {"trained_rows", "trained_answers", "best"}, {"facts"}]
    assert [each.keys() for each in found] == [ROW_KEYS | keys for keys in more]
    assert found[0] == {
        **dict.fromkeys(("median", "low", "high", "ratio"), 1.0),
        **{"name": "a task", "contender": "A", "unit": "s", "reached": True},
        **{"note": "", "runs": [1.0], "conditions": "here; one run"},
    }


def test_a_result_has_a_key_for_each_finding_and_none_for_another() -> None:
    always = {"command", "commit", "created", "versions", "hardware", "torch", "rows"}
    assert result([]).to_dict().keys() == always
    assert result([], same=[], notes=[]).to_dict().keys() == always | {"same", "notes"}
    assert result([], exponents={"to the end": 1.5}).to_dict()["exponents"] == {"to the end": 1.5}
    assert result([], peak_gflops=80.5).to_dict()["peak_gflops"] == 80.5
    answers = AnswerAgreement(what="answers", same=True, answers=2, queries=2)
    counts = CountAgreement(what="paths", same=False, facts=9, contender="pandas", hops=2, relations=3)
    assert result([], same=[answers, counts]).to_dict()["same"] == [
        {"what": "answers", "same": True, "answers": 2, "queries": 2},
        {"what": "paths", "same": False, "facts": 9, "contender": "pandas", "hops": 2, "relations": 3},
    ]


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_the_memory_of_a_program_is_its_own() -> None:
    small = peak_memory(python("print('done')"))
    large = peak_memory(python("print('done', len(bytearray(80_000_000)))"))
    assert small.output == "done\n"
    assert large.memory > small.memory + 70_000_000


def test_a_program_that_takes_too_long_is_ended() -> None:
    with pytest.raises(NotReachedError, match=r"not reached in 0\.2 s") as caught:
        peak_memory(python("import sys, time; print('begun', file=sys.stderr, flush=True); time.sleep(60)"), limit=0.2)
    assert caught.value.said in ("begun", "")  # the machine may be slow to begin


def test_a_program_that_fails_is_told_by_its_last_line() -> None:
    with pytest.raises(ProgramError, match="exit code 1: ValueError: no") as caught:
        peak_memory(python("raise ValueError('no')"))
    assert caught.value.code == 1


def test_a_program_gets_no_more_memory_than_it_may_have() -> None:
    with pytest.raises(ProgramError, match="MemoryError"):
        peak_memory(python("bytearray(2_000_000_000)"), most=1_000_000_000)


def test_the_matrix_peak_is_a_speed() -> None:
    assert matmul_peak(1, sizes=(16, 32), runs=2) > 0


def test_a_skewed_graph_has_distinct_facts_and_comes_again_from_its_seed() -> None:
    columns = skewed(2000, relations=20, seed=1)
    facts = set(zip(columns.head.tolist(), columns.relation.tolist(), columns.tail.tolist(), strict=True))
    assert len(facts) == 2000
    assert (columns.head == skewed(2000, relations=20, seed=1).head).all()
    assert (columns.head != skewed(2000, relations=20, seed=2).head).any()


def test_a_skewed_graph_of_the_size_of_codex_s_is_about_as_skewed() -> None:
    columns = skewed(36_543, relations=42, entities=2034)
    out, into, sizes = (
        np.bincount(column, minlength=n)
        for column, n in ((columns.head, 2034), (columns.tail, 2034), (columns.relation, 42))
    )
    assert ((out > 0).mean(), (into > 0).mean()) == pytest.approx((0.84, 0.51), abs=0.02)
    assert (out @ into) / len(columns.head) == pytest.approx(23.2, rel=0.3)
    assert into.max() / len(columns.head) == pytest.approx(0.025, rel=0.5)
    assert sizes.max() / len(columns.head) == pytest.approx(0.31, rel=0.3)


def test_a_graph_that_is_full_has_fewer_facts_than_asked_for() -> None:
    assert len(skewed(1000, relations=2, entities=4).head) <= 2 * 4 * 4


def test_columns_are_read_as_they_were_written(tmp_path: Path) -> None:
    columns = skewed(100, relations=5)
    columns.write(tmp_path)
    again = Columns.read(tmp_path)
    assert again.entities == columns.entities
    assert all((getattr(again, name) == getattr(columns, name)).all() for name in ("head", "relation", "tail"))


@pytest.mark.parametrize("hops", [2, 3])
@pytest.mark.parametrize("name", [name for name in COUNTERS if name != OURS])
@settings(max_examples=20)
@given(seed=st.integers(0, 1000), facts=st.integers(1, 60))
def test_every_counter_finds_the_same_numbers_for_every_relation(name: str, hops: int, seed: int, facts: int) -> None:
    pytest.importorskip("networkx" if name == "networkx" else "pandas")
    columns = skewed(facts, relations=4, entities=9, seed=seed)
    ours, theirs = count(OURS, columns, hops), count(name, columns, hops)
    assert (theirs.paths, theirs.using) == (ours.paths, ours.using)


def test_a_library_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match=r"pip install 'grokhop\[bench\]'"):
        count("pandas", skewed(10, relations=2), 2)


def test_sampled_compositions_are_distinct_and_free_of_what_is_held_out() -> None:
    graph = with_hold_out(skewed(3000, relations=20).graph())
    assert 0.05 < (graph.part != Split.TRAIN).mean() < 0.15
    sampled = sample(graph, 500)
    assert (sampled.compositions, sampled.leaked) == (500, 0)
    assert sampled.held_out_queries > 0
    assert 0 < sampled.checked_pieces <= 500


def test_a_graph_with_fewer_compositions_gives_all() -> None:
    graph = with_hold_out(skewed(40, relations=3).graph())
    assert sample(graph, 10**6).compositions < 2000


def test_bench_phi_measures_each_counter_in_a_program_of_its_own() -> None:
    pytest.importorskip("pandas")
    found = bench_phi([300], runs=1, compositions=50).to_dict()
    assert {(row["name"], row["contender"]) for row in found["rows"]} >= {
        (f"phi, {hops} hops, 300 facts{more}", name)
        for hops in (2, 3)
        for more in ("", ", processor time", ", peak memory")
        for name in COUNTERS
    }
    assert all(row["reached"] for row in found["rows"])
    assert len(found["same"]) == 6
    assert all(same["same"] for same in found["same"])
    assert json.loads(json.dumps(found)) == found


def test_a_library_that_is_missing_is_left_out_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grokhop.bench.phi.find_spec", lambda name: None)
    found = bench_phi([50], runs=1, compositions=5).to_dict()
    assert {row["contender"] for row in found["rows"]} == {OURS}
    assert found["notes"][0] == "pandas is left out: pip install 'grokhop[bench]'"


@pytest.mark.parametrize("text", ["", "many", "0", "10,-1"])
def test_sizes_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--facts"):
        numbers_of("--facts", text)


def test_sizes_are_read() -> None:
    assert numbers_of("--facts", "1000000, 5_000_000") == [1_000_000, 5_000_000]


def test_transformers_gives_the_same_answers_as_the_plain_decoder() -> None:
    pytest.importorskip("transformers")
    ours = Ours(Asked.of(SMALL, 64), "gpt2")
    theirs = Theirs(ours)
    assert len(ours.batch()) == 64
    assert (ours.batch() == theirs.batch()).all()
    for head, relations in ours.asked.texts(5):
        assert ours.ask(head, relations) == theirs.ask(head, relations)


def test_bench_answer_asks_both_models_and_starts_commands() -> None:
    pytest.importorskip("transformers")
    found = bench_answer(runs=1, queries=20, asks=2, graph=SMALL).to_dict()
    names = {row["name"] for row in found["rows"]}
    assert {f"{model}, {what}" for model in ("gpt2", "loop") for what in ("answers in batches", "one question")} < names
    assert {f"start, grokhop {command}" for command in COMMANDS} < names
    assert [(same["answers"], same["queries"]) for same in found["same"]] == [(20, 20)]


def test_without_transformers_grokhop_is_measured_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.setattr("grokhop.bench.answer.starts", lambda runs: [])
    found = bench_answer(runs=1, queries=5, asks=1, graph=SMALL).to_dict()
    assert {row["contender"] for row in found["rows"]} == {"grokhop"}
    assert "transformers" in found["notes"][0]


_IMPORTED = """
import sys
from grokhop.cli.main import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print([name for name in ('torch', 'scipy', 'transformers') if name in sys.modules], file=sys.stderr)
"""


def imported_by(*arguments: str) -> str:
    """What of the heavy libraries a command imports."""
    done = subprocess.run([*python(_IMPORTED), *arguments], capture_output=True, text=True, check=True)
    return done.stderr.splitlines()[-1]


def test_help_ingest_and_phi_import_no_torch(tmp_path: Path) -> None:
    graph = tmp_path / "graph"
    assert imported_by("--help") == "[]"
    assert imported_by("phi", "--help") == "[]"
    size = ("--entities", "20", "--relations", "3", "--out-degree", "2", "--holdout", "0.2")
    assert "torch" not in imported_by("ingest", "synthetic", *size, "-o", str(graph))
    assert imported_by("phi", str(graph)) == "[]"


def run_cli(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        app(arguments)
    assert not ended.value.code
    return capsys.readouterr().out


def test_the_command_line_prints_a_table_or_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = alternate([given_values("A", [1]), Contender(name="B", call=out_of_time)], 1, quantities=[TIME])
    measured = result(row, same=[Agreement(what="all numbers", same=True)], notes=["C is left out"])
    monkeypatch.setattr("grokhop.bench.phi.bench_phi", lambda *args, **more: measured)
    shown = run_cli(capsys, "bench", "phi")
    assert all(words in shown for words in ("a task", "not reached in 50 s", "at least 50", "the same: all numbers"))
    assert "C is left out" in shown
    assert json.loads(run_cli(capsys, "bench", "phi", "--json"))["rows"] == measured.to_dict()["rows"]


def test_contenders_that_disagree_fail_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = result([], same=[Agreement(what="all numbers", same=False)])
    monkeypatch.setattr("grokhop.bench.answer.bench_answer", lambda **more: measured)
    with pytest.raises(SystemExit) as ended:
        app(["bench", "answer", "--json"])
    assert ended.value.code == 1


rows_of_numbers = st.integers(0, 5).flatmap(
    lambda n: st.lists(st.lists(st.integers(0, 2**21), min_size=3, max_size=3), min_size=n, max_size=4 * n)
)


@pytest.mark.parametrize("scale", [1, 2**40])
@given(rows=rows_of_numbers)
def test_distinct_rows_are_those_of_numpy(rows: list[list[int]], scale: int) -> None:
    given_rows = np.array(rows, np.int64).reshape(-1, 3) * scale
    expected: NDArray[Any] = np.unique(given_rows, axis=0)
    found = distinct_rows(given_rows)
    assert found.dtype == expected.dtype
    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("scale", [1, 2**60])
@given(keys=st.lists(st.integers(0, 7)))
def test_the_stable_order_is_that_of_numpy(keys: list[int], scale: int) -> None:
    numbers = np.array(keys, np.int64) * scale
    assert _stable_order(numbers).tolist() == np.argsort(numbers, kind="stable").tolist()


@given(weights=st.lists(st.integers(0, 5), min_size=1, max_size=30).filter(any), seed=st.integers(0, 100))
def test_what_is_drawn_is_what_numpy_draws(weights: list[int], seed: int) -> None:
    shares = np.array(weights, float)
    expected = np.random.default_rng(seed).choice(len(weights), 50, p=shares / shares.sum())
    assert _draw(shares, 50, np.random.default_rng(seed)).tolist() == expected.tolist()


# Time to grok and throughput, beside the published recipe.

TINY = Composition(entities=40, relations=4, out_degree=4, holdout=0.3)


def peer_of(recipe: Recipe) -> tuple[Graph, Peer, dict[str, Queries]]:
    graph = draw(TINY)
    dataset = build_dataset(graph, preset("paper", compare=False).task)
    return graph, Peer(recipe, dataset, Vocabulary.of(graph)), dataset.test[2]


def test_the_recipe_supervises_the_answer_alone_behind_each_query() -> None:
    graph, peer, _ = peer_of(Recipe(width=16, heads=2, layers=2))
    inputs, mask, labels = (column.numpy() for column in peer._examples)
    assert ((labels >= 0).sum(axis=1) == 1).all()
    place = (labels >= 0).argmax(axis=1)
    rows = np.arange(len(labels))
    assert (labels[rows, place] == inputs[rows, place]).all()
    assert (mask.sum(axis=1) == place + 1).all()
    facts = set(zip(graph.head.tolist(), graph.relation.tolist(), graph.tail.tolist(), strict=True))
    entities = len(graph.entities)
    assert {(h, r - entities, t) for h, r, t in inputs[place == 2, :3].tolist()} == facts


def test_the_recurrent_variant_shares_its_layers_and_both_learn() -> None:
    for repeats in (1, 2):
        _, peer, asked = peer_of(Recipe(width=16, heads=2, layers=4, repeats=repeats, warmup=1))
        layers = peer.model.transformer.h
        assert len(layers) == 4
        assert len({id(layer) for layer in layers}) == 4 // repeats
        losses = [peer.take_step() for _ in range(30)]
        assert losses[-1] < losses[0]
        assert peer.are_right(asked["II"]).shape == (len(asked["II"]),)


def test_the_first_look_that_meets_a_target_is_when_it_was_reached() -> None:
    looks = [
        Seen(1.0, 100, {"II": 0.5, "OO": None}),
        Seen(2.0, 200, {"II": 0.99, "OO": 0.9}),
        Seen(3.0, 300, {"II": 1.0, "OO": 0.94}),
    ]
    assert reached(looks, 1.5) == {"II": Reached(2.0, 200, 300, 1.0), "OO": Reached(None, None, None, 0.94)}


def test_who_is_late_has_a_ratio_at_the_least_and_who_is_not_the_ratio_of_medians() -> None:
    def run(seconds: float | None) -> dict[str, Reached]:
        one = Reached(seconds, None, None, 1.0)
        return {"II": one, "OO": one}

    found = {"ours": [run(10.0), run(20.0), run(12.0)], "sooner": [run(6.0)], "late": [run(None)]}
    ours, sooner, late = (row for row in rows_of(found, 600.0, "told") if row.name == "seconds to 99% II")
    assert (ours.median, ours.low, ours.high, ours.ratio) == (12.0, 10.0, 20.0, 1.0)
    assert sooner.ratio == 0.5
    assert late.ratio == 50.0
    assert (late.median, late.reached, late.note) == (None, False, "not reached in 600 s by 1 of 1")


def test_time_to_grok_is_measured_of_every_contender() -> None:
    found = bench_peers(drawn=TINY, limit=0.2, threads=1).to_dict()
    runs = {(row["name"], row["contender"]): row["runs"] for row in found["rows"]}
    contenders = {LOOP: 1 + len(RECIPES) + 1, PLAIN: 1, **dict.fromkeys(RECIPES, 1)}
    assert {name: len(runs["seconds to 95% OO", name]) for name in contenders} == contenders
    assert len(runs) == 2 * len(contenders)
    json.dumps(found)


def test_the_queries_that_all_are_asked_steer_no_training_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """With answers to them that are all wrong it trains for as many steps, and only its accuracy is another."""
    small = with_(preset("toy", compare=False), id_target=0.3, ood_target=0.01, evaluate_every=10, cooldown_steps=10)
    targets = {"II": small.train.id_target, "OO": small.train.ood_target}

    def wrongly_answered(graph: Graph, settings: Any) -> TaskDataset:
        dataset = build_dataset(graph, settings)
        made = dataset.compositions
        test = {cell: replace(q, answers=np.full_like(q.answers, 10**6)) for cell, q in dataset.test[2].items()}
        cells = {**made.cells, "test": {**made.cells["test"], 2: test}}
        return replace(dataset, compositions=replace(made, cells=cells))

    def told(looks: Sequence[Seen], _answers: float) -> Any:
        return looks

    monkeypatch.setattr("grokhop.bench.peers.preset", lambda *_, **__: small)
    monkeypatch.setattr("grokhop.bench.peers.TARGETS", targets)
    monkeypatch.setattr("grokhop.bench.peers.reached", told)
    right: Any = preset_groks("loop", draw(TINY), 60.0, seed=0)
    monkeypatch.setattr("grokhop.bench.peers.build_dataset", wrongly_answered)
    wrong: Any = preset_groks("loop", draw(TINY), 60.0, seed=0)
    assert [look.rows for look in right] == [look.rows for look in wrong]
    assert right[-1].accuracy["II"] > 0.2
    assert {look.accuracy["II"] for look in wrong} == {0.0}


def test_throughput_is_told_in_answers_and_rows_of_which_the_recipe_has_as_many() -> None:
    found = bench_train(widths=[16], vocabularies=[300], runs=1, threads=1).to_dict()
    by_unit = {(row["unit"], row["contender"]): row["median"] for row in found["rows"]}
    ours, theirs = dict.fromkeys(row["contender"] for row in found["rows"])
    assert by_unit["answers/s", theirs] == by_unit["rows/s", theirs]
    assert 1.5 < by_unit["answers/s", ours] / by_unit["rows/s", ours] < 2
    assert all(0 < share < 1 for (unit, _), share in by_unit.items() if unit == "share")


# Scale.


def test_each_size_is_trained_in_a_program_of_its_own_and_asked_once() -> None:
    tiny = ["model.d_model=16", "model.n_heads=2", "train.batch_size=64", "train.evaluate_every=20"]
    found = bench_scale(sizes=[200, 400], out_degree=5, changes=tiny, seeds=2, limit=1.0, threads=1).to_dict()
    assert {row["facts"] for row in found["rows"]} == {200, 400}
    for row in found["rows"]:
        assert len(row["runs"]) == 2
        if row["unit"] == "share":
            assert all(0 <= share <= 1 for share in row["runs"])
        if row["name"].startswith("to the end"):
            assert row["reached"]
    memory = [row["median"] for row in found["rows"] if row["unit"] == "GiB"]
    assert all(0.01 < gib < 10 for gib in memory)
    json.dumps(found, allow_nan=False)


def test_the_exponent_is_the_slope_of_the_logarithms_and_leaves_out_what_was_not_reached() -> None:
    def row(facts: int, seconds: float | None) -> ScaleRow:
        return ScaleRow(**vars(row_like(name="to the end", median=seconds)), facts=facts)

    assert exponents([row(1000, 2.0), row(10_000, 2 * 10**1.5), row(100_000, None)]) == {"to the end": 1.5}
    assert exponents([row(1000, 2.0)]) == {}


def test_a_size_that_cannot_be_drawn_is_refused_before_anything_is_trained() -> None:
    with pytest.raises(InputError, match="multiple"):
        bench_scale(sizes=[200, 203], out_degree=5, limit=1.0)
