"""The example of one file: it runs as it is written, and its pieces are those of the package."""

import ast
import importlib.util
import re
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from grokhop.config import LoopConfig
from grokhop.graph.graph import Entity, Graph, Split
from grokhop.graph.paths import PathIndex
from grokhop.models.looped import Attention
from grokhop.models.looped import Layer as PackageLayer
from grokhop.tasks.composition import cell_name
from grokhop.tasks.encoding import encode_paths
from grokhop.training.muon import Muon
from tests.conftest import ROOT
from tests.graphs import answers_by_force, answers_of, paths_by_force, query_of, rows_of

FILE = ROOT / "examples" / "grok.py"
ENTITIES = 30
CELLS = {"II": (False, False), "IO": (False, True), "OI": (True, False), "OO": (True, True)}


def imported() -> ModuleType:
    spec = importlib.util.spec_from_file_location("grok", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


grok = imported()
FACTS, HELD_OUT = grok.draw_graph(ENTITIES, 0)


def as_graph() -> Graph:
    """The example's graph as the package has it."""
    head, relation, tail = FACTS.int().numpy().T
    return Graph(
        entities=tuple(Entity(key=f"e{i}", label=f"e{i}") for i in range(ENTITIES)),
        relations=tuple(f"r{i}" for i in range(grok.RELATIONS)),
        head=head,
        relation=relation,
        tail=tail,
        part=np.where(HELD_OUT.numpy(), Split.TEST, Split.TRAIN).astype(np.int8),
        source=np.zeros(len(FACTS), np.int16),
        sources=("example",),
        observed=(True,),
    )


def run(*options: str) -> str:
    words = [sys.executable, str(FILE), "--steps", "4", "--entities", "20", *options]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def table_of(printed: str) -> tuple[list[str], dict[str, list[float]]]:
    """The names of the columns, and the numbers of each row."""
    head, *lines = printed.strip().split("\n\n")[-1].splitlines()
    rows = {line.split()[0]: [float(x) for x in re.findall(r"\d+\.?\d*", line.split(maxsplit=1)[1])] for line in lines}
    return re.split(r"\s{2,}", head.strip()), rows


def test_it_prints_accuracy_by_cell_beside_the_control_and_the_floor() -> None:
    columns, rows = table_of(run())
    assert columns == ["cell", "queries", "chains", "no chains", "floor"]
    assert list(rows) == ["facts", *CELLS]
    assert rows["facts"][0] == 160
    for queries, *shares in rows.values():
        assert queries > 0
        assert len(shares) == 3
        assert all(0 <= share <= 100 for share in shares)


def test_it_runs_the_control_alone_on_the_graph_of_another_seed() -> None:
    printed = run("--no-chains", "--seed", "1")
    columns, rows = table_of(printed)
    assert columns == ["cell", "queries", "no chains", "floor"]
    facts, held_out = grok.draw_graph(20, 1)
    expected = {cell: len(paths) for cell, paths in grok.two_hops(facts, held_out).items()}
    assert {cell: rows[cell][0] for cell in ("IO", "OI", "OO")} == {cell: expected[cell] for cell in ("IO", "OI", "OO")}
    assert not torch.equal(facts, grok.draw_graph(20, 0)[0])


def test_it_is_one_file_of_plain_torch_of_at_most_200_lines() -> None:
    text = FILE.read_text()
    assert len(text.splitlines()) <= 200
    named = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {a.name for n in named if isinstance(n, ast.Import) for a in n.names}
    modules |= {n.module or "" for n in named if isinstance(n, ast.ImportFrom)}
    assert {name.split(".")[0] for name in modules} == {"argparse", "torch"}


@pytest.mark.slow
def test_chains_bring_composition_out_of_distribution_and_facts_alone_do_not() -> None:
    facts, held_out = grok.draw_graph(100, 0)
    alone, chains, asked = grok.split(facts, held_out, 100, 0)
    size = 100 + grok.RELATIONS
    learned = grok.train([alone, chains], asked, vocabulary=size, steps=500, seed=0)
    control = grok.train([alone], asked, vocabulary=size, steps=200, seed=0)
    assert grok.right(learned, asked["OO"]) > 50
    assert grok.right(control, asked["OO"]) < 15
    assert grok.right(control, asked["facts"]) > 99


@pytest.mark.parametrize("shape", [(16, 16), (32, 8), (8, 32)])
def test_its_muon_is_the_package_s(shape: tuple[int, int]) -> None:
    chance = torch.Generator().manual_seed(0)
    ours, theirs = (torch.nn.Parameter(torch.ones(shape)) for _ in range(2))
    optimizer = Muon([ours], lr=0.02, weight_decay=grok.MUON_DECAY)
    momentum = torch.zeros(shape)
    for _ in range(5):
        ours.grad = torch.randn(shape, generator=chance)
        theirs.grad = ours.grad.clone()
        optimizer.step()
        grok.muon([theirs], [momentum], 0.02)
    torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-4)


def test_its_graph_has_one_tail_for_a_head_and_a_relation_and_holds_out_a_tenth() -> None:
    assert len(torch.unique(FACTS[:, :2], dim=0)) == len(FACTS) == grok.DEGREE * ENTITIES
    assert int(HELD_OUT.sum()) == len(FACTS) // 10


@pytest.mark.parametrize("cell", CELLS)
def test_its_paths_of_each_cell_are_those_of_the_package_and_of_plain_enumeration(cell: str) -> None:
    graph = as_graph()
    assert cell_name(CELLS[cell]) == cell
    masks = [(graph.part != Split.TRAIN) == out for out in CELLS[cell]]
    found = [tuple(path) for path in grok.two_hops(FACTS, HELD_OUT)[cell].tolist()]
    package = PathIndex(graph).paths(masks, limit=10**6, rng=np.random.default_rng(0))
    assert len(found) == len(set(found))
    assert set(found) == paths_by_force(graph, masks) == {tuple(path) for path in package.tolist()}


@pytest.mark.parametrize("cell", ["IO", "OI", "OO"])
def test_its_queries_of_each_cell_are_those_of_the_package_with_the_same_answers(cell: str) -> None:
    graph, paths = as_graph(), grok.two_hops(FACTS, HELD_OUT)[cell]
    tokens, answers = grok.split(FACTS, HELD_OUT, ENTITIES, 0)[2][cell]
    queries, pure = PathIndex(graph).queries(paths.numpy())
    assert pure.all()
    expected = dict(zip(rows_of(queries), answers_of(queries), strict=True))
    found = {query: {end} for query, end in zip(plain(tokens), answers.tolist(), strict=True)}
    assert found == expected
    assert found == {query: answers_by_force(graph, query[0], query[1:]) for query in found}


def plain(tokens: Tensor) -> list[tuple[int, ...]]:
    """The rows as head and relations."""
    return [(head, *(relation - ENTITIES for relation in relations)) for head, *relations in tokens.tolist()]


def test_its_rows_are_those_of_the_package() -> None:
    paths = grok.two_hops(FACTS, HELD_OUT)["II"]
    tokens, answers = grok.encode(FACTS, paths, ENTITIES)
    rows = encode_paths(as_graph(), paths.numpy())
    np.testing.assert_array_equal(tokens, rows.tokens)
    np.testing.assert_array_equal(answers, rows.targets[:, -1])


def test_no_chain_that_is_trained_is_asked_or_uses_a_held_out_fact() -> None:
    graph = as_graph()
    _, chains, asked = grok.split(FACTS, HELD_OUT, ENTITIES, 0)
    trained = set(plain(chains[0]))
    both_in = [np.asarray(graph.part == Split.TRAIN)] * 2
    in_distribution = {query_of(graph, path) for path in paths_by_force(graph, both_in)}
    assert trained < in_distribution
    assert not any(trained & set(plain(asked[cell][0])) for cell in CELLS)
    assert set(plain(asked["II"][0])) <= in_distribution - trained
    assert set(plain(asked["facts"][0])) == {(h, r) for h, r, _ in FACTS.tolist()}


def test_its_floor_names_the_commonest_tail_of_the_last_relation() -> None:
    tokens, answers = grok.split(FACTS, HELD_OUT, ENTITIES, 0)[2]["IO"]
    right = 0
    for (_, _, relation), end in zip(plain(tokens), answers.tolist(), strict=True):
        tails = FACTS[FACTS[:, 1] == relation, 2].tolist()
        right += end == max(range(ENTITIES), key=lambda tail: (tails.count(tail), -tail))
    assert grok.floor(FACTS, (tokens, answers), ENTITIES) == pytest.approx(100 * right / len(answers), abs=1e-4)


def test_its_rotary_positions_are_the_package_s() -> None:
    package = Attention(LoopConfig(d_model=grok.WIDTH, n_heads=grok.HEADS))
    x, position = torch.randn(2, 5, grok.HEADS, grok.WIDTH // grok.HEADS), torch.arange(5)
    torch.testing.assert_close(grok.rotate(x, position), package._rotate(x, position))


def test_its_layer_is_the_package_s_at_the_last_position_which_sees_the_whole_row_in_both() -> None:
    package = PackageLayer(LoopConfig(d_model=grok.WIDTH, n_heads=grok.HEADS))
    layer = grok.Layer()
    for name in ("query", "key", "value", "output"):
        getattr(package.attention, name).load_state_dict(getattr(layer, name).state_dict())
    for name in ("up", "down"):
        getattr(package.mlp, name).load_state_dict(getattr(layer, name).state_dict())
    x = torch.randn(3, 4, grok.WIDTH)
    expected = package(x, torch.arange(3), torch.full((3,), 3))
    torch.testing.assert_close(layer(x[:, -1:], x)[:, 0], expected)
    torch.testing.assert_close(layer(x, x)[:, -1], expected)


def test_what_is_said_is_at_first_nearly_the_token_itself_and_later_what_would_be_answered() -> None:
    torch.manual_seed(0)
    model = grok.Recurrent(ENTITIES + grok.RELATIONS)
    given = model.word_norm(model.embedding(torch.tensor([[1, ENTITIES]])))
    x = torch.randn(1, 2, grok.WIDTH)
    word = model.word_norm(model.read(x).softmax(-1) @ model.embedding.weight)
    shut = torch.sigmoid(torch.tensor(-3.0))
    torch.testing.assert_close(model.say(x, given), shut * word + (1 - shut) * given)
    torch.nn.init.constant_(model.gate.bias, 30.0)
    torch.testing.assert_close(model.say(x, given), word)
