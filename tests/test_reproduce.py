"""Recipes: each file says what was reported, what was assumed and how it is run; and each of them runs."""

import json
from pathlib import Path

import pytest

from grokhop.augment import SOURCES
from grokhop.errors import InputError
from grokhop.graph import Graph, Part
from grokhop.holdout import question_pairs
from grokhop.reproduce import RESULT, names, read_recipe, recipes, reproduce
from grokhop.settings import PRESETS, Budget
from grokhop.sources import two_wiki

SAMPLE = Path(__file__).parents[2] / "shared/data/2wikimultihopqa/dev_sample.json"
needs_sample = pytest.mark.skipif(not SAMPLE.exists(), reason="the 2WikiMultiHopQA sample is not beside the project")


def test_there_are_recipes_and_each_has_a_title() -> None:
    assert [recipe["name"] for recipe in recipes()] == names()
    assert {"abramov2025_comparison_2wiki", "abramov2025_composition_2wiki"} <= set(names())
    assert all(recipe["title"] for recipe in recipes())


@pytest.mark.parametrize("name", names())
def test_a_recipe_says_what_was_reported_where_and_what_was_assumed(name: str) -> None:
    recipe = read_recipe(name)
    author, what, data = name.split("_")
    assert author.rstrip("0123456789") in recipe.paper.lower()
    assert author[-4:] in recipe.paper
    assert what in recipe.title.lower()
    assert data in recipe.title.lower()
    assert recipe.where
    assert len(recipe.assumed) >= 3
    reported = recipe.reported
    # The paper divides all inferred facts by all atomic facts.
    assert reported["phi_after"] == reported["inferred_after"] / reported["facts_after"]
    assert 0 <= reported["ood_accuracy"] <= 1
    assert reported["training"]


@pytest.mark.parametrize("name", names())
def test_the_settings_of_a_recipe_are_settings_that_exist(name: str) -> None:
    recipe = read_recipe(name)
    assert set(recipe.augment["sources"]) <= set(SOURCES)
    assert recipe.augment["target_phi"] == recipe.reported["phi_after"]
    assert recipe.train["preset"] in PRESETS
    assert Budget.parse(recipe.train["budget"]).seconds > 0
    assert len(recipe.questions["types"]) == 1
    # As many questions as the paper has inferred facts before it adds any.
    assert recipe.questions["most"] == recipe.reported["inferred_before"]


def test_a_recipe_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(InputError, match="abramov2025_composition_2wiki"):
        read_recipe("abramov2025")


@needs_sample
@pytest.mark.parametrize("name", names())
def test_each_recipe_runs_from_records_to_a_report(name: str, tmp_path: Path) -> None:
    recipe = read_recipe(name)
    result = reproduce(name, [SAMPLE], tmp_path / "out", seeds=1, budget=Budget(steps=3), threads=1)
    assert json.loads((tmp_path / "out" / RESULT).read_text()) == result
    assert Path(result["report"]).exists()
    assert result["reported"] == recipe.reported
    ours = result["ours"]
    assert ours["inferred_before"] == recipe.questions["most"]
    assert ours["facts_before"] == pytest.approx(recipe.reported["facts_before"], rel=0.1)
    assert ours["facts_after"] > 3 * ours["facts_before"]
    assert ours["phi_after"] == ours["inferred_after"] / ours["facts_after"]
    assert ours["n"] == -(-recipe.questions["most"] // recipe.questions["ood_every"])

    graph = Graph.read(tmp_path / "out" / "augmented")
    held_out = set(two_wiki.question_ids(tmp_path / "out" / "held_out.json"))
    parts = dict(zip(graph.pair.tolist(), graph.part.tolist(), strict=True))
    for question in graph.questions:
        if question.id in held_out:
            assert {parts[pair] for pair in question_pairs(graph, question)} == {Part.TEST}


@needs_sample
def test_records_without_a_question_of_the_type_are_refused(tmp_path: Path) -> None:
    records = [r for r in json.loads(SAMPLE.read_text()) if r["type"] == "inference"]
    (tmp_path / "few.json").write_text(json.dumps(records))
    with pytest.raises(InputError, match="0 questions of type compositional"):
        reproduce("abramov2025_composition_2wiki", [tmp_path / "few.json"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
