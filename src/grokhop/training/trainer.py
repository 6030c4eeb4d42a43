"""One model on its way: steps, looks at the validation queries, checkpoints."""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from grokhop.config import Budget, RunConfig
from grokhop.core.artifacts import write_json
from grokhop.core.parallel import one_thread_each, spread, threads_on
from grokhop.models.base import Model, ReadOut
from grokhop.models.device import device_of
from grokhop.models.registry import finished_model, make_model
from grokhop.models.weights import save_weights
from grokhop.runs.callbacks import Callback
from grokhop.runs.metrics import EvalRecord, TrainSummary, append_look, keep_looks, read_looks, summary
from grokhop.runs.run import CHECKPOINT, PRETRAINED, SNAPSHOTS, SUMMARY, WEIGHTS
from grokhop.tasks.dataset import TaskDataset
from grokhop.training.batching import batches, check_batches
from grokhop.training.checkpoint import Where, load_checkpoint, save_checkpoint
from grokhop.training.ema import Average
from grokhop.training.losses import loss, targets_by_loop
from grokhop.training.lr_schedule import Schedule, is_snapshot
from grokhop.training.optimizers import make_optimizers
from grokhop.training.validation import Validation

MEASURED_STEPS = 20
"""Steps after which their mean time says how long others will take."""


class Share(NamedTuple):
    """The rows of a step that one thread works on: (B, T) columns of a group."""

    group: int
    tokens: Tensor
    read_at: Tensor
    targets: Tensor

    def to(self, device: torch.device) -> "Share":
        return self._replace(**{name: getattr(self, name).to(device) for name in ("tokens", "read_at", "targets")})


class Trainer:
    """One model on its way, with what a checkpoint must hold to go on exactly."""

    def __init__(self, dataset: TaskDataset, settings: RunConfig, *, seed: int, folder: Path) -> None:
        torch.manual_seed(seed)
        folder.mkdir(exist_ok=True)
        self.dataset, self.settings, self.folder = dataset, settings, folder
        self.device = device_of(settings.resources.device)
        self.threads = threads_on(self.device)
        self.model = self.make_model().to(self.device)
        self.average = Average(self.model, settings.train.ema_steps)
        # Compiling pays where kernels are launched from afar; on a processor it takes longer than a small run.
        self._answer = torch.compile(self.model) if self.device.type == "cuda" else self.model
        self.seed = seed
        self.batches = batches(dataset, settings.train, seed)
        self._packed_rows_checked = check_batches(self.batches, dataset)
        self.schedule = Schedule(settings=settings.schedule)
        self.optimizers = make_optimizers(self.model, settings.optimizer, threads=self.threads)
        self._heights = [o.param_groups[0]["lr"] for o in self.optimizers]
        self.step, self.seconds = 0, 0.0
        self.looks: list[EvalRecord] = []

    def make_model(self) -> Model:
        """The model as it begins, from torch's random state; where a checkpoint lies, one for its weights."""
        model, vocabulary = self.settings.model, self.dataset.vocabulary
        if (self.folder / CHECKPOINT).exists():
            return finished_model(model, vocabulary=vocabulary.size, shape=self.folder.parent / PRETRAINED)
        return make_model(model, vocabulary=vocabulary.size, labels=self.dataset.labels)

    def run(self, budget: Budget, callback: Callback | None = None) -> None:
        """Train until the schedule is over or the budget is spent, and tell `callback`."""
        told = callback or Callback()
        began = time.perf_counter() - self.seconds
        losses: list[float] = []
        while not self._is_over(budget):
            losses.append(self.take_step())
            told.on_step(self.seed, self.step, losses[-1])
            if is_snapshot(self.step, self.settings.train.checkpoints_per_decade):
                self._keep_snapshot()
            self.seconds = time.perf_counter() - began
            if self._budget_presses(budget):
                self.schedule.cool_down(self.step)
            if self._is_over(budget) or self.step % self.settings.train.evaluate_every == 0:
                found = Validation.of(self.average.model, self.dataset, hops=self.settings.task.hops)
                look = self._look(found, float(np.mean(losses)), budget)
                losses = []
                self.seconds = time.perf_counter() - began
                self._steer(found, budget)
                self._keep(look)
                told.on_eval(self.seed, look)
        told.on_end(self.seed, self._finish())

    def _steer(self, found: Validation, budget: Budget) -> None:
        """Cool down near the targets; warm up again where they were not reached at rest and the budget allows it."""
        settings, enough = self.settings, found.is_enough(self.settings)
        if self.schedule.cooldown_from is None:
            if enough or (settings.schedule.cooldown and found.is_near(settings)):
                self.schedule.cool_down(self.step)
        elif self.schedule.is_over(self.step) and not (enough or self._budget_presses(budget)):
            self.schedule.warm_again()

    def _is_over(self, budget: Budget) -> bool:
        spent = self.step >= budget.steps or self.seconds > budget.seconds
        return spent or self.schedule.is_over(self.step)

    @one_thread_each()
    def take_step(self) -> float:
        """Train on the next batch and return its loss."""
        self.model.prepare(self.seed, self.step)
        rate = self.schedule.rate(self.step)
        for optimizer, height in zip(self.optimizers, self._heights, strict=True):
            for weights in optimizer.param_groups:
                weights["lr"] = height * rate
        value = self.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        self.average.add(self.step, self.schedule.left(self.step))
        self.step += 1
        return value

    def backward(self) -> float:
        """Give each weight the gradient of the next batch and return its loss."""
        shares = [
            Share(i, *(column[number :: self.threads] for column in group))
            for i, group in enumerate(self.batches.of_step(self.step))
            for number in range(self.threads)
        ]
        answered = spread(self._answered, [share for share in shares if len(share.tokens)], self.threads)
        counts: defaultdict[int, Counter[int]] = defaultdict(Counter)
        for share, read_outs in answered:
            counts[share.group] += targets_by_loop(read_outs, share.targets)
        missed = spread(lambda one: self._missed(*one, counts[one[0].group]), answered, self.threads)
        for weight, *gradients in zip(self.model.parameters(), *(found for _, found in missed), strict=True):
            known = [g for g in gradients if g is not None]
            weight.grad = torch.stack(known).sum(0) if len(known) > 1 else known[0] if known else None
        return sum(value for value, _ in missed)

    def _answered(self, share: Share) -> tuple[Share, list[ReadOut]]:
        """What the model reads out of a share."""
        share = share.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.train.precision == "bfloat16"):
            return share, self._answer(share.tokens, share.read_at)

    def _missed(
        self, share: Share, read_outs: list[ReadOut], counts: Mapping[int, int]
    ) -> tuple[float, Sequence[Tensor | None]]:
        """The loss of a share, of which its group has `counts`, and the gradient of each weight."""
        value = loss(read_outs, share.targets, kind=self.settings.train.loss, counts=counts)
        return float(value.detach()), torch.autograd.grad(value, list(self.model.parameters()), allow_unused=True)

    def _budget_presses(self, budget: Budget) -> bool:
        """Whether a cool-down must begin now to end within the budget."""
        left = self.schedule.length(self.step)
        seconds = self.seconds * (1 + left / self.step)
        # The first steps are slow and say little about the rest.
        return self.step + left >= budget.steps or (self.step >= MEASURED_STEPS and seconds >= budget.seconds)

    def _look(self, found: Validation, mean_loss: float, budget: Budget) -> EvalRecord:
        return EvalRecord(
            step=self.step,
            seconds=round(self.seconds, 2),
            epochs=round(self.batches.epochs(self.step), 2),
            loss=mean_loss,
            rows_per_second=round(self.step * self.settings.train.batch_size / self.seconds, 1),
            train=found.train.accuracy,
            id=found.id.accuracy,
            ood=found.ood.accuracy,
            cells={str(k): {cell: s.accuracy for cell, s in by.items()} for k, by in found.cells.items()},
            compared=found.compared.accuracy,
            cooling=self.schedule.cooldown_from is not None,
            seconds_left=self._seconds_left(budget),
        )

    def _seconds_left(self, budget: Budget) -> float | None:
        per_step = self.seconds / self.step
        steps = min(budget.steps, self.schedule.last_step) - self.step
        left = min(steps * per_step, budget.seconds - self.seconds)
        return round(max(0.0, left), 1) if isfinite(left) else None

    def _keep(self, look: EvalRecord) -> None:
        """Add a line to the metrics and replace the checkpoint."""
        self.looks.append(look)
        append_look(self.folder, look)
        where = Where(
            step=self.step,
            seconds=self.seconds,
            cooldown_from=self.schedule.cooldown_from,
            cooldown_steps=self.schedule.cooldown_steps,
        )
        save_checkpoint(self.folder / CHECKPOINT, self.model, self.average, self.optimizers, where)

    def _keep_snapshot(self) -> None:
        (self.folder / SNAPSHOTS).mkdir(exist_ok=True)
        save_weights(self.folder / SNAPSHOTS / f"{self.step}.safetensors", self.average.model)

    def resume(self) -> None:
        """Go back to the last checkpoint, if there is one.

        Raises:
            InputError: the checkpoint is damaged or of another model.
        """
        if not (self.folder / CHECKPOINT).exists():
            keep_looks(self.folder, [])
            return
        where = load_checkpoint(self.folder / CHECKPOINT, self.model, self.average, self.optimizers)
        self.step, self.seconds = where.step, where.seconds
        self.schedule.cooldown_from, self.schedule.cooldown_steps = where.cooldown_from, where.cooldown_steps
        self.looks = [look for look in read_looks(self.folder) if look.step <= self.step]
        keep_looks(self.folder, self.looks)

    def _finish(self) -> TrainSummary:
        save_weights(self.folder / WEIGHTS, self.average.model)
        found = replace(summary(self.looks), packed_rows_checked=self._packed_rows_checked)
        write_json(self.folder / SUMMARY, found.to_dict())
        return found
