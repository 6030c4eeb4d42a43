"""Counters: three ways to count the paths of a graph and of each of its relations, each in a program of its own.

`python -m grokhop.bench.counters NAME FOLDER HOPS SECONDS` reads columns (`grokhop.bench.graphs`), puts them into the
counter's own form, counts, and prints a `Counted` as JSON. The alarm is set anew when the counting begins, so that
neither reading nor putting into form is charged to anyone.

A path is counted for a relation that it uses at one hop or more (`grokhop.phi.report`). The others are written as a
user of their libraries would: pandas joins the facts end to head, hop by hop, and groups the paths by relation;
networkx is walked fact by fact. `pandas-counts` is what a user comes to who knows that numbers of facts can be joined
instead.
"""

import json
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from grokhop.bench.graphs import Columns
from grokhop.core.optional import imported
from grokhop.phi.report import measure

HOPS = (2, 3)


@dataclass(frozen=True, kw_only=True)
class Counted:
    """How many paths there are, and of each relation that has a fact how many use it, in the order of the numbers.

    `processor` is the seconds that a processor worked, `seconds` what a clock on the wall showed.
    """

    paths: int
    using: list[int]
    seconds: float
    processor: float


def count(name: str, columns: Columns, hops: int, begun: Callable[[], Any] = lambda: None) -> Counted:
    """Count by the counter of that name; `begun` is called when the columns are in its form.

    Raises:
        InputError: its library is not installed.
    """
    put_into_form, counted = COUNTERS[name]
    form = put_into_form(columns)
    begun()
    start, worked = perf_counter(), process_time()
    paths, using = counted(form, hops)
    return Counted(paths=paths, using=using, seconds=perf_counter() - start, processor=process_time() - worked)


def _grokhop(graph: Any, hops: int) -> tuple[int, list[int]]:
    measured = measure(graph, hops=hops).whole
    return measured.paths, [row.paths for row in measured.per_relation]


def _grokhop_form(columns: Columns) -> Any:
    # Three hops need it: imported before the clock starts, as pandas is for the others.
    import scipy.sparse  # noqa: F401

    return columns.graph()


def library(name: str) -> Any:
    """pandas or networkx.

    Raises:
        InputError: it is not installed.
    """
    return imported(name, f"comparing with {name} needs the library {name}: pip install 'grokhop[bench]'")


def _frame(columns: Columns) -> Any:
    data = {"head": columns.head, "relation": columns.relation, "tail": columns.tail}
    return library("pandas").DataFrame(data)


def _merged(facts: Any, hops: int) -> tuple[int, list[int]]:
    """All paths as rows, `end` and a column of relations for each hop."""
    paths = facts[["relation", "tail"]].rename(columns={"relation": "relation_1", "tail": "end"})
    for hop in range(2, hops + 1):
        step = facts.rename(columns={"head": "end", "relation": f"relation_{hop}", "tail": "next"})
        paths = paths.merge(step, on="end").drop(columns="end").rename(columns={"next": "end"})
    names = [f"relation_{hop}" for hop in range(1, hops + 1)]
    using = 0
    for i, name in enumerate(names):
        before = paths[names[:i]].eq(paths[name], axis=0).any(axis=1)
        using = paths[~before].groupby(name).size().add(using, fill_value=0)
    return len(paths), _of_relations(facts, using)


def _of_relations(facts: Any, using: Any) -> list[int]:
    relations = facts["relation"].drop_duplicates().sort_values()
    return [int(n) for n in using.reindex(relations, fill_value=0)]


def _numbers_merged(facts: Any, hops: int) -> tuple[int, list[int]]:
    """Numbers of facts joined to facts; for two hops and three."""
    onward = facts.groupby("head").size()
    back = facts.groupby("tail").size()
    own_onward = facts.groupby(["relation", "head"]).size().rename("own_onward").reset_index()
    own_back = facts.groupby(["relation", "tail"]).size().rename("own_back").reset_index()
    rows = facts.assign(onward=facts["tail"].map(onward).fillna(0), back=facts["head"].map(back).fillna(0))
    rows = rows.merge(own_onward.rename(columns={"head": "tail"}), on=["relation", "tail"], how="left")
    rows = rows.merge(own_back.rename(columns={"tail": "head"}), on=["relation", "head"], how="left").fillna(0)
    if hops == 2:
        rows["paths"] = rows["onward"] + rows["back"] - rows["own_onward"]
        return int(rows["onward"].sum()), _of_relations(facts, rows.groupby("relation")["paths"].sum())
    two_onward, two_back = rows.groupby("head")["onward"].sum(), rows.groupby("tail")["back"].sum()
    first, last = rows["tail"].map(two_onward).fillna(0), rows["head"].map(two_back).fillna(0)
    rows["paths"] = first + last + (rows["back"] - rows["own_back"]) * (rows["onward"] - rows["own_onward"])
    between = facts[["head", "tail"]].merge(own_back.rename(columns={"tail": "head"}), on="head")
    both = between.merge(own_onward.rename(columns={"head": "tail"}), on=["relation", "tail"])
    both["paths"] = both["own_back"] * both["own_onward"]
    ends = both.groupby("relation")["paths"].sum()
    return int(first.sum()), _of_relations(facts, rows.groupby("relation")["paths"].sum().sub(ends, fill_value=0))


def _multigraph(columns: Columns) -> Any:
    graph = library("networkx").MultiDiGraph()
    facts = zip(columns.head.tolist(), columns.tail.tolist(), columns.relation.tolist(), strict=True)
    graph.add_edges_from(facts)  # the relation is the key of the edge
    return graph


def _walked(graph: Any, hops: int) -> tuple[int, list[int]]:
    using: dict[int, int] = {}
    paths = 0
    for _, middle, first in graph.edges(keys=True):
        using.setdefault(first, 0)
        for _, end, second in graph.out_edges(middle, keys=True):
            if hops == 2:
                paths += 1
                for relation in {first, second}:
                    using[relation] = using.get(relation, 0) + 1
                continue
            for _, _, third in graph.out_edges(end, keys=True):
                paths += 1
                for relation in {first, second, third}:
                    using[relation] = using.get(relation, 0) + 1
    return paths, [using[relation] for relation in sorted(using)]


COUNTERS: dict[str, tuple[Callable[[Columns], Any], Callable[[Any, int], tuple[int, list[int]]]]] = {
    "grokhop": (_grokhop_form, _grokhop),
    "pandas": (_frame, _merged),
    "pandas-counts": (_frame, _numbers_merged),
    "networkx": (_multigraph, _walked),
}
LIBRARY = {"pandas": "pandas", "pandas-counts": "pandas", "networkx": "networkx"}


def main() -> None:
    name, folder, hops, limit = sys.argv[1:]
    columns = Columns.read(Path(folder))

    def begun() -> None:
        sys.stderr.write("counting\n")
        sys.stderr.flush()
        signal.setitimer(signal.ITIMER_REAL, float(limit))

    try:
        counted = count(name, columns, int(hops), begun)
    except MemoryError:
        raise SystemExit(OUT_OF_MEMORY) from None
    sys.stdout.write(json.dumps(asdict(counted)) + "\n")


OUT_OF_MEMORY = 3
"""The exit code of a counter that was refused memory."""

if __name__ == "__main__":
    main()
