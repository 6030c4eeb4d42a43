"""Training groks a toy graph, goes on after a stop as if there had been none, and never looks at a test query."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

import grokhop.tasks.dataset as dataset_stage
import grokhop.training.trainer as trainer_module
import grokhop.training.validation as validation
from grokhop.config import Budget, TaskConfig, preset
from grokhop.core.errors import InputError
from grokhop.evaluation.evaluate import evaluate
from grokhop.graph.graph import Graph, Split
from grokhop.graph.paths import Queries
from grokhop.graph.queries import SAME
from grokhop.runs.metrics import EvalRecord, read_looks
from grokhop.runs.run import CHECKPOINT, SUMMARY, WEIGHTS, Run
from grokhop.tasks.comparison import comparable
from grokhop.tasks.composition import Compositions, compose
from grokhop.tasks.dataset import TaskDataset, compose_as
from grokhop.tasks.encoding import TokenBatch
from grokhop.training.checkpoint import Where, save_checkpoint
from grokhop.training.losses import loss
from grokhop.training.train import train
from grokhop.training.trainer import Trainer
from grokhop.training.validation import Validation
from tests.conftest import ROOT
from tests.graphs import built, random_graph
from tests.settings import Told, ran, settings_of, shape_of, with_
from tests.unit.tasks.test_comparison import asked_graph

GOLDEN = ROOT / "tests" / "golden" / "toy_losses.txt"
MINI = settings_of(
    model=shape_of(d_model=16, n_heads=2),
    batch_size=32,
    evaluate_every=10,
    warmup_steps=5,
    cooldown_steps=20,
)
STEPS = 60


@pytest.fixture(scope="session")
def straight(mini_graph: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    return trained(mini_graph, tmp_path_factory.mktemp("runs") / "straight")


def trained(graph: Path, out: Path, **changes: Any) -> Path:
    resources = {"budget": Budget(steps=STEPS), "preset": "mini", **changes}
    how = {name: resources.pop(name) for name in ("resume", "force") if name in resources}
    notice = resources.pop("notice", lambda _seed, _look: None)
    settings = ran(resources.pop("settings", MINI), **resources)
    return train(graph, out, settings, callbacks=[Told(notice)], **how).path


def weights(run: Path, seed: int = 0) -> bytes:
    return (run / f"seed-{seed}" / WEIGHTS).read_bytes()


def looks(run: Path, seed: int = 0) -> list[EvalRecord]:
    """The looks of a run without what they say about time."""
    found = read_looks(run / f"seed-{seed}")
    return [replace(look, seconds=0, rows_per_second=0, seconds_left=None) for look in found]


def assert_same_outcome(one: Path, other: Path) -> None:
    """Every weight to its last bit, and every look."""
    assert weights(one) == weights(other)
    assert looks(one) == looks(other)


# It groks.


@pytest.fixture(scope="session")
def toy_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graphs") / "toy"
    random_graph(entities=80, relations=8, degree=8, holdout=0.1).write(path)
    return path


def test_a_toy_graph_is_grokked_on_held_out_queries_and_on_held_out_facts(toy_graph: Path, tmp_path: Path) -> None:
    budget = Budget(steps=1500)
    run = Run.read(trained(toy_graph, tmp_path / "run", settings=preset("toy"), budget=budget))
    two_hops = evaluate(run.path).to_dict()["cells"]["2"]
    assert two_hops["II"]["n"] > 200
    assert two_hops["OO"]["n"] >= 20
    assert {cell for cell, score in two_hops.items() if score["accuracy"] >= 0.9} == {"II", "IO", "OI", "OO"}
    assert set(run.summary(0).grok) == {"train_99", "id_95", "ood_95"}
    assert None not in run.summary(0).grok.values()
    seen = looks(run.path)
    assert seen[0].loss > 10 * seen[-1].loss
    assert seen[-1].cooling


def test_a_fact_that_was_never_shown_is_answered_by_chance_in_every_cell(
    toy_graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same training without the rows that teach the held-out facts alone: were anything about them trained
    elsewhere, or could a query be guessed from others, these cells would show it."""

    def without_held_out_facts(graph: Graph, settings: TaskConfig) -> Compositions:
        made = compose_as(graph, settings)
        return replace(made, atomic=made.atomic[graph.part[made.atomic] == Split.TRAIN])

    monkeypatch.setattr(dataset_stage, "compose_as", without_held_out_facts)
    run = trained(toy_graph, tmp_path / "run", settings=preset("toy"), budget=Budget(steps=300))
    found = evaluate(run).to_dict()
    assert found["cells"]["2"]["II"]["accuracy"] >= 0.9
    for score in (found["atomic_held_out"], *(found["cells"]["2"][cell] for cell in ("IO", "OI", "OO"))):
        assert score["low"] <= 0.1  # chance is 1 in 80
        assert score["accuracy"] <= 0.15


def environment() -> str:
    return f"# torch {torch.__version__} {torch.backends.cpu.get_cpu_capability()}"


def test_the_losses_of_a_toy_run_are_those_kept_with_the_tests(tmp_path: Path) -> None:
    """Fifty steps through warm-up and cool-down. A change of them is a change of what is trained, and must be meant.

    Where torch or the processor's vector units differ from the file's first line, sums are rounded differently, which
    training amplifies step by step; then only the first twenty losses are compared, to a thousandth.

    GROKHOP_WRITE_GOLDEN=1 writes the file anew.
    """
    random_graph(entities=50, relations=10, degree=8, holdout=0.1).write(tmp_path / "graph")
    settings = with_(preset("toy"), evaluate_every=1, warmup_steps=10, cooldown_steps=10)
    run = trained(tmp_path / "graph", tmp_path / "run", settings=settings, budget=Budget(steps=50))
    losses = [look.loss for look in looks(run)]
    assert len(losses) == 50
    if os.environ.get("GROKHOP_WRITE_GOLDEN"):
        GOLDEN.write_text("\n".join([environment(), *map(repr, losses)]) + "\n")
    header, *kept = GOLDEN.read_text().splitlines()
    if header == environment():
        assert list(map(repr, losses)) == kept
    else:
        assert losses[:20] == pytest.approx(list(map(float, kept[:20])), rel=1e-3)


# It is reproduced, and goes on after a stop.


def test_the_same_seed_on_one_thread_gives_the_same_run_to_the_last_digit(
    mini_graph: Path, straight: Path, tmp_path: Path
) -> None:
    assert_same_outcome(trained(mini_graph, tmp_path / "again"), straight)
    assert len(looks(straight)) == STEPS // MINI.train.evaluate_every


def test_seeds_give_different_models_and_the_first_is_the_one_trained_alone(
    mini_graph: Path, straight: Path, tmp_path: Path
) -> None:
    run = trained(mini_graph, tmp_path / "run", seeds=2)
    assert Run.read(run).finished_seeds() == [0, 1]
    assert weights(run, 0) == weights(straight)
    assert weights(run, 1) != weights(run, 0)


def test_the_seed_chooses_the_first_weights_and_the_order_of_the_rows(mini_graph: Path, tmp_path: Path) -> None:
    graph = Graph.read(mini_graph)
    dataset = TaskDataset.of(graph, compose(graph))
    one, again, other = (Trainer(dataset, MINI, seed=seed, folder=tmp_path / "seed") for seed in (0, 0, 1))
    assert torch.equal(one.model.embedding.weight, again.model.embedding.weight)
    assert not torch.equal(one.model.embedding.weight, other.model.embedding.weight)
    tokens, tokens_again, tokens_other = (trainer.batches.of_step(0)[0][0] for trainer in (one, again, other))
    assert torch.equal(tokens, tokens_again)
    assert not torch.equal(tokens, tokens_other)


@pytest.mark.parametrize("stop", [10, 30, 50, STEPS], ids=lambda step: f"after step {step}")
def test_a_run_that_was_stopped_goes_on_to_the_same_last_bit(
    mini_graph: Path, straight: Path, tmp_path: Path, stop: int
) -> None:
    """The cool-down begins at step 40, so this stops before, within and at the end of it."""

    def interrupt(_seed: int, look: EvalRecord) -> None:
        if look.step == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(mini_graph, tmp_path / "run", notice=interrupt)
    assert not (tmp_path / "run" / "seed-0" / SUMMARY).exists()
    went_on: list[int] = []
    run = trained(mini_graph, tmp_path / "run", resume=True, notice=lambda _seed, look: went_on.append(look.step))
    assert_same_outcome(run, straight)
    assert went_on == list(range(stop + 10, STEPS + 1, 10))


def test_a_run_that_was_stopped_while_writing_goes_on_to_the_same_last_bit(
    mini_graph: Path, straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line of metrics is there whose checkpoint is not, and another is half-written."""
    saved: list[int] = []

    def save_twice(path: Path, model: Any, average: Any, optimizers: Any, where: Where) -> None:
        if len(saved) == 2:
            raise OSError("no space left")
        saved.append(where.step)
        save_checkpoint(path, model, average, optimizers, where)

    with monkeypatch.context() as patched:
        patched.setattr(trainer_module, "save_checkpoint", save_twice)
        with pytest.raises(OSError, match="no space left"):
            trained(mini_graph, tmp_path / "run")
    assert (saved, len(looks(tmp_path / "run"))) == ([10, 20], 3)
    with (tmp_path / "run" / "seed-0" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 40, "sec')
    assert_same_outcome(trained(mini_graph, tmp_path / "run", resume=True), straight)


def test_a_finished_run_is_not_trained_further_and_may_be_given_another_seed(
    mini_graph: Path, straight: Path, tmp_path: Path
) -> None:
    shutil.copytree(straight, tmp_path / "run")
    run = trained(mini_graph, tmp_path / "run", resume=True, seeds=2)
    assert_same_outcome(run, straight)
    assert Run.read(run).finished_seeds() == [0, 1]


def test_a_run_is_resumed_with_no_other_settings_and_no_other_graph(mini_graph: Path, tmp_path: Path) -> None:
    def interrupt(_seed: int, _look: EvalRecord) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(mini_graph, tmp_path / "run", notice=interrupt)
    others = with_(MINI, batch_size=8, model=shape_of(d_model=32))
    for settings in (others, with_(MINI, compare=False)):
        with pytest.raises(InputError, match="same --preset, --hops, --compare, --control and --set"):
            trained(mini_graph, tmp_path / "run", resume=True, settings=settings)
    random_graph(entities=50, relations=10, degree=8, holdout=0.1).write(tmp_path / "graph")
    with pytest.raises(InputError, match="another graph"):
        trained(tmp_path / "graph", tmp_path / "run", resume=True)


def test_a_run_inside_its_graph_is_refused(mini_graph: Path) -> None:
    with pytest.raises(InputError, match="inside the graph folder"):
        trained(mini_graph, mini_graph / "run")


def test_training_warms_up_again_when_the_targets_did_not_hold(
    mini_graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The targets are reached once, at the first look, and never again; what is left of the budget is used."""
    folder = tmp_path / "seed-0"
    graph = Graph.read(mini_graph)
    dataset = TaskDataset.of(graph, compose(graph))
    trainer = Trainer(dataset, with_(MINI, evaluate_every=5, cooldown_steps=5), seed=0, folder=folder)
    near = iter([True, *[False] * 100])
    monkeypatch.setattr(Validation, "is_near", lambda *_: next(near))
    monkeypatch.setattr(Validation, "is_enough", lambda *_: False)
    trainer.run(Budget(steps=60))
    assert trainer.step == 60
    assert [look.cooling for look in trainer.looks[:4]] == [False, True, False, False]
    assert trainer.looks[-1].cooling


# Threads, among which the rows of a step are shared out.


def gradients(dataset: TaskDataset, folder: Path, threads: int, **changes: Any) -> tuple[float, list[torch.Tensor]]:
    trainer = Trainer(dataset, with_(MINI, **changes), seed=0, folder=folder)
    trainer.threads = threads
    value = trainer.backward()
    return value, [weight.grad for weight in trainer.model.parameters() if weight.grad is not None]


@pytest.mark.parametrize("kind", ["softmax", "stablemax"])
def test_shares_of_a_step_come_to_the_loss_and_the_gradients_of_the_whole(
    asked: Path, tmp_path: Path, kind: str
) -> None:
    """Also where a share has no row of a group, or none that is due after a loop."""
    graph = Graph.read(asked)
    dataset = TaskDataset.of(comparable(graph), compose(graph))
    value, whole = gradients(dataset, tmp_path / "seed", 1, loss=kind)
    for threads in (2, 3, 40):
        of_shares, shared = gradients(dataset, tmp_path / "seed", threads, loss=kind)
        assert of_shares == pytest.approx(value, rel=1e-5)
        for one, other in zip(whole, shared, strict=True):
            torch.testing.assert_close(other, one, atol=1e-6, rtol=1e-4)


def test_two_threads_reproduce_a_run_to_the_last_bit(mini_graph: Path, tmp_path: Path) -> None:
    one, other = (trained(mini_graph, tmp_path / name, threads=2) for name in ("one", "other"))
    assert_same_outcome(one, other)


# When it stops.


@pytest.mark.parametrize("steps", [1, 7, 25, 59, 60, 61])
def test_a_budget_in_steps_is_kept_exactly(mini_graph: Path, tmp_path: Path, steps: int) -> None:
    run = trained(mini_graph, tmp_path / "run", budget=Budget(steps=steps))
    assert Run.read(run).summary(0).steps == steps


def test_a_budget_in_seconds_ends_with_the_rate_at_rest(
    mini_graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock that ticks once each time it is read: after each step, and after each look."""
    ticks = iter(range(10**6))
    monkeypatch.setattr(trainer_module, "time", SimpleNamespace(perf_counter=lambda: float(next(ticks))))
    rates: list[float] = []
    take_step = Trainer.take_step

    def noted(trainer: Trainer) -> float:
        rates.append(trainer.schedule.rate(trainer.step))
        return take_step(trainer)

    monkeypatch.setattr(Trainer, "take_step", noted)
    run = trained(mini_graph, tmp_path / "run", budget=Budget(seconds=100))
    last = Run.read(run).summary(0).to_dict()
    assert 90 <= last["train_seconds"] <= 101
    assert max(rates) == 1
    assert rates[-1] < 0.1


def test_the_cool_down_begins_when_the_targets_are_reached(mini_graph: Path, tmp_path: Path) -> None:
    easy = with_(MINI, id_target=0.0, ood_target=0.0)
    run = trained(mini_graph, tmp_path / "run", settings=easy, budget=Budget(steps=1000))
    assert Run.read(run).summary(0).steps == MINI.train.evaluate_every + MINI.schedule.cooldown_steps
    assert [look.cooling for look in looks(run)] == [False, True, True]


@pytest.mark.parametrize("target", ["id_target", "ood_target"])
def test_one_target_alone_begins_no_cool_down(mini_graph: Path, tmp_path: Path, target: str) -> None:
    half = with_(MINI, id_target=1.1, ood_target=1.1)
    half = with_(half, **{target: 0.0})
    run = trained(mini_graph, tmp_path / "run", settings=half, budget=Budget(steps=50))
    assert Run.read(run).summary(0).steps == 50


def without_test_queries(made: Compositions) -> Compositions:
    return replace(made, cells={**made.cells, "test": {}})


def with_wrong_test_answers(made: Compositions) -> Compositions:
    def wrong(queries: Queries) -> Queries:
        return replace(queries, answers=np.zeros_like(queries.answers))

    garbage = {k: {cell: wrong(q) for cell, q in by.items()} for k, by in made.cells["test"].items()}
    return replace(made, cells={**made.cells, "test": garbage})


@pytest.mark.parametrize("spoil", [without_test_queries, with_wrong_test_answers])
def test_stopping_and_choosing_never_look_at_a_test_query(
    mini_graph: Path, straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Any
) -> None:
    monkeypatch.setattr(dataset_stage, "compose_as", lambda *args, **kwargs: spoil(compose_as(*args, **kwargs)))
    assert_same_outcome(trained(mini_graph, tmp_path / "run"), straight)


def test_a_graph_with_nothing_held_out_is_trained_too(tmp_path: Path) -> None:
    random_graph(entities=20, relations=5, degree=4, holdout=0).write(tmp_path / "graph")
    run = trained(tmp_path / "graph", tmp_path / "run", budget=Budget(steps=20))
    assert [look.ood for look in looks(run)] == [None, None]
    assert looks(run)[-1].id is not None


def test_longer_chains_are_trained_and_looked_at(mini_graph: Path, tmp_path: Path) -> None:
    settings = preset("toy", hops=3)
    run = trained(mini_graph, tmp_path / "run", settings=settings, budget=Budget(steps=3))
    assert Run.read(run).settings.trains_as(settings)
    assert list(looks(run)[-1].cells) == ["2", "3", "4"]


# Comparisons.


@pytest.fixture(scope="session")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a graph whose questions compare."""
    path = tmp_path_factory.mktemp("graphs") / "asked"
    asked_graph().write(path)
    return path


def test_comparisons_are_trained_where_questions_compare_unless_they_are_unwanted(asked: Path, tmp_path: Path) -> None:
    budget = Budget(steps=10)
    run = Run.read(trained(asked, tmp_path / "run", budget=budget))
    without = Run.read(trained(asked, tmp_path / "without", settings=with_(MINI, compare=False), budget=budget))
    assert SAME in run.graph.relations and SAME not in without.graph.relations
    assert without.graph is without.plain_graph
    assert looks(run.path)[-1].compared is not None
    assert looks(without.path)[-1].compared is None
    composed = compose(asked_graph()).counts.items()
    assert composed <= run.manifest["composed"].items()
    assert composed <= without.manifest["composed"].items()
    assert run.manifest["composed"]["comparison_rows"] > 0 == without.manifest["composed"]["comparison_rows"]


def test_the_loss_of_a_step_is_the_sum_of_its_groups_and_so_is_its_gradient(asked: Path, tmp_path: Path) -> None:
    graph = Graph.read(asked)
    dataset = TaskDataset.of(comparable(graph), compose(graph))
    one, other = (Trainer(dataset, MINI, seed=0, folder=tmp_path / "seed") for _ in range(2))
    groups = one.batches.of_step(0)
    assert len(groups) == 3
    total = torch.stack([loss(one.model(tokens, read_at), targets) for tokens, read_at, targets in groups]).sum()
    total.backward()  # type: ignore[no-untyped-call]
    seen: dict[str, torch.Tensor] = {}

    def note(*_: Any) -> None:
        seen.update({name: p.grad.clone() for name, p in other.model.named_parameters() if p.grad is not None})

    other.optimizers[0].register_step_pre_hook(note)
    assert other.take_step() == pytest.approx(float(total.detach()), rel=1e-6)
    assert seen.keys() == {name for name, _ in one.model.named_parameters()}
    for name, weight in one.model.named_parameters():
        assert weight.grad is not None
        torch.testing.assert_close(seen[name], weight.grad, atol=1e-6, rtol=1e-4)


def test_what_is_looked_at_are_the_comparisons_held_out_for_validation(
    asked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = Graph.read(asked)
    dataset = TaskDataset.of(comparable(graph), compose(graph))
    trainer = Trainer(dataset, with_(MINI, evaluate_every=1), seed=0, folder=tmp_path / "seed")

    def told(_model: Any, rows: TokenBatch) -> np.ndarray[Any, np.dtype[np.bool_]]:
        if rows is dataset.probed:
            return np.ones(0, bool)
        assert any(rows is known for known in dataset.compared.values())
        return np.arange(4) < (4 if rows is dataset.compared["id"] else 2)

    monkeypatch.setattr(validation, "right_at_the_end", told)
    trainer.run(Budget(steps=1))
    assert trainer.looks[-1].compared == 0.75


def test_a_run_with_comparisons_that_was_stopped_goes_on_to_the_same_last_bit(asked: Path, tmp_path: Path) -> None:
    def interrupt(_seed: int, look: EvalRecord) -> None:
        if look.step == 10:
            raise KeyboardInterrupt

    budget = Budget(steps=20)
    straight = trained(asked, tmp_path / "straight", budget=budget)
    with pytest.raises(KeyboardInterrupt):
        trained(asked, tmp_path / "run", budget=budget, notice=interrupt)
    assert_same_outcome(trained(asked, tmp_path / "run", budget=budget, resume=True), straight)


# Its folder.


def test_a_run_folder_says_what_was_trained(mini_graph: Path, straight: Path) -> None:
    run = Run.read(straight)
    assert run.settings.trains_as(MINI)
    assert run.settings.preset == "mini"
    assert run.settings.resources.seeds == run.manifest["threads"] == 1
    assert compose(Graph.read(mini_graph)).counts.items() <= run.manifest["composed"].items()
    assert run.manifest["composed"] == run.dataset.counts
    np.testing.assert_array_equal(run.graph.pair, Graph.read(mini_graph).pair)
    assert {"trainable", "phi"} <= run.read_json("phi.json", made_by="grokhop train").keys()
    assert run.summary(0).validation.keys() == {"train", "id", "ood"}


def test_a_run_folder_holds_no_pickle(straight: Path) -> None:
    files = [path for path in straight.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".jsonl", ".parquet", ".safetensors", ".yaml"}
    for path in files:
        assert path.read_bytes()[:2] not in (b"\x80\x02", b"\x80\x04", b"\x80\x05", b"PK"), path
        if path.suffix == ".safetensors":
            with safe_open(path, framework="np") as file:
                assert len(list(file.keys())) > 5


def test_the_json_of_a_run_folder_is_strict(straight: Path) -> None:
    """No NaN and no Infinity, which readers other than Python's refuse."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    for path in straight.rglob("*.json"):
        json.loads(path.read_text(), parse_constant=refuse)
    for line in (straight / "seed-0" / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=refuse)


def test_a_folder_that_exists_is_refused_before_any_work(mini_graph: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(InputError, match="exists"):
        trained(mini_graph, tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []


def test_force_replaces_a_run_with_all_its_seeds(mini_graph: Path, straight: Path, tmp_path: Path) -> None:
    run = trained(mini_graph, tmp_path / "run", seeds=2, budget=Budget(steps=1))
    assert trained(mini_graph, run, force=True) == run
    assert_same_outcome(run, straight)
    assert not (run / "seed-1").exists()


@pytest.mark.parametrize("force", [True, False])
def test_a_run_that_cannot_begin_leaves_nothing(mini_graph: Path, straight: Path, tmp_path: Path, force: bool) -> None:
    built([("a", "r", "b"), ("c", "r", "d")]).write(tmp_path / "graph")
    if force:
        shutil.copytree(straight, tmp_path / "run")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match="no compositions"):
        trained(tmp_path / "graph", tmp_path / "run", force=force)
    with pytest.raises(InputError, match="does not exist"):
        trained(tmp_path / "nowhere", tmp_path / "run", force=force)
    assert sorted(tmp_path.iterdir()) == before
    if force:
        assert_same_outcome(tmp_path / "run", straight)


def damage_truncate(path: Path, _straight: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def damage_empty(path: Path, _straight: Path) -> None:
    path.write_bytes(b"")


def damage_other_model(path: Path, straight: Path) -> None:
    other = straight.parent / "other"
    if not other.exists():
        wide = with_(MINI, model=shape_of(d_model=32))
        trained(straight / "graph", other, settings=wide, budget=Budget(steps=1))
    shutil.copy(other / "seed-0" / CHECKPOINT, path)


def damage_weights_only(path: Path, straight: Path) -> None:
    shutil.copy(straight / "seed-0" / WEIGHTS, path)


@pytest.mark.parametrize("damage", [damage_truncate, damage_empty, damage_other_model, damage_weights_only])
def test_a_damaged_checkpoint_is_refused_in_one_line(
    mini_graph: Path, straight: Path, tmp_path: Path, damage: Any
) -> None:
    run = tmp_path / "run"
    shutil.copytree(straight, run)
    (run / "seed-0" / SUMMARY).unlink()
    damage(run / "seed-0" / CHECKPOINT, straight)
    with pytest.raises(InputError, match=CHECKPOINT) as caught:
        trained(mini_graph, run, resume=True)
    assert "\n" not in str(caught.value)
    assert not (run / "seed-0" / SUMMARY).exists()


def test_what_is_no_run_folder_is_not_resumed(mini_graph: Path, tmp_path: Path) -> None:
    copytree(mini_graph, tmp_path / "no run")
    with pytest.raises(InputError, match="not a run folder"):
        trained(mini_graph, tmp_path / "no run", resume=True)


def test_the_held_out_facts_of_the_graph_are_those_of_the_run(mini_graph: Path, straight: Path) -> None:
    part = Run.read(straight).graph.part
    np.testing.assert_array_equal(part, Graph.read(mini_graph).part)
    assert {Split.VALIDATION, Split.TEST} <= set(part.tolist())
