"""`grokhop bench phi`: the paths of large graphs counted for every relation, beside pandas and networkx, and sampled.

Each counter is a program of its own (`grokhop.bench.counters`) and counts the same facts, read from the same files.
Its seconds are of counting alone, once the facts are in the library's own form; its memory is all that the program held
at most, the libraries and the reading included. Nothing is held out, so that phi is measured once and not twice.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from grokhop.bench.clock import (
    GIB,
    SECONDS,
    BenchContender,
    NotReachedError,
    ProgramError,
    Quantity,
    alternate,
    peak_memory,
    result,
)
from grokhop.bench.counters import HOPS, LIBRARY, OUT_OF_MEMORY, Counted
from grokhop.bench.graphs import skewed
from grokhop.bench.rows import BenchResult, BenchRow, CountAgreement
from grokhop.bench.sampling import COMPOSITIONS, Sampled
from grokhop.core.errors import InputError

Say = Callable[[str], None]

SIZES = (100_000, 1_000_000)
OURS, OTHERS = "grokhop", ("pandas", "pandas-counts", "networkx")
LIMIT = 60.0
"""Seconds that a counter may count; it may take as long again to put the facts into its form."""
MOST_MEMORY = 8 * GIB
"""Address space of a counter, so that one which lists all paths does not take the machine down."""


def bench_phi(
    sizes: Sequence[int] = SIZES,
    *,
    runs: int = 3,
    limit: float = LIMIT,
    compositions: int = COMPOSITIONS,
    seed: int = 0,
    say: Say = lambda line: None,
) -> BenchResult:
    """Measure phi over two hops and three, and sampling, on a graph of each size.

    Returns:
        `rows` and conditions; `same`, of each counter that came to an end, for each size and
        number of hops, whether it found as many paths as we, in all and of each relation; `notes`, what was left out.

    Raises:
        InputError: runs < 1 or a limit that is not above 0.
    """
    if limit <= 0:
        raise InputError(f"--limit is {limit:g}, but counters need some seconds: give more than 0")
    others = [name for name in OTHERS if find_spec(LIBRARY[name])]
    notes = [f"{name} is left out: pip install 'grokhop[bench]'" for name in OTHERS if name not in others]
    rows, same = list[BenchRow](), list[CountAgreement]()
    for facts in sizes:
        with tempfile.TemporaryDirectory(prefix="grokhop-bench-") as scratch:
            folder = Path(scratch)
            columns = skewed(facts, seed=seed)
            columns.write(folder)
            told = f"{len(columns.head):,} facts, {columns.entities:,} entities, {columns.relations} relations"
            del columns
            for hops in HOPS:
                say(f"{told}: {hops} hops")
                counting = _Counting(folder, hops, limit)
                rows += counting.rows([OURS, *others], runs, facts, told)
                same += counting.compared(others, facts)
            say(f"{told}: sampling")
            rows += _sampled(folder, compositions, runs, facts, told)
    return result(rows, same=same, notes=notes)


class _Counting:
    """Counters at work on one graph, and what they found."""

    def __init__(self, folder: Path, hops: int, limit: float) -> None:
        self.folder, self.hops, self.limit = folder, hops, limit
        self.found: dict[str, Counted] = {}

    def rows(self, names: Sequence[str], runs: int, facts: int, told: str) -> list[BenchRow]:
        contenders = [BenchContender(name=name, call=self._call(name), measures=True) for name in names]
        what = f"phi, {self.hops} hops, {facts:,} facts"
        return alternate(contenders, runs, quantities=_quantities(what), conditions=told)

    def _call(self, name: str) -> Callable[[], tuple[float, ...]]:
        arguments = (name, str(self.folder), str(self.hops), str(self.limit))
        command = [sys.executable, "-m", "grokhop.bench.counters", *arguments]

        def call() -> tuple[float, ...]:
            try:
                spent = peak_memory(command, limit=self.limit, most=MOST_MEMORY)
            except NotReachedError as error:
                if "counting" not in error.said:
                    raise NotReachedError(f"not ready to count in {self.limit:g} s") from error
                raise
            except ProgramError as error:
                if error.code == OUT_OF_MEMORY or error.code < 0:
                    raise NotReachedError(f"needs more than {MOST_MEMORY / GIB:g} GiB") from error
                raise
            counted = Counted(**json.loads(spent.output))
            self.found[name] = counted
            return counted.seconds, counted.processor, spent.memory / GIB

        return call

    def compared(self, others: Sequence[str], facts: int) -> list[CountAgreement]:
        ours = self.found.get(OURS)
        return [self._comparison(name, ours, facts) for name in others if name in self.found] if ours else []

    def _comparison(self, name: str, ours: Counted, facts: int) -> CountAgreement:
        theirs, relations = self.found[name], len(ours.using)
        return CountAgreement(
            what=f"{name}, {self.hops} hops: {ours.paths:,} paths, and the number of each of {relations:,} relations",
            same=(theirs.paths, theirs.using) == (ours.paths, ours.using),
            facts=facts,
            contender=name,
            hops=self.hops,
            relations=relations,
        )


def _quantities(what: str) -> list[Quantity]:
    """On a machine that does other work too, the processor's seconds are the fairer figure."""
    worked = Quantity(name=f"{what}, processor time", unit="CPU s")
    return [Quantity(name=what, unit=SECONDS), worked, Quantity(name=f"{what}, peak memory", unit="GiB")]


def _sampled(folder: Path, most: int, runs: int, facts: int, told: str) -> list[BenchRow]:
    command = [sys.executable, "-m", "grokhop.bench.sampling", str(folder), str(most)]
    drawn: list[Sampled] = []

    def call() -> tuple[float, ...]:
        spent = peak_memory(command)
        drawn.append(Sampled(**json.loads(spent.output)))
        return drawn[-1].seconds, drawn[-1].processor, spent.memory / GIB

    what = f"distinct compositions, {facts:,} facts"
    contenders = [BenchContender(name=OURS, call=call, measures=True)]
    rows = alternate(contenders, runs, quantities=_quantities(what), conditions=told)
    last = drawn[-1]
    done = (
        f"{last.compositions:,} drawn; {last.checked_pieces:,} queries of them compared with "
        f"{last.held_out_queries:,} held out, {last.leaked} leaked"
    )
    return [replace(row, note=done) for row in rows]
