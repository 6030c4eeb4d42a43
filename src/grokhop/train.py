"""Training: steps over composed rows until the validation queries are answered and the rate has come to rest.

The rate warms up, stays, and falls to zero. It begins to fall when the validation accuracies in and out of
distribution have both reached their targets, or when the budget would not last longer; when it is at zero,
training ends. Nothing here looks at a test query.

Everything that happens at a step follows from the seed and the number of the step, so that a run which was stopped
goes on exactly as it would have gone; on one thread a run is reproduced to the last digit.
"""

import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from math import isfinite
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import torch
from torch import Tensor

from grokhop.answer import are_right, right_at_the_end
from grokhop.architectures import check_model, finished_model, make_model
from grokhop.chains import Queries
from grokhop.checkpoint import load_checkpoint, save_checkpoint, save_weights
from grokhop.compose import Compositions
from grokhop.encode import Rows
from grokhop.errors import InputError
from grokhop.folder import new_folder, refuse_inside, refuse_to_overwrite, write_json
from grokhop.graph import Graph
from grokhop.lesson import Lesson, batches
from grokhop.losses import loss
from grokhop.metrics import Begun, Look, Notice, append_look, id_accuracy, keep_looks, ood_accuracy, read_looks, summary
from grokhop.model import Model, ReadOut
from grokhop.optimizers import make_optimizers
from grokhop.phi import measure
from grokhop.run import CHECKPOINT, GRAPH, PHI, PRETRAINED, SNAPSHOTS, SUMMARY, WEIGHTS, Run, compose_as
from grokhop.schedule import Schedule, is_snapshot
from grokhop.scores import Score
from grokhop.settings import Budget, TrainSettings


def train(
    graph_path: Path,
    out: Path,
    *,
    settings: TrainSettings,
    preset: str,
    budget: Budget,
    seeds: int = 1,
    threads: int | None = None,
    resume: bool = False,
    force: bool = False,
    begun: Begun = lambda _counts: None,
    notice: Notice = lambda _seed, _look: None,
) -> Run:
    """Train `seeds` models on the graph folder `graph_path` and return their run folder `out`.

    Args:
        budget: of each seed.
        threads: that torch may use; all cores when None. On one thread a run is reproduced to the last digit.
        resume: go on with the run folder `out`, which must have been begun with the same graph and settings. The
            budget counts what was spent before.

    Raises:
        InputError: the graph cannot be read or has no compositions, or `out` exists and neither is to be resumed
            nor replaced.
    """
    torch.set_num_threads(threads or torch.get_num_threads())
    refuse_inside(out, graph_path)
    if resume and out.exists():
        run = Run.read(out)
        refuse_another_run(run, graph_path, settings)
        made = run.compositions
    else:
        record = {**run_record(settings, preset, budget, seeds), "threads": torch.get_num_threads()}
        made = begin(graph_path, out, settings=settings, record=record, force=force)
        run = Run.read(out)
    begun(made.counts)
    lesson = lesson_of(run, made)
    for seed in range(max(seeds, run.manifest["seeds"])):
        train_seed(run, lesson, seed, budget, partial(notice, seed))
    return run


def run_record(settings: TrainSettings, preset: str, budget: Budget, seeds: int) -> dict[str, Any]:
    """What a run's manifest says of how it is trained."""
    return {"settings": asdict(settings), "preset": preset, "budget": budget.record(), "seeds": seeds}


def lesson_of(run: Run, made: Compositions) -> Lesson:
    """What is trained of what was composed for the run."""
    return Lesson.of(run.graph, made, prefixes=run.settings.prefixes, phi=run.settings.phi)


def train_seed(run: Run, lesson: Lesson, seed: int, budget: Budget, notice: Callable[[Look], None]) -> None:
    """Train one seed of a run, on from its checkpoint if there is one; one that has ended stays as it is.

    Raises:
        InputError: the checkpoint is damaged or of another model.
    """
    folder = run.seed_folder(seed)
    if not (folder / SUMMARY).exists():
        trainer = Trainer(lesson, run.settings, seed=seed, folder=folder)
        trainer.resume()
        trainer.run(budget, notice)


def refuse_another_run(run: Run, graph_path: Path, settings: TrainSettings) -> None:
    """Let no run go on as another one.

    Raises:
        InputError: it was begun with other settings or another graph.
    """
    if settings != run.settings:
        raise InputError(
            f"{run.path} was begun with preset {run.manifest['preset']}, chains of {run.settings.hops}, "
            f"{'' if run.settings.compare else 'no '}comparisons and settings of its own: resume it with the same "
            "--preset, --hops, --compare and --set, or choose another name with -o"
        )
    ours, theirs = (Graph.read(path) for path in (run.path / GRAPH, graph_path))
    if ours.entities != theirs.entities or not all(
        np.array_equal(getattr(ours, column), getattr(theirs, column)) for column in ("pair", "tail", "part")
    ):
        raise InputError(f"{run.path} was begun with another graph than {graph_path}: give that one, or another -o")


def begin(graph_path: Path, out: Path, *, settings: TrainSettings, record: dict[str, Any], force: bool) -> Compositions:
    """Make a run folder with its graph and phi, before any training, and return what is to be trained."""
    refuse_to_overwrite(out, kind="run", force=force)
    shape = check_model(settings.model)
    graph = Graph.read(graph_path)
    made = compose_as(graph, settings)
    with new_folder(out, kind="run", manifest={**record, "composed": made.counts}, force=force) as folder:
        copytree(graph_path, folder / GRAPH)
        write_json(folder / PHI, measure(graph))
        if shape is not None:
            shape.save_pretrained(folder / PRETRAINED)
    return made


def _first(*accuracies: float | None) -> float | None:
    return next((a for a in accuracies if a is not None), None)


MEASURED_STEPS = 20
"""Steps after which their mean time says how long others will take."""


class Trainer:
    """One model on its way, with what a checkpoint must hold to go on exactly."""

    def __init__(self, lesson: Lesson, settings: TrainSettings, *, seed: int, folder: Path) -> None:
        torch.manual_seed(seed)
        folder.mkdir(exist_ok=True)
        self.lesson, self.settings, self.folder = lesson, settings, folder
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = self.make_model().to(self.device)
        # Compiling pays where kernels are launched from afar; on a processor it takes longer than a small run.
        self._answer = torch.compile(self.model) if self.device.type == "cuda" else self.model
        self.batches = batches(lesson, settings.batch_rows, seed)
        self.schedule = Schedule(settings=settings)
        self.optimizers = make_optimizers(self.model, settings)
        self._heights = [o.param_groups[0]["lr"] for o in self.optimizers]
        self.step, self.seconds = 0, 0.0
        self.looks: list[Look] = []

    def make_model(self) -> Model:
        """The model as it begins, from torch's random state; where a checkpoint lies, one for its weights."""
        model, vocabulary = self.settings.model, self.lesson.vocabulary
        if (self.folder / CHECKPOINT).exists():
            return finished_model(model, vocabulary=vocabulary.size, shape=self.folder.parent / PRETRAINED)
        return make_model(model, vocabulary=vocabulary.size, labels=self.lesson.labels)

    def loss(self, read_outs: list[ReadOut], targets: Tensor) -> Tensor:
        """What a step makes smaller."""
        return loss(read_outs, targets, kind=self.settings.loss)

    def run(self, budget: Budget, notice: Callable[[Look], None] = lambda _: None) -> None:
        """Train until the schedule is over; `notice` is called at each look at the validation queries."""
        began = time.perf_counter() - self.seconds
        losses: list[float] = []
        while not self._is_over(budget):
            losses.append(self.take_step())
            if is_snapshot(self.step, self.settings.snapshots):
                self._keep_snapshot()
            self.seconds = time.perf_counter() - began
            if self._budget_presses(budget):
                self.schedule.cool_down(self.step)
            if self._is_over(budget) or self.step % self.settings.evaluate_every == 0:
                look = self._look(float(np.mean(losses)), budget)
                losses = []
                self.seconds = time.perf_counter() - began
                self._steer(look, budget)
                self._keep(look)
                notice(look)
        self._finish()

    def _steer(self, look: Look, budget: Budget) -> None:
        """Cool down once the targets are reached; warm up again where they did not hold and the budget allows it."""
        if self._has_reached_targets(look):
            self.schedule.cool_down(self.step)
        elif self.schedule.is_over(self.step) and not self._budget_presses(budget):
            self.schedule.warm_again()

    def _is_over(self, budget: Budget) -> bool:
        spent = self.step >= budget.steps or self.seconds > budget.seconds
        return spent or self.schedule.is_over(self.step)

    def take_step(self) -> float:
        """Train on the next batch and return its loss."""
        rate = self.schedule.rate(self.step)
        for optimizer, height in zip(self.optimizers, self._heights, strict=True):
            for weights in optimizer.param_groups:
                weights["lr"] = height * rate
        value = self.backward()
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self.step += 1
        return value

    def backward(self) -> float:
        """Add the gradients of the next batch to the weights' and return its loss."""
        value = 0.0
        for group in self.batches.of_step(self.step):
            tokens, due, targets = (column.to(self.device) for column in group)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16"):
                read_outs = self._answer(tokens, due)
            loss = self.loss(read_outs, targets)
            loss.backward()  # type: ignore[no-untyped-call]
            value += float(loss.detach())
        return value

    def _budget_presses(self, budget: Budget) -> bool:
        """Whether a cool-down must begin now to end within the budget."""
        left = self.schedule.length(self.step)
        seconds = self.seconds * (1 + left / self.step)
        # The first steps are slow and say little about the rest.
        return self.step + left >= budget.steps or (self.step >= MEASURED_STEPS and seconds >= budget.seconds)

    def _look(self, mean_loss: float, budget: Budget) -> Look:
        scores = {
            hops: {cell: self._score(queries) for cell, queries in by_cell.items()}
            for hops, by_cell in self.lesson.validation.items()
        }
        compared = {cell: self._compared(rows) for cell, rows in self.lesson.compared.items()}
        return Look(
            step=self.step,
            seconds=round(self.seconds, 2),
            epochs=round(self.batches.epochs(self.step), 2),
            loss=mean_loss,
            rows_per_second=round(self.step * self.settings.batch_rows / self.seconds, 1),
            train=sum(map(self._score, self.lesson.probe), self._compared(self.lesson.probed)).accuracy,
            # Where nothing is composed, what generalises is what is compared.
            id=_first(id_accuracy(scores, self.settings.hops), compared["id"].accuracy),
            ood=_first(ood_accuracy(scores, self.settings.hops), compared["ood"].accuracy),
            cells={str(k): {cell: s.accuracy for cell, s in by.items()} for k, by in scores.items()},
            compared=sum(compared.values(), Score(0, 0)).accuracy,
            cooling=self.schedule.cooldown_from is not None,
            seconds_left=self._seconds_left(budget),
        )

    def _score(self, queries: Queries) -> Score:
        return Score.of(are_right(self.model, self.lesson.vocabulary, queries))

    def _compared(self, rows: Rows) -> Score:
        return Score.of(right_at_the_end(self.model, rows))

    def _seconds_left(self, budget: Budget) -> float | None:
        per_step = self.seconds / self.step
        steps = min(budget.steps, self.schedule.last_step) - self.step
        left = min(steps * per_step, budget.seconds - self.seconds)
        return round(max(0.0, left), 1) if isfinite(left) else None

    def _has_reached_targets(self, look: Look) -> bool:
        # What is compared wobbles at the full rate; at rest it has to be as good as ID queries.
        compared = self.settings.id_target if self.schedule.is_over(self.step) else self.settings.ood_target
        pairs = [(look.compared, compared)]
        if self.lesson.chains:  # else what is compared is told as ID and OOD too
            pairs += [(look.id, self.settings.id_target), (look.ood, self.settings.ood_target)]
        known = [(accuracy, target) for accuracy, target in pairs if accuracy is not None]
        known = known or [(look.train or 0.0, self.settings.id_target)]
        return all(accuracy >= target for accuracy, target in known)

    def _keep(self, look: Look) -> None:
        """Add a line to the metrics and replace the checkpoint."""
        self.looks.append(look)
        append_look(self.folder, look)
        where = {
            "step": self.step,
            "seconds": self.seconds,
            "cooldown_from": self.schedule.cooldown_from,
            "cooldown_steps": self.schedule.cooldown_steps,
        }
        save_checkpoint(self.folder / CHECKPOINT, self.model, self.optimizers, where)

    def _keep_snapshot(self) -> None:
        (self.folder / SNAPSHOTS).mkdir(exist_ok=True)
        save_weights(self.folder / SNAPSHOTS / f"{self.step}.safetensors", self.model)

    def resume(self) -> None:
        """Go back to the last checkpoint, if there is one.

        Raises:
            InputError: the checkpoint is damaged or of another model.
        """
        if not (self.folder / CHECKPOINT).exists():
            keep_looks(self.folder, [])
            return
        where = load_checkpoint(self.folder / CHECKPOINT, self.model, self.optimizers)
        self.step, self.seconds = where["step"], where["seconds"]
        self.schedule.cooldown_from, self.schedule.cooldown_steps = (
            where["cooldown_from"],
            where["cooldown_steps"],
        )
        self.looks = [look for look in read_looks(self.folder) if look.step <= self.step]
        keep_looks(self.folder, self.looks)

    def _finish(self) -> None:
        save_weights(self.folder / WEIGHTS, self.model)
        write_json(self.folder / SUMMARY, summary(self.looks))
