"""The loop model against a plain decoder written out here, one row, one head and one position at a time."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from grokhop.models.base import ReadOut
from grokhop.models.looped import LoopTransformer
from grokhop.tasks.encoding import GIVEN, NEVER_DUE, NO_TARGET, carried
from grokhop.training.losses import loss
from tests.settings import shape_of

VOCABULARY = 23


def model_of(layers: int = 1, *, seed: int = 0) -> LoopTransformer:
    """A model whose every weight is random, gains too, so that each is seen to be used."""
    torch.manual_seed(seed)
    model = LoopTransformer(shape_of(d_model=16, n_heads=2, n_layers=layers), vocabulary=VOCABULARY)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 1:
                weight.uniform_(0.5, 1.5)
            elif "embedding" in name:
                weight.normal_()
    return model


def random_rows(rows: int, places: int, *, seed: int = 0) -> Tensor:
    return torch.randint(VOCABULARY, (rows, places), generator=torch.Generator().manual_seed(seed))


def chains(rows: int, hops: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random rows h r1 ... rk with the loop in which each position is due."""
    return random_rows(rows, hops + 1, seed=seed), torch.arange(hops + 1).expand(rows, -1).contiguous()


def in_table(read_outs: list[ReadOut], shape: Sequence[int]) -> Tensor:
    """(B, T, V) logits, NaN where nothing was read out."""
    table = torch.full((*shape, VOCABULARY), math.nan)
    for read in read_outs:
        table[read.row, read.position] = read.logits
    return table


def assert_close(found: Tensor, expected: Tensor) -> None:
    """The same read-outs at the same places, but for the last digits of sums in another order."""
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5, equal_nan=True)


# The reference.


def norm(x: Tensor, gain: Tensor) -> Tensor:
    return x / ((x * x).mean() + torch.finfo(torch.float32).eps).sqrt() * gain


def turned(x: Tensor, place: int) -> Tensor:
    """Feature i and feature i + K/2 as one complex number, turned by place / 10000 ** (2i / K)."""
    half = len(x) // 2
    angle = torch.tensor([place * 10_000.0 ** (-i / half) for i in range(half)])
    z = torch.complex(x[:half], x[half:]) * torch.polar(torch.ones(half), angle)
    return torch.cat([z.real, z.imag])


def plain_decoder(model: LoopTransformer, x_TD: Tensor) -> Tensor:
    """(T, V) logits of one row of embeddings by a plain pre-norm decoder with the model's weights."""
    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    heads, K = model.settings.n_heads, model.settings.d_model // model.settings.n_heads
    for i in range(model.settings.n_layers):
        w = {name.removeprefix(f"layers.{i}."): weight for name, weight in weights.items()}
        normed = [norm(x, w["attention_norm.weight"]) for x in x_TD]
        after = []
        for t, x in enumerate(x_TD):
            mixed = []
            for head in range(heads):
                part = slice(head * K, (head + 1) * K)
                query = turned((w["attention.query.weight"] @ normed[t])[part], t)
                keys = [turned((w["attention.key.weight"] @ normed[s])[part], s) for s in range(t + 1)]
                values = [(w["attention.value.weight"] @ normed[s])[part] for s in range(t + 1)]
                share = torch.stack([query @ key / math.sqrt(K) for key in keys]).softmax(0)
                mixed.append(sum(p * value for p, value in zip(share, values, strict=True)))
            x = x + w["attention.output.weight"] @ torch.cat(mixed)
            hidden = w["mlp.up.weight"] @ norm(x, w["mlp_norm.weight"])
            gelu = hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2
            after.append(x + w["mlp.down.weight"] @ gelu)
        x_TD = torch.stack(after)
    final = torch.stack([norm(x, weights["final_norm.weight"]) for x in x_TD])
    return final @ weights["embedding.weight"].T


def looped_decoder(model: LoopTransformer, tokens: Tensor, read_at: Tensor) -> Tensor:
    """(T, V) logits of one row: the plain decoder run once for each loop, due positions replaced between."""
    E = model.embedding.weight.detach()
    x_TD = E[tokens]
    table = torch.full((len(tokens), VOCABULARY), math.nan)
    for loop in range(1, int(read_at.max()) + 1):
        logits = plain_decoder(model, x_TD)
        for place in torch.nonzero(read_at == loop).flatten().tolist():
            table[place] = logits[place]
            x_TD[place] = logits[place].softmax(0) @ E
    return table


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_with_every_position_due_at_once_it_is_a_plain_decoder(layers: int) -> None:
    model, tokens = model_of(layers), random_rows(5, 6)
    read_outs = model(tokens, torch.ones_like(tokens))
    assert [read.loop for read in read_outs] == [1]
    expected = torch.stack([plain_decoder(model, model.embedding.weight.detach()[row]) for row in tokens])
    assert_close(in_table(read_outs, tokens.shape), expected)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("hops", [2, 3])
def test_a_loop_is_the_plain_decoder_over_what_the_loop_before_read_out(layers: int, hops: int) -> None:
    model = model_of(layers)
    tokens, read_at = chains(5, hops)
    expected = torch.stack([looped_decoder(model, *row) for row in zip(tokens, read_at, strict=True)])
    found = in_table(model(tokens, read_at), tokens.shape)
    assert_close(found, expected)


@pytest.mark.parametrize("layers", [1, 2])
def test_a_later_token_never_changes_an_earlier_answer(layers: int) -> None:
    model = model_of(layers)
    tokens, read_at = chains(6, 3)
    whole = in_table(model(tokens, read_at), tokens.shape)
    for place in range(1, 4):
        changed = tokens.clone()
        changed[:, place:] = (changed[:, place:] + 7) % VOCABULARY
        found = in_table(model(changed, read_at), tokens.shape)
        assert_close(found[:, :place], whole[:, :place])
        assert not torch.allclose(found[:, place], whole[:, place])


@pytest.mark.parametrize("layers", [1, 2])
def test_padding_and_longer_neighbours_change_nothing(layers: int) -> None:
    model = model_of(layers)
    short, short_due = chains(3, 1)
    long, long_due = chains(4, 3, seed=1)
    padded = torch.cat([short, torch.full((3, 2), 5)], dim=1)
    padded_due = torch.cat([short_due, torch.full((3, 2), NEVER_DUE)], dim=1)
    together = in_table(model(torch.cat([padded, long]), torch.cat([padded_due, long_due])), (7, 4))
    alone = in_table(model(short, short_due), short.shape)
    assert_close(together[:3, :2], alone)
    assert together[:3, 2:].isnan().all()
    alone = in_table(model(long, long_due), long.shape)
    assert_close(together[3:], alone)


def test_the_answers_of_a_row_do_not_depend_on_the_other_rows_of_its_batch() -> None:
    model = model_of(2)
    tokens, read_at = chains(8, 3)
    together = in_table(model(tokens, read_at), tokens.shape)
    for i in range(8):
        alone = in_table(model(tokens[i : i + 1], read_at[i : i + 1]), (1, 4))
        assert_close(alone[0], together[i])


def test_each_position_is_read_out_once_in_its_loop_and_a_given_one_never() -> None:
    tokens = random_rows(3, 4)
    read_at = torch.tensor([[GIVEN, 1, 2, 3], [GIVEN, 1, 2, NEVER_DUE], [GIVEN, 1, NEVER_DUE, NEVER_DUE]])
    read_outs = model_of()(tokens, read_at)
    assert [(read.loop, len(read.logits)) for read in read_outs] == [(1, 3), (2, 2), (3, 1)]
    for read in read_outs:
        places = list(zip(read.row.tolist(), read.position.tolist(), strict=True))
        assert places == [tuple(place) for place in torch.nonzero(read_at == read.loop).tolist()]
        assert read.logits.shape[1] == VOCABULARY


def test_gradients_reach_every_weight() -> None:
    model = model_of(2)
    tokens, read_at = chains(6, 2)
    targets = torch.cat([torch.full((6, 1), NO_TARGET), random_rows(6, 2, seed=2)], dim=1)
    loss(model(tokens, read_at), targets).backward()  # type: ignore[no-untyped-call]
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


def test_the_answer_of_a_later_hop_teaches_the_hop_before_it() -> None:
    """The gradient of the second loop passes through the re-embedding to the read-out of the first."""
    first, second = model_of()(torch.tensor([[1, 10, 11]]), torch.tensor([[GIVEN, 1, 2]]))
    first.logits.retain_grad()
    second.logits[0, 3].backward()
    assert first.logits.grad is not None
    assert first.logits.grad.abs().sum() > 0


def test_the_loss_is_the_sum_over_loops_of_the_mean_negative_log_probability() -> None:
    model = model_of()
    tokens = random_rows(3, 3)
    read_at = torch.tensor([[GIVEN, 1, 2], [GIVEN, 1, 2], [GIVEN, 1, NEVER_DUE]])
    targets = torch.tensor([[NO_TARGET, 4, 5], [NO_TARGET, 6, 7], [NO_TARGET, 8, NO_TARGET]])
    table = in_table(model(tokens, read_at), tokens.shape).detach().double().numpy()

    def surprise(row: int, place: int) -> float:
        logits = table[row, place]
        return float(np.log(np.exp(logits).sum()) - logits[int(targets[row, place])])

    first = np.mean([surprise(row, 1) for row in range(3)])
    second = np.mean([surprise(row, 2) for row in range(2)])
    found = float(loss(model(tokens, read_at), targets).detach())
    assert found == pytest.approx(first + second, rel=1e-5)


def test_the_hop_trace_names_the_likeliest_token_of_each_due_position() -> None:
    model = model_of()
    tokens = random_rows(4, 3)
    read_at = torch.tensor([[GIVEN, 1, 2]] * 3 + [[GIVEN, 1, NEVER_DUE]])
    hops = model.hops(tokens, read_at)
    table = in_table(model(tokens, read_at), tokens.shape).detach().softmax(-1)
    assert hops.entity.shape == hops.probability.shape == tokens.shape
    for row in range(4):
        for place in range(3):
            if read_at[row, place] > 0:
                assert hops.entity[row, place] == table[row, place].argmax()
                assert hops.probability[row, place] == pytest.approx(float(table[row, place].max()), rel=1e-5)
            else:
                assert hops.entity[row, place] == -1
                assert hops.probability[row, place] == 0


def test_a_width_that_the_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="d_model must be a multiple"):
        shape_of(d_model=20, n_heads=4)


def test_a_position_due_later_than_one_loop_after_the_one_before_carries_its_state_on() -> None:
    model, tokens = model_of(), random_rows(1, 3)
    read_at = torch.tensor([[GIVEN, 1, 3]])
    read_outs = model(tokens, read_at)
    assert [(read.loop, read.position.tolist()) for read in read_outs] == [(1, [1]), (3, [2])]
    x_TD = model.embedding(tokens)
    first = model.read_out(model.block(x_TD, torch.tensor([0]), torch.tensor([1])))
    assert_close(read_outs[0].logits, first)
    x_TD = torch.stack([x_TD[0, 0], model.re_embed(first)[0], x_TD[0, 2]])[None]  # the last has not yet begun
    carried = model.block(x_TD, torch.tensor([0]), torch.tensor([2]))
    x_TD = torch.stack([x_TD[0, 0], x_TD[0, 1], carried[0]])[None]
    assert_close(read_outs[1].logits, model.read_out(model.block(x_TD, torch.tensor([0]), torch.tensor([2]))))


COMPARISON = [GIVEN, 1, carried(2), GIVEN, 1, 3]
"""`a r OP b r OP`"""


def after_loop(model: LoopTransformer, x_BTD: Tensor, *places: int) -> Tensor:
    """(B, n, D) what the block gives at some places of all rows."""
    every = torch.cartesian_prod(torch.arange(len(x_BTD)), torch.tensor(places))
    return model.block(x_BTD, every[:, 0], every[:, 1]).view(len(x_BTD), len(places), -1)


@pytest.mark.parametrize("layers", [1, 2])
def test_a_carried_position_keeps_what_the_block_gave_in_its_loop_and_is_never_read_out(layers: int) -> None:
    model, tokens = model_of(layers), random_rows(3, 6)
    read_at = torch.tensor([COMPARISON] * 3)
    read_outs = model(tokens, read_at)
    assert [(read.loop, read.position.tolist()) for read in read_outs] == [(1, [1, 4] * 3), (3, [5] * 3)]
    x_BTD = model.embedding(tokens)
    ends = model.read_out(after_loop(model, x_BTD, 1, 4))
    x_BTD = x_BTD.clone()
    x_BTD[:, [1, 4]] = model.re_embed(ends)  # neither operator has begun: the ends of their branches were missing
    gathered = after_loop(model, x_BTD, 2, 5)
    x_BTD = x_BTD.clone()
    x_BTD[:, [2, 5]] = gathered  # the first operator has done its work now and stays as it is
    answers = model.read_out(after_loop(model, x_BTD, 5))
    expected = torch.full((3, 6, VOCABULARY), math.nan)
    expected[:, [1, 4]], expected[:, [5]] = ends, answers
    assert_close(in_table(read_outs, tokens.shape), expected)


def test_what_a_carried_position_holds_is_seen_by_the_answer_behind_it() -> None:
    model, tokens = model_of(), random_rows(2, 6)
    held, padded = torch.tensor([COMPARISON] * 2), torch.tensor([COMPARISON] * 2)
    padded[:, 2] = NEVER_DUE
    one, other = (in_table(model(tokens, read_at), tokens.shape) for read_at in (held, padded))
    assert_close(one[:, :5], other[:, :5])
    assert not torch.allclose(one[:, 5], other[:, 5])


def test_a_carried_position_works_longer_where_it_is_carried_to_a_later_loop() -> None:
    model, tokens = model_of(), random_rows(2, 3)
    first, second = torch.tensor([[GIVEN, carried(2), 3]] * 2), torch.tensor([[GIVEN, carried(1), 3]] * 2)
    x_BTD = model.embedding(tokens).clone()
    x_BTD[:, [1]] = after_loop(model, x_BTD, 1)
    longer = x_BTD.clone()
    longer[:, [1]] = after_loop(model, longer, 1)
    # The last position begins one loop after that which is carried has ended.
    longer_answer = model.read_out(after_loop(model, longer, 2))
    x_BTD[:, [2]] = after_loop(model, x_BTD, 2)
    shorter_answer = model.read_out(after_loop(model, x_BTD, 2))
    assert_close(model(tokens, first)[0].logits, longer_answer[:, 0])
    assert_close(model(tokens, second)[0].logits, shorter_answer[:, 0])
    assert not torch.allclose(longer_answer, shorter_answer)


def test_the_hop_trace_has_nothing_at_a_carried_position() -> None:
    hops = model_of().hops(random_rows(2, 6), torch.tensor([COMPARISON] * 2))
    assert (hops.entity >= 0).tolist() == [[loop > 0 for loop in COMPARISON]] * 2
    assert (hops.probability > 0).tolist() == [[loop > 0 for loop in COMPARISON]] * 2


def test_comparisons_are_answered_alike_alone_and_padded_beside_longer_rows() -> None:
    model = model_of(2)
    short, long = random_rows(2, 6), random_rows(3, 8, seed=1)
    short_due = torch.tensor([COMPARISON] * 2)
    long_due = torch.tensor([[GIVEN, 1, 2, carried(3), GIVEN, 1, 2, 4]] * 3)
    padded = torch.cat([short, torch.full((2, 2), 5)], dim=1)
    padded_due = torch.cat([short_due, torch.full((2, 2), NEVER_DUE)], dim=1)
    together = in_table(model(torch.cat([padded, long]), torch.cat([padded_due, long_due])), (5, 8))
    assert_close(together[:2, :6], in_table(model(short, short_due), (2, 6)))
    assert_close(together[2:], in_table(model(long, long_due), (3, 8)))
    assert together[:2, 6:].isnan().all()


def test_a_loop_in_which_no_position_is_due_adds_nothing_to_the_loss() -> None:
    model, tokens = model_of(), random_rows(2, 3)
    read_at = torch.tensor([[GIVEN, GIVEN, 2]] * 2)
    found = loss(model(tokens, read_at), torch.tensor([[NO_TARGET, NO_TARGET, 4]] * 2))
    assert found.isfinite()
    assert found > 0
