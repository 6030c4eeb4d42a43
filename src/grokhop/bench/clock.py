"""The clock: contenders that take turns, what a program of its own takes, and the peak of this machine.

Whatever else the machine does while A runs it would do to B too, so contenders alternate, A B A B, and each figure is
the median of several runs, with the lowest and the highest beside it.
"""

import json
import shlex
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from grokhop.bench.rows import BenchResult, BenchRow, Findings, Torch
from grokhop.core.artifacts import conditions
from grokhop.core.errors import InputError

SECONDS = "s"
GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """What is measured; seconds, where less is better, if nothing else is said."""

    name: str
    unit: str = SECONDS
    more_is_better: bool = False


class NotReachedError(Exception):
    """A contender did not come to an end: in `limit` seconds, or because of its `note` where there is no limit.

    `said` is what it wrote to standard error before."""

    def __init__(self, note: str = "", *, limit: float | None = None, said: str = "") -> None:
        super().__init__(note or f"not reached in {limit:g} s")
        self.limit, self.said = limit, said


class ProgramError(Exception):
    """A program failed, with an exit code that is negative for a signal that ended it."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class BenchContender:
    """What is to be measured.

    Attributes:
        call: what is timed; or, if it `measures`, what returns a value for each quantity, in their order. It may raise
            `NotReachedError`.
        limit: seconds. A run that took longer counts as not reached, and is not tried again; what must be stopped
            while it runs has to be a program of its own (`peak_memory`).
        note: stands in its rows.
    """

    name: str
    call: Callable[[], Any]
    measures: bool = False
    limit: float | None = None
    note: str = ""


class _Turns:
    """The runs of one contender: (runs, Q) values, or why there are none."""

    def __init__(self, contender: BenchContender) -> None:
        self.contender = contender
        self.values: list[tuple[float, ...]] = []
        self.failed: NotReachedError | None = None

    def run(self) -> None:
        if self.failed:
            return
        start = perf_counter()
        try:
            measured = self.contender.call()
        except NotReachedError as error:
            self.failed = error
            return
        seconds, limit = perf_counter() - start, self.contender.limit
        if limit is not None and seconds > limit:
            self.failed = NotReachedError(limit=limit)
        elif not self.contender.measures:
            self.values.append((seconds,))
        else:
            self.values.append(tuple(measured) if isinstance(measured, tuple | list) else (float(measured),))

    def row(self, place: int, quantity: Quantity, conditions: str, ours: float | None) -> BenchRow:
        return row_of(
            quantity,
            self.contender.name,
            [] if self.failed else [values[place] for values in self.values],
            reached=not self.failed,
            ours=ours,
            limit=self.failed.limit if self.failed else None,
            note=str(self.failed) if self.failed else self.contender.note,
            conditions=conditions,
        )


def row_of(
    quantity: Quantity,
    contender: str,
    runs: Sequence[float | None],
    *,
    reached: bool,
    ours: float | None,
    limit: float | None,
    note: str,
    conditions: str,
) -> BenchRow:
    """The row of a contender's runs.

    Args:
        ours: the first contender's median. limit: seconds that one which was not reached took at the least.
    """
    known = [run for run in runs if run is not None] if reached else []
    median = statistics.median(known) if known else None
    least = limit if quantity.unit == SECONDS else None
    return BenchRow(
        name=quantity.name,
        contender=contender,
        median=median,
        low=min(known, default=None),
        high=max(known, default=None),
        unit=quantity.unit,
        ratio=_ratio(ours, least if median is None else median, quantity),
        reached=reached,
        note=note,
        runs=[*runs],
        conditions=conditions,
    )


def _ratio(ours: float | None, theirs: float | None, quantity: Quantity) -> float | None:
    above, below = (ours, theirs) if quantity.more_is_better else (theirs, ours)
    return above / below if above is not None and below else None


def alternate(
    contenders: Sequence[BenchContender], runs: int, *, quantities: Sequence[Quantity], conditions: str = ""
) -> list[BenchRow]:
    """Run all contenders in turn, `runs` times, and return the rows of each quantity, ours (the first) before others.

    Raises:
        InputError: runs < 1.
    """
    if runs < 1:
        raise InputError(f"--runs is {runs}, but a median needs at least 1 run: give 1 or more")
    turns = [_Turns(contender) for contender in contenders]
    for _ in range(runs):
        for turn in turns:
            turn.run()
    told = "; ".join([*([conditions] if conditions else []), "one run" if runs == 1 else f"{runs} runs"])
    rows = []
    for place, quantity in enumerate(quantities):
        first = turns[0].row(place, quantity, told, None).median if turns else None
        rows += [turn.row(place, quantity, told, first) for turn in turns]
    return rows


def result(rows: Iterable[BenchRow], **found: Any) -> BenchResult:
    """Put rows together with the conditions of this program, and with what else was found (`Findings`)."""
    torch, made_with = sys.modules.get("torch"), conditions()
    threads = torch.get_num_threads() if torch else None
    return BenchResult(
        command=shlex.join(["grokhop", *sys.argv[1:]]),
        commit=_commit(),
        conditions=made_with,
        torch=Torch(version=made_with.versions.get("torch"), threads=threads),
        rows=[*rows],
        findings=Findings(**found),
    )


def _commit() -> str | None:
    """The commit of this code, with "-dirty" if it has been changed since; None where it is in no repository."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        # A package that is installed within somebody's repository is no part of it.
        subprocess.run([*git, "ls-files", "--error-unmatch", __file__], capture_output=True, check=True)
        found = subprocess.run([*git, "describe", "--always", "--dirty", "--exclude=*"], capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip() or None


def numbers_of(option: str, text: str) -> list[int]:
    """Read '1000000,5000000'.

    Raises:
        InputError: it is no list of counts.
    """
    try:
        numbers = [int(part.strip().replace("_", "")) for part in text.split(",")]
    except ValueError:
        numbers = [0]
    if min(numbers) < 1:
        raise InputError(f"{option} {text!r} is no list of counts: write such as 128,256")
    return numbers


class Spent(NamedTuple):
    """What a program took, seconds from its start to its end and the most bytes in memory, and what it wrote."""

    seconds: float
    memory: int
    output: str


_SHIM = """
import json, os, resource, signal, sys, time
limit, memory, command = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
start = time.perf_counter()
pid = os.fork()
if not pid:
    try:
        if limit:
            signal.setitimer(signal.ITIMER_REAL, limit)
        if memory:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        os.execvp(command[0], command)
    finally:
        os._exit(127)
_, status, usage = os.wait4(pid, 0)
seconds = time.perf_counter() - start
print(json.dumps([seconds, usage.ru_maxrss, os.waitstatus_to_exitcode(status)]), file=sys.stderr)
"""
"""A program's greatest resident memory counts what its parent held when it was begun, so the parent has to be small."""


def peak_memory(command: Sequence[str], *, limit: float | None = None, most: int | None = None) -> Spent:
    """Run a program by itself, and return what it took.

    Args:
        limit: seconds until it is ended by SIGALRM; the program may set its alarm anew. most: bytes of address space.

    Raises:
        NotReachedError: it was ended by its alarm.
        ProgramError: it failed; the message holds the last line that it wrote to standard error.
    """
    shim = [sys.executable, "-I", "-S", "-c", _SHIM, str(limit or 0), str(most or 0)]
    done = subprocess.run([*shim, *command], capture_output=True, text=True, check=False)
    *said, last = done.stderr.splitlines() or [""]
    try:
        seconds, memory, code = json.loads(last)
    except ValueError:
        raise ProgramError(f"{command[0]} cannot be run: {last}", code=done.returncode) from None
    if code == -signal.SIGALRM:
        raise NotReachedError(limit=limit, said="\n".join(said))
    if code:
        line = f"{' '.join(command)} failed with exit code {code}: {said[-1] if said else ''}"
        raise ProgramError(line, code=code)
    return Spent(seconds, memory * (1 if sys.platform == "darwin" else 1024), done.stdout)


def matmul_peak(threads: int, *, sizes: Sequence[int] = (512, 1024, 2048), runs: int = 5) -> float:
    """The float32 matrix product's GFLOP/s on so many threads: of each size the median of runs, of sizes the best.

    It is what a model could reach at most here. torch's number of threads is as before afterwards.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return max(_matmul(size, runs) for size in sizes)
    finally:
        torch.set_num_threads(before)


def _matmul(size: int, runs: int) -> float:
    import torch

    a, b, product = torch.rand(size, size), torch.rand(size, size), torch.empty(size, size)
    torch.mm(a, b, out=product)  # the first run also fetches memory
    seconds = []
    for _ in range(runs):
        start = perf_counter()
        torch.mm(a, b, out=product)
        seconds.append(perf_counter() - start)
    return 2 * size**3 / statistics.median(seconds) / 1e9
