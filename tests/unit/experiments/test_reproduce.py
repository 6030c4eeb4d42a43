"""Recipes: each file says what was reported, how certainly, what was assumed and how it is run; and each one runs."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from grokhop.augmentation.sources import SOURCES
from grokhop.cli.main import app
from grokhop.cli.reproductions import show_reproduction
from grokhop.config import Budget, GPT2Config, LoopConfig, RunConfig
from grokhop.core.errors import InputError
from grokhop.core.statistics import CellScore
from grokhop.datasets import synthetic, two_wiki
from grokhop.experiments.recipes import CERTAINTIES, NOT_KNOWN, Recipe, names, read_recipe, recipes
from grokhop.experiments.recipes.pattern import CLAIMS, PatternFigures, delays, verdict
from grokhop.experiments.reproduce import FIGURES, RESULT, SIZES, reproduce
from grokhop.experiments.result import NOT_RUN_HERE, Reproduction
from grokhop.graph.graph import Graph, Split
from grokhop.graph.splits import question_pairs
from grokhop.tasks.dataset import TaskDataset, compose_as, worded
from tests.conftest import DATA

SAMPLE = DATA / "2wikimultihopqa/dev_sample.json"
TASKS = {"compositional": "composition", "composition": "composition", "comparison": "comparison"}
OF_QUESTIONS = [name for name in names() if read_recipe(name).needs_files]
DRAWN = [name for name in names() if name not in OF_QUESTIONS]
needs_sample = pytest.mark.skipif(not SAMPLE.exists(), reason=f"{SAMPLE} is missing: GROKHOP_DATA names its folder")
each_recipe = pytest.mark.parametrize("name", names())


def run(name: str, out: Path, **how: Any) -> Reproduction:
    """Three steps of one seed; most tests need no more."""
    files = [SAMPLE] if read_recipe(name).needs_files else []
    return reproduce(name, files, out, **{"seeds": 1, "budget": "3 steps", "threads": 1, **how})


def command(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["reproduce", *words])
    return result.exit_code, result.output + str(result.exception or "")


# What each file says.


@each_recipe
def test_a_recipe_is_named_by_author_year_what_and_data(name: str) -> None:
    recipe = read_recipe(name)
    author, what, data = name.split("_")
    assert re.fullmatch(r"[a-z]+\d{4}", author)
    assert author[:-4] in recipe.paper.lower()
    assert author[-4:] in recipe.paper
    assert re.search(r"arXiv \d{4}\.\d{5}", recipe.paper)
    assert what in recipe.title.lower()
    assert data in recipe.title.lower()


@each_recipe
def test_every_reported_number_has_a_place_where_it_stands_and_a_certainty(name: str) -> None:
    recipe = read_recipe(name)
    assert recipe.where
    assert {"id_accuracy", "ood_accuracy", "train_99_steps", "id_95_steps", "ood_95_steps"} <= set(recipe.reported)
    for figure, told in recipe.reported.items():
        assert figure in FIGURES
        assert set(told) == {"value", "certainty", "where"}
        assert told["certainty"] in CERTAINTIES
        assert len(told["where"]) > 10
        assert (told["value"] is None) == (told["certainty"] == NOT_KNOWN)
        if figure.endswith("accuracy") and told["value"] is not None:
            assert 0 <= told["value"] <= 1


@each_recipe
def test_the_reported_counts_give_the_reported_phi(name: str) -> None:
    reported = {figure: told["value"] for figure, told in read_recipe(name).reported.items()}
    if "phi" in reported:  # Wang et al. divide by the trainable facts, Abramov et al. by all.
        assert reported["inferred"] == pytest.approx(reported["phi"] * reported["facts_id"])
    else:
        assert reported["phi_all"] == reported["inferred"] / reported["facts"]


@each_recipe
def test_a_recipe_says_what_is_unknown_what_was_assumed_and_why_the_published_size_was_not_run(name: str) -> None:
    recipe = read_recipe(name)
    assert min(len(recipe.unknown), len(recipe.assumed)) >= 3
    assert all(len(line) > 10 for line in [*recipe.unknown, *recipe.assumed])
    assert "A100" in recipe.not_run
    assert "no GPU here" in recipe.not_run


@each_recipe
def test_what_a_paper_says_that_happens_is_a_claim_that_is_decided_from_figures(name: str) -> None:
    claims = read_recipe(name).pattern
    for claim in claims:
        assert set(claim) == {"claim", "certainty", "where"}
        assert claim["claim"] in CLAIMS
        assert claim["certainty"] in CERTAINTIES[:-1]
        assert claim["where"]
    # Of an untrained model OOD accuracy is low too.
    assert {"memorised", "late_id"} & {claim["claim"] for claim in claims}
    assert [claim["claim"] for claim in claims if claim["claim"].startswith("ood")]


@each_recipe
def test_the_settings_of_a_recipe_are_settings_that_exist(name: str) -> None:
    recipe = read_recipe(name)
    assert set(recipe.train) == {"preset", "set", "compare", "hops", "budget"}
    assert set(recipe.published_train) == {"preset", "set", "budget"}
    assert (recipe.train["preset"], recipe.published_train["preset"]) == ("paper", "paper-full")
    here, published = recipe.plan(), recipe.plan(published=True)
    for plan in (here, published):
        assert isinstance(plan.settings, RunConfig)
        assert plan.settings.model.architecture == "gpt2"
        assert plan.settings.task.hops == 2
        assert plan.settings.task.compare == (TASKS[recipe.task] == "comparison")
    assert here.settings.budget.seconds <= 3600 or here.settings.budget.steps < 100_000
    assert published.settings.budget.steps == recipe.reported["steps"]["value"]
    assert (here.published, published.published) == (False, True)
    assert published.settings.model.n_layers * getattr(published.settings.model, "repeats", 1) == 8
    assert (published.settings.model.d_model, published.settings.model.n_heads) == (768, 12)
    if recipe.augment:
        assert set(recipe.augment["sources"]) <= {*SOURCES.names(), "wrong"}
        assert recipe.augment["target_phi"] == recipe.reported["phi_all"]["value"]


@pytest.mark.parametrize("name", OF_QUESTIONS)
def test_a_recipe_of_questions_takes_as_many_as_the_paper_has_inferred_facts_before_it_adds_any(name: str) -> None:
    recipe = read_recipe(name)
    questions = recipe.data["questions"]
    assert set(questions) == {"types", "most", "ood_every"}
    assert len(questions["types"]) == 1
    assert questions["most"] == recipe.reported["inferred_before"]["value"]
    assert recipe.data["published"] == questions


@pytest.mark.parametrize("name", DRAWN)
def test_a_recipe_that_draws_its_graph_has_the_published_size_beside_its_own(name: str) -> None:
    recipe = read_recipe(name)
    small, published = recipe.data["synthetic"], recipe.data["published"]
    assert set(small) == set(published)
    reported = {figure: told["value"] for figure, told in recipe.reported.items()}
    assert {size: reported[size] for size in SIZES if size in published} == {
        size: published[size] for size in SIZES if size in published
    }
    facts = published["entities"] * published.get("out_degree", published["relations"])
    assert reported["facts"] == facts
    assert reported["facts_id"] == round(facts * (1 - published["holdout"]))
    assert reported["phi"] == recipe.plan(published=True).settings.task.phi
    assert small["entities"] < published["entities"]
    assert recipe.plan().settings.task.phi > 0


# What the published size comes to, short of training it.


@pytest.mark.parametrize("name", DRAWN)
def test_a_published_graph_offers_the_published_phi(name: str) -> None:
    recipe = read_recipe(name)
    plan = recipe.plan(published=True)
    graph = synthetic.draw(synthetic.asked(**plan.data))
    made = compose_as(graph, plan.settings.task)
    dataset = TaskDataset.of(worded(graph, compare=plan.settings.task.compare), made, phi=plan.settings.task.phi)
    inferred = len(dataset.comparisons) if plan.settings.task.compare else made.counts["trained_2_hops"]
    assert inferred == recipe.reported["inferred"]["value"]
    assert len(graph) == recipe.reported["facts"]["value"]


# Plans.


def plan_of(name: str, **how: Any) -> RunConfig:
    return read_recipe(name).plan(**how).settings


def test_another_preset_answers_with_its_own_model_what_the_recipe_trains() -> None:
    own, loop = (plan_of("wang2024_sharing_synthetic", preset=preset) for preset in (None, "loop"))
    assert isinstance(own.model, GPT2Config) and own.model.repeats == 2
    assert loop.model == LoopConfig()
    assert own.task.phi == loop.task.phi > 0
    published = read_recipe("wang2024_sharing_synthetic").plan(preset="loop", published=True)
    assert published.settings.task.phi == 12.6
    assert published.data["entities"] == 2000


def test_a_setting_that_is_set_anew_comes_after_those_of_the_recipe() -> None:
    assert plan_of("wang2024_composition_synthetic", changes=["task.phi=4", "model.n_layers=3"]).task.phi == 4
    assert read_recipe("wang2024_composition_synthetic").plan(budget="7 steps").settings.budget == Budget(steps=7)


def test_a_plan_is_recorded_as_what_it_changes_of_its_preset() -> None:
    record = read_recipe("wang2024_sharing_synthetic").plan(published=True).to_dict()
    assert record["preset"] == "paper-full"
    assert {"task.phi=12.6", "optimizer.adam_decay=0.3", "model.n_layers=4", "model.repeats=2"} <= set(record["set"])
    assert record["budget"] == "1,500,000 steps"


# What the figures say of a pattern.


def figures(**given: Any) -> PatternFigures:
    ood = CellScore(accuracy=0.05, low=0.02, high=0.1, n=100)
    return PatternFigures(**{"train_99_steps": [500], "id_95_steps": [5000], "look_every": 250, "ood": ood, **given})


def decided(claim: str, **given: Any) -> bool | None:
    told = [{"claim": claim, "certainty": "abstract", "where": "there"}]
    return verdict(told, figures(**given)).shows


def test_in_distribution_comes_late_when_every_seed_needs_at_least_twice_the_steps_of_training() -> None:
    assert delays(figures()) == [9.5]
    assert decided("late_id")
    assert decided("late_id", train_99_steps=[500, 500], id_95_steps=[5000, 1250])
    assert decided("late_id", train_99_steps=[500, 500], id_95_steps=[5000, 1000]) is False  # it may have been at 751
    assert decided("late_id", train_99_steps=[500], id_95_steps=[None]) is False
    assert decided("late_id", train_99_steps=[None], id_95_steps=[5000]) is False
    assert decided("memorised")
    assert decided("memorised", train_99_steps=[500, None], id_95_steps=[5000, 5000]) is False


@pytest.mark.parametrize(
    ("accuracy", "low", "high", "rises"),
    [(0.05, True, False, False), (0.2, True, False, False), (0.6, False, False, True), (0.95, False, True, True)],
)
def test_ood_accuracy_is_low_or_high_or_between(accuracy: float, low: bool, high: bool, rises: bool) -> None:
    ood = CellScore(accuracy=accuracy, low=0.0, high=1.0, n=100)
    assert [decided(claim, ood=ood) for claim in ("ood_low", "ood_high", "ood_rises")] == [low, high, rises]


def test_a_pattern_without_ood_queries_cannot_be_told_unless_another_claim_fails() -> None:
    nothing = CellScore()
    assert decided("ood_low", ood=nothing) is None
    claims = [{"claim": claim, "certainty": "abstract", "where": "there"} for claim in ("memorised", "ood_low")]
    assert verdict(claims, figures(ood=nothing)).shows is None
    assert verdict(claims, figures(ood=nothing, train_99_steps=[None])).shows is False


def test_a_verdict_says_because_of_which_numbers() -> None:
    claims = [{"claim": "late_id", "certainty": "abstract", "where": "there"}]
    (claim,) = verdict(claims, figures(train_99_steps=[500, 750], id_95_steps=[5000, None])).claims
    assert "500, 750; to 95 % of ID: 5,000, never" in claim.because
    assert (claim.claim, claim.certainty, claim.where) == ("late_id", "abstract", "there")


# Runs.


@pytest.mark.parametrize("name", [pytest.param(n, marks=[needs_sample] if n in OF_QUESTIONS else []) for n in names()])
def test_each_recipe_runs_from_its_data_to_a_report(name: str, tmp_path: Path) -> None:
    recipe, out = read_recipe(name), tmp_path / "out"
    result = run(name, out).to_dict()
    assert json.loads((out / RESULT).read_text()) == result
    assert Path(result["report"]).exists()
    assert result["reported"] == recipe.reported
    assert (result["published_size"], result["not_run"]) == (NOT_RUN_HERE, recipe.not_run)
    assert result["published"]["data"] == recipe.data["published"]
    assert [claim["claim"] for claim in result["pattern"]["claims"]] == [claim["claim"] for claim in recipe.pattern]
    assert result["pattern"]["shows"] is False  # after three steps nothing is answered
    ours = result["ours"]
    assert set(recipe.reported) <= set(ours)
    assert ours["steps"] == [3]
    assert ours["train_99_steps"] == ours["id_95_seconds"] == ours["ood_95_steps"] == [None]
    for cell in ("id", "ood"):
        assert ours[f"{cell}_accuracy"] == ours[cell]["accuracy"]
        assert ours[cell]["n"] > 10
        assert len(ours[cell]["per_seed"]) == 1
    assert ours["phi"] == ours["inferred"] / ours["facts_id"]
    assert ours["phi_all"] == ours["inferred"] / ours["facts"]
    (check_questions if recipe.needs_files else check_drawn)(recipe, result, out)


def check_questions(recipe: Recipe, result: dict[str, Any], out: Path) -> None:
    ours, wanted = result["ours"], recipe.data["questions"]
    assert ours["inferred_before"] == wanted["most"]
    assert ours["facts_before"] == pytest.approx(recipe.reported["facts_before"]["value"], rel=0.1)
    assert ours["facts"] > 3 * ours["facts_before"]
    assert ours["ood"]["n"] == -(-wanted["most"] // wanted["ood_every"])
    graph = Graph.read(out / "augmented")
    held_out = set(two_wiki.question_ids(out / "held_out.json"))
    parts = dict(zip(graph.pair.tolist(), graph.part.tolist(), strict=True))
    for question in graph.questions:
        if question.id in held_out:
            assert {parts[pair] for pair in question_pairs(graph, question)} == {Split.TEST}


def check_drawn(recipe: Recipe, result: dict[str, Any], out: Path) -> None:
    ours, wanted = result["ours"], recipe.data["synthetic"]
    graph = Graph.read(out / "graph")
    assert {size: ours[size] for size in SIZES if size in wanted} == {s: wanted[s] for s in SIZES if s in wanted}
    assert (ours["facts"], ours["facts_id"]) == (len(graph), int((graph.part == Split.TRAIN).sum()))
    asked = recipe.plan().settings.task.phi
    if recipe.task == "composition":
        assert ours["phi"] == pytest.approx(asked, abs=0.01)
        evaluation = json.loads((out / "run" / "eval.json").read_text())
        assert ours["ood"]["n"] == evaluation["cells"]["2"]["OO"]["n"]
    else:  # some pairs are drawn twice
        assert 0.5 * asked < ours["phi"] <= asked
        assert 0 < ours["ood"]["blind"] < 1


def test_a_reproduction_has_the_keys_that_readers_know(tmp_path: Path) -> None:
    recipe = read_recipe("wang2024_composition_synthetic")
    found = run(recipe.name, tmp_path / "out").to_dict()
    told = {"title", "paper", "where", "reported", "unknown", "assumed", "not_run"}
    assert found.keys() == {"recipe", *told, "published_size", "published", "here", "ours", "pattern", "report"}
    assert found["here"].keys() == {"published", "data", "preset", "set", "model", "budget"}
    times = {f"{mark}_{unit}" for mark in ("train_99", "id_95", "ood_95") for unit in ("steps", "seconds")}
    shares = {"phi", "phi_all", "id_accuracy", "ood_accuracy"}
    more = {"steps", "train_seconds", "id", "ood", "marks", "look_every", "seeds", "hardware"}
    sizes = {"entities", "relations", "out_degree", "holdout"}
    assert found["ours"].keys() == {*sizes, "facts", "facts_id", "inferred", *shares, *times, *more}
    assert found["ours"]["id"].keys() == {*CellScore().to_dict(), "blind"}
    claim = {"claim", "certainty", "where", "says", "shows", "because"}
    assert found["pattern"].keys() == {"shows", "claims"}
    assert [decided.keys() for decided in found["pattern"]["claims"]] == [claim] * len(recipe.pattern)
    assert recipes().to_dict()["recipes"][0].keys() == {"name", "title", "needs_files", "not_run"}


def test_the_loop_answers_on_the_same_data(tmp_path: Path) -> None:
    recipe = read_recipe("wang2024_sharing_synthetic")
    result = run(recipe.name, tmp_path / "out", preset="loop", changes=["model.d_model=32"]).to_dict()
    assert (result["here"]["preset"], result["here"]["data"]) == ("loop", recipe.data["synthetic"])
    assert set(result["here"]["set"]) == {
        f"task.phi={recipe.plan().settings.task.phi}",
        "model.d_model=32",
        "task.compare=false",
    }
    assert "loop" in result["here"]["model"]


# The command.


def test_without_arguments_the_recipes_are_listed_with_what_they_need() -> None:
    code, text = command("--json")
    assert code == 0
    assert json.loads(text) == recipes().to_dict()
    assert {recipe.name for recipe in recipes().recipes if recipe.needs_files} == set(OF_QUESTIONS)
    code, text = command()
    for recipe in recipes().recipes:
        assert f"{recipe.name} (needs {'files of 2WikiMultiHopQA' if recipe.needs_files else 'no files'})" in text
    assert "no published size was run here" in text


def test_the_command_sets_the_figures_beside_each_other(tmp_path: Path) -> None:
    recipe, out = read_recipe("wang2024_composition_synthetic"), tmp_path / "out"
    how = ("--budget", "3 steps", "--seeds", "2", "--threads", "1", "--set", "train.batch_size=64", "-o", str(out))
    code, text = command(recipe.name, *how)
    assert code == 0
    lines = [" ".join(line.split()) for line in text.splitlines()]
    facts = json.loads((out / RESULT).read_text())["ours"]["facts"]
    assert f"atomic facts 40,000 derived {facts:,}" in lines
    assert "steps to ID 95 % – not known –, –" in lines
    assert f"published size: not run here: {recipe.not_run}" in lines
    assert "the reported pattern does not show" in lines
    assert [line for line in lines if re.match(r"here, OOD: \d.* of \d+, 95 % interval .*, seeds .*, std \d", line)]
    assert [line for line in lines if line.startswith("here: ") and "train.batch_size=64" in line]
    assert [line for line in lines if line.startswith("assumed: ")] == [f"assumed: {line}" for line in recipe.assumed]


def test_a_run_at_the_published_size_is_not_said_to_be_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run("wang2024_composition_synthetic", tmp_path / "out")
    show_reproduction(replace(result, here=result.published))
    assert "published size: run here\n" in capsys.readouterr().out


# Errors.


def test_a_recipe_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(InputError, match="abramov2025_composition_2wiki"):
        read_recipe("abramov2025")


def test_records_without_a_question_of_the_type_are_refused(tmp_path: Path) -> None:
    record = {"_id": "1", "type": "inference", "question": "?", "answer": "a", "evidences": [["a", "b", "c"]]}
    (tmp_path / "few.json").write_text(json.dumps([{**record, "context": [], "supporting_facts": []}]))
    with pytest.raises(InputError, match="0 questions of type compositional"):
        reproduce("abramov2025_composition_2wiki", [tmp_path / "few.json"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_are_given_to_a_recipe_that_needs_them_and_to_no_other(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"give their files .* dev\.json"):
        reproduce("abramov2025_composition_2wiki", [], tmp_path / "out")
    with pytest.raises(InputError, match=r"draws its graph: give it no files, not .*dev\.json"):
        reproduce("wang2024_sharing_synthetic", [tmp_path / "dev.json"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_exists_is_replaced_only_when_asked_to(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="--force"):
        run("wang2024_comparison_synthetic", tmp_path / "out")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("wang2024",), "there is no recipe 'wang2024'"),
        (("wang2024_sharing_synthetic", "--preset", "huge"), "there is no preset 'huge'"),
        (("wang2024_sharing_synthetic", "--set", "phi"), "sets nothing"),
        (("wang2024_sharing_synthetic", "--budget", "soon"), "is no budget"),
        (("abramov2025_comparison_2wiki",), "asks questions of 2WikiMultiHopQA"),
    ],
)
def test_what_a_command_cannot_do_is_said_before_any_work(
    words: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, text = command(*words)
    assert code != 0
    assert says in text
    assert list(tmp_path.iterdir()) == []
