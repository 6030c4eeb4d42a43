"""The recurrent transformer: what it computes, against a plain computation row by row, and what it is not told."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from grokhop.config import preset
from grokhop.core.errors import InputError
from grokhop.models.recurrent import BIAS_SCALE, RecurrentLayer, RecurrentTransformer, Rows
from grokhop.tasks.encoding import GIVEN, NEVER_DUE
from tests.settings import shape_of

VOCABULARY = 13


def model_of(**shape: object) -> RecurrentTransformer:
    torch.manual_seed(0)
    model = RecurrentTransformer(
        shape_of("recurrent", d_model=16, n_heads=2, gate_bias=0.0, **shape), vocabulary=VOCABULARY
    ).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return model


def padded(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Rows of tokens, each read out at its last place alone, padded to the longest."""
    width = max(map(len, rows))
    tokens = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    read_at = torch.tensor(
        [[GIVEN] + [NEVER_DUE] * (len(r) - 2) + [len(r) - 1] + [NEVER_DUE] * (width - len(r)) for r in rows]
    )
    return tokens, read_at


def by_hand(model: RecurrentTransformer, row: list[int]) -> Tensor:
    """(V,) the logits at the last place of one row, from the formulas of the module's docstring."""
    E, layer = model.embedding.weight, model.layers[0]
    assert isinstance(layer, RecurrentLayer)
    x0 = model.token_norm(E[row])
    x, m, T, H = x0, x0, len(row), layer.heads
    distance = (torch.arange(T) - torch.arange(T)[:, None]).clamp(-layer.reach, layer.reach) + layer.reach
    bias = BIAS_SCALE * layer.distance_bias[distance, :, 0]
    for loop in range(model.shape.loops):
        if loop:
            y = model.final_norm(x)
            said = model.token_norm((y @ E.T / model.shape.temperature).softmax(-1) @ E)
            g = torch.sigmoid(model.gate(y))
            m, x = g * said + (1 - g) * x0, model.state_norm(x) + x0
        q, k, v = layer.query(layer.attention_norm(x)), *(p(layer.said_norm(m)) for p in (layer.key, layer.value))
        heads = []
        for h, columns in enumerate(torch.arange(x.shape[1]).chunk(H)):
            score = q[:, columns] @ k[:, columns].T * len(columns) ** -0.5 + bias[:, :, h]
            heads.append(score.softmax(-1) @ v[:, columns])
        x = x + layer.output(torch.cat(heads, 1))
        x = x + layer.mlp.down(F.gelu(layer.mlp.up(layer.mlp_norm(x))))
    return (model.final_norm(x) @ E.T)[-1]


@torch.no_grad()
@given(st.lists(st.lists(st.integers(0, VOCABULARY - 1), min_size=2, max_size=6), min_size=1, max_size=5))
@settings(deadline=None, max_examples=30)
def test_every_row_is_answered_as_by_the_formulas_whatever_stands_beside_it(rows: list[list[int]]) -> None:
    model = model_of(loops=3, temperature=1.5)
    (read,) = model(*padded(rows))
    assert read.loop == 3
    found = dict(zip(read.row.tolist(), read.logits, strict=True))
    for number, row in enumerate(rows):
        torch.testing.assert_close(found[number], by_hand(model, row), atol=2e-4, rtol=1e-4)


@torch.no_grad()
def test_relations_may_stand_first_and_the_answer_is_told_at_the_same_place() -> None:
    head, relations = model_of(loops=2), model_of(loops=2, order="relations_first")
    row = [3, 9, 10, 11]
    tokens, read_at = padded([row])
    turned = Rows.of(read_at, order="relations_first")
    assert turned.position.tolist() == [1, 2, 3, 0]
    (read,) = relations(tokens, read_at)
    assert (read.row.tolist(), read.position.tolist()) == ([0], [3])
    (same,) = head(torch.tensor([[9, 10, 11, 3]]), torch.tensor([[NEVER_DUE, NEVER_DUE, 1, GIVEN]]))
    torch.testing.assert_close(read.logits, same.logits)


def test_in_a_comparison_each_entity_stands_behind_its_own_relations() -> None:
    read_at = torch.tensor([[GIVEN, NEVER_DUE, NEVER_DUE, GIVEN, NEVER_DUE, 3], [GIVEN, 1, *[NEVER_DUE] * 4]])
    rows = Rows.of(read_at, order="relations_first")
    assert rows.position[rows.row == 0].tolist() == [1, 2, 0, 4, 5, 3]
    assert rows.position[rows.row == 1].tolist() == [1, 0]


@torch.no_grad()
def test_an_answer_token_mixes_what_the_others_would_answer_and_says_nothing_itself() -> None:
    model = model_of(loops=2, order="answer_token")
    rows = [[3, 9, 10], [4, 11]]
    (read,) = model(*padded(rows))
    assert sorted(zip(read.row.tolist(), read.position.tolist(), strict=True)) == [(0, 2), (1, 1)]
    torch.testing.assert_close(read.logits.exp().sum(-1), torch.ones(2))
    (alone,) = model(*padded(rows[1:]))
    torch.testing.assert_close(read.logits[read.row == 1], alone.logits, atol=1e-5, rtol=1e-5)
    laid = Rows.of(padded(rows)[1], order="answer_token")
    assert laid.position.tolist() == [0, 1, 2, 0, 1, 2, 3]
    assert laid.position[laid.read].tolist() == [2, 3]


@torch.no_grad()
def test_when_an_answer_is_due_changes_nothing() -> None:
    """The model is not told how many hops there are: only that a place is read out at all."""
    model = model_of(loops=4)
    tokens, read_at = padded([[1, 9, 10], [2, 10, 11]])
    later = torch.where(read_at > GIVEN, read_at + 3, read_at)
    torch.testing.assert_close(model(tokens, read_at)[0].logits, model(tokens, later)[0].logits)


@torch.no_grad()
def test_with_its_gate_shut_a_model_says_nothing() -> None:
    model = model_of(loops=3)
    heard: list[Tensor] = []
    model.hook_said.register_forward_hook(lambda _point, _given, value: heard.append(value))
    tokens, read_at = padded([[1, 9, 10]])
    model(tokens, read_at)
    model.gate.weight.zero_()
    model.gate.bias.fill_(-100.0)
    del heard[:]
    model(tokens, read_at)
    for said in heard:
        torch.testing.assert_close(said, model.token_norm(model.embedding(tokens[0])))


def test_how_often_the_block_is_applied_is_drawn_in_training_and_follows_from_seed_and_step() -> None:
    model = model_of(fewest_loops=2, most_loops=4, loops=7)
    drawn = []
    for step in range(60):
        model.prepare(5, step)
        drawn.append(model.loops)
    assert set(drawn) == {2, 3, 4}
    again = model_of(fewest_loops=2, most_loops=4, loops=7)
    again.prepare(5, 59)
    assert again.loops == drawn[-1]
    tokens, read_at = padded([[1, 9]])
    assert model.train()(tokens, read_at)[0].loop == drawn[-1]
    assert model.eval()(tokens, read_at)[0].loop == 7


def test_its_preset_is_told_final_answers_only() -> None:
    settings = preset("recurrent")
    assert (settings.task.supervision, settings.train.packing) == ("answer", False)
    assert settings.model.architecture == "recurrent"
    with pytest.raises(InputError, match="most_loops must be at least"):
        preset("recurrent", changes=["model.fewest_loops=5"])


def test_matrices_are_moved_by_muon_and_distances_are_not() -> None:
    from grokhop.training.optimizers import make_optimizers

    model = model_of()
    muon, adam = make_optimizers(model, preset("recurrent").optimizer)
    inside = {id(p) for group in muon.param_groups for p in group["params"]}
    assert inside == {id(m.weight) for m in model.layers.modules() if isinstance(m, torch.nn.Linear)}
    assert any(p is model.layers[0].distance_bias for group in adam.param_groups for p in group["params"])


@pytest.mark.slow
def test_compositions_are_learned_from_final_answers(tmp_path: Path) -> None:
    """Slow: it trains a model of 100 entities until it composes facts that are in no composition."""
    from grokhop.datasets.ingest import ingest_synthetic
    from grokhop.evaluation.evaluate import evaluate
    from grokhop.training.train import train
    from tests.settings import ran

    ingest_synthetic(tmp_path / "graph", entities=100, relations=10, out_degree=8, holdout=0.1)
    settings = preset("recurrent", changes=["train.evaluate_every=100"])
    run = train(tmp_path / "graph", tmp_path / "run", ran(settings, budget="700 steps"))
    found = evaluate(run.path, threads=1).cells["2"]
    assert found["II"].accuracy is not None and found["II"].accuracy > 0.95
    assert found["OO"].accuracy is not None and found["OO"].accuracy > 0.8
