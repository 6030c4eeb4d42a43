"""The plain GPT-2: causal, of the published shape, and with weights that begin as published."""

from dataclasses import replace
from math import sqrt

import pytest
import torch
from torch import Tensor

from grokhop.config import preset
from grokhop.models.gpt2 import Gpt2, Nodes
from grokhop.tasks.encoding import GIVEN, NEVER_DUE
from tests.settings import shape_of

VOCABULARY = 11


SMALL = shape_of(architecture="gpt2", d_model=16, n_heads=2, n_layers=2)


def model_of(**shape: int) -> Gpt2:
    torch.manual_seed(0)
    return Gpt2(replace(SMALL, **shape), vocabulary=VOCABULARY).eval()


def at_all(model: Gpt2, tokens: Tensor) -> Tensor:
    """(B, T, V) logits of every position."""
    (read,) = model(tokens, torch.ones_like(tokens))
    return read.logits.view(*tokens.shape, -1)


TOKENS = torch.tensor([[1, 8, 9, 2], [3, 7, 10, 0]])


def test_no_position_sees_what_comes_after_it() -> None:
    changed = TOKENS.clone()
    changed[:, 2:] = 5
    one, other = at_all(model_of(), TOKENS), at_all(model_of(), changed)
    torch.testing.assert_close(one[:, :2], other[:, :2])
    assert not torch.allclose(one[:, 2:], other[:, 2:])


def test_what_stands_behind_a_row_changes_no_answer() -> None:
    short = at_all(model_of(), TOKENS[:, :3])
    torch.testing.assert_close(at_all(model_of(), TOKENS)[:, :3], short)


def test_the_same_token_is_another_at_another_position() -> None:
    logits = at_all(model_of(), torch.tensor([[4, 4, 4]]))
    assert not torch.allclose(logits[:, 0], logits[:, 1])


def test_only_the_due_positions_are_read_out_all_at_once() -> None:
    model = model_of()
    read_at = torch.tensor([[GIVEN, 1, 2, NEVER_DUE], [GIVEN, NEVER_DUE, NEVER_DUE, 3]])
    (read,) = model(TOKENS, read_at)
    assert list(zip(read.row.tolist(), read.position.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 3)]
    torch.testing.assert_close(read.logits, at_all(model, TOKENS)[read.row, read.position])


def test_rows_that_begin_alike_share_their_states_and_nothing_else_changes() -> None:
    """In training each prefix is computed once; answers and gradients are those of rows on their own."""
    model = model_of(n_layers=3)
    tokens = torch.tensor([[1, 8, 9, 2], [1, 8, 9, 3], [1, 8, 10, 2], [1, 9, 9, 2], [2, 8, 9, 2], [1, 8, 9, 2]])
    read_at = torch.tensor(
        [[GIVEN, 1, 1, 1]] * 3 + [[GIVEN, 1, NEVER_DUE, NEVER_DUE], [GIVEN, NEVER_DUE, 1, 1], [GIVEN, 1, 1, 1]]
    )
    assert (
        len(Nodes.of(tokens, read_at, shared=True).row) == 12 < len(Nodes.of(tokens, read_at, shared=False).row) == 22
    )
    found = []
    for mode in (True, False):
        (read,) = model.train(mode)(tokens, read_at)
        gradients = torch.autograd.grad((read.logits**2).sum(), list(model.parameters()), allow_unused=True)
        found.append((read.row, read.position, read.logits, *(g for g in gradients if g is not None)))
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-4)


def test_layers_that_are_applied_twice_are_those_of_a_model_that_holds_them_twice() -> None:
    shared, spelled_out = model_of(repeats=2), model_of(n_layers=4)
    for name in ("embedding", "position", "final_norm"):
        getattr(spelled_out, name).load_state_dict(getattr(shared, name).state_dict())
    for place, layer in enumerate(spelled_out.layers):
        layer.load_state_dict(shared.layers[place % 2].state_dict())
    torch.testing.assert_close(at_all(shared, TOKENS), at_all(spelled_out, TOKENS))


def test_the_full_preset_has_the_published_shape_and_number_of_parameters() -> None:
    """124 million with GPT-2's 50,257 tokens and 1,024 positions; 85 million of them in twelve layers, here eight."""
    settings = preset("paper-full").model
    assert (settings.n_layers, settings.d_model, settings.n_heads) == (8, 768, 12)
    layer = Gpt2(shape_of(architecture="gpt2", d_model=768, n_heads=12), vocabulary=2).layers[0]
    assert sum(p.numel() for p in layer.parameters()) == 7_087_872  # as in transformers' GPT2Block


def test_weights_begin_as_published() -> None:
    model = model_of(d_model=256, n_heads=4, n_layers=3)
    named = dict(model.named_parameters())
    assert all(bool((p == 0).all()) for name, p in named.items() if name.endswith("bias"))
    for name, p in named.items():
        if p.ndim == 2:
            smaller = sqrt(2 * 3) if name.endswith(("output.weight", "down.weight")) else 1
            assert p.std().item() == pytest.approx(0.02 / smaller, rel=0.1), name
