"""The work of a sweep: jobs, and the processes that do them.

A job trains one seed of a run, or asks a run the test queries. Processes write files and send nothing but the row of
`sweep.json` that a run comes to.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path

import torch

from grokhop.core.errors import InputError
from grokhop.evaluation.evaluate import evaluate
from grokhop.runs.callbacks import Callback
from grokhop.runs.evaluation import EvalResult
from grokhop.runs.run import EVAL, Run
from grokhop.runs.sweep import Place, Sweep, SweepNotice
from grokhop.runs.sweep_result import Failure, SweepRow
from grokhop.sweeps.results import row_of
from grokhop.training.train import train_seed

POLL_SECONDS = 0.5
Job = tuple[Place, int | None]
"""A seed to be trained, or a run to be asked the test queries."""


class Work:
    """All that a sweep has to do, by processes that do one job at a time each; one that dies takes no other along.

    A run is asked the test queries when the last of its seeds has ended or failed.
    """

    def __init__(self, sweep: Sweep, *, slots: int, notice: SweepNotice) -> None:
        self.sweep, self.notice = sweep, notice
        self.rows: dict[Place, SweepRow] = {}
        self.failures: list[Failure] = []
        unfinished = [(p, seed) for seed in sweep.seeds for p in sweep.places if not sweep.is_finished(p, seed)]
        self._missing = {place: {seed for p, seed in unfinished if p == place} for place in sweep.places}
        # The first seed of all levels comes before the second of any, so that a stopped sweep says something of all.
        self._waiting: deque[Job] = deque(unfinished)
        self._waiting.extend((place, None) for place in sweep.places if not self._missing[place])
        self._running: dict[Future[SweepRow | None], tuple[Job, ProcessPoolExecutor]] = {}
        self._idle = [_process() for _ in range(max(1, min(slots, len(self._waiting))))]

    def run(self) -> None:
        """Do it all; when this is interrupted, so are the processes, and what they wrote until then is kept."""
        others = set(multiprocessing.active_children())
        try:
            while self._waiting or self._running:
                while self._waiting and self._idle:
                    self._start(self._waiting.popleft(), self._idle.pop())
                done, _ = wait(self._running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
                for future in done:
                    self._end(future)
                self._tell()
        except BaseException:
            for child in set(multiprocessing.active_children()) - others:
                child.terminate()
            raise
        finally:
            for executor in (*self._idle, *(executor for _, executor in self._running.values())):
                executor.shutdown(cancel_futures=True)

    def _start(self, job: Job, executor: ProcessPoolExecutor) -> None:
        place, seed = job
        path = self.sweep.run_path(place)
        if seed is None:
            future: Future[SweepRow | None] = executor.submit(ask_run, path, place.level)
        else:
            future = executor.submit(train_one, path, seed)
        self._running[future] = job, executor

    def _end(self, future: "Future[SweepRow | None]") -> None:
        job, executor = self._running.pop(future)
        place, seed = job
        error = future.exception()
        self._idle.append(_process() if isinstance(error, BrokenProcessPool) else executor)
        if error is not None:
            failure = Failure(contender=place.contender, level=place.level, seed=seed, error=_words(error))
            self.failures.append(failure)
        elif seed is None and (row := future.result()) is not None:
            self.rows[place] = row
        if seed is not None:
            self._missing[place].discard(seed)
            if not self._missing[place] and any(self.sweep.is_finished(place, s) for s in self.sweep.seeds):
                self._waiting.appendleft((place, None))

    def _tell(self) -> None:
        running = {(place, seed) for (place, seed), _ in self._running.values() if seed is not None}
        failed = {(Place(f.contender, f.level), f.seed) for f in self.failures if f.seed is not None}
        self.notice(list(self.sweep.progress(running=running, failed=failed)))


def _words(error: BaseException) -> str:
    if isinstance(error, BrokenProcessPool):
        return "its process ended without a word; perhaps there was too little memory, which fewer --jobs need"
    return str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"


def _process() -> ProcessPoolExecutor:
    """One process that is started with its first job. A fork would inherit torch's threads in any state."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, mp_context=context, initializer=_begin_process)


def _begin_process() -> None:
    """One thread for each process; and only the sweep decides when it ends, or its death does."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def train_one(path: Path, seed: int) -> None:
    """Train one seed of the run folder `path`; done in a process of its own."""
    run = Run.read(path)
    train_seed(run, run.dataset, seed, run.settings, Callback())


def ask_run(path: Path, level: str) -> SweepRow:
    """Ask the finished seeds of the run folder `path` the test queries, and return its row of `sweep.json`."""
    run = Run.read(path)
    evaluation = _evaluation(run) or evaluate(path, threads=1)
    return row_of(run, level, evaluation.to_dict())


def _evaluation(run: Run) -> EvalResult | None:
    """What `eval.json` says, unless there is none or it knows fewer seeds, or less of them."""
    with suppress(InputError):
        found = run.read_record(EVAL, EvalResult.from_dict, made_by="grokhop eval")
        if found.seeds == len(run.finished_seeds()) and all(row.any_hop for row in found.per_relation):
            return found
    return None
