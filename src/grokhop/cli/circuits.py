"""What people see of a circuit: whether bridges are named, what places restore, measures by name."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from grokhop.core.formatting import percent
from grokhop.runs.explanation import Explanation, MeasureResult, QueryCircuit

if TYPE_CHECKING:
    pass

from grokhop.cli.console import DISTRIBUTION, out, plain_table, short


def show_explanation(result: Explanation) -> None:
    """How often the bridges are named, what each place restores, and what was found of single queries."""
    table = plain_table("does the explanation hold? two hops", "queries", ("asked", "right", "right, bridge named"))
    table.add_column("bridge named, wrong", justify="right")
    for found in result.seeds:
        for name, words in DISTRIBUTION.items():
            score = found.of(name).score
            numbers = (score.n, score.right, score.right_and_named, score.named_and_wrong)
            table.add_row(f"seed {found.seed}, {words}", *(f"{number:,}" for number in numbers))
    out.print(table)
    if result.patching:
        heading = f"put back into a query with another head, {DISTRIBUTION[result.asked]}"
        patched = plain_table(heading, "residual stream at", ("answer restored",))
        for place, share in result.patching.items():
            patched.add_row(place, percent(max(0.0, share)))
        out.print(patched)
    for line in about_the_circuit(result):
        out.print(line, markup=False)
    if result.measures:
        out.print(_measures_table(result.measures))
    for query in result.queries:
        _show_places(query)


def _measures_table(measures: Sequence[MeasureResult]) -> Table:
    """A row for each number of a measure, a column for each seed and set of queries."""
    columns = list(dict.fromkeys((row.seed, row.asked) for row in measures))
    table = plain_table("measures", "", [f"seed {seed},\n{asked.upper()}" for seed, asked in columns])
    for measure, number in dict.fromkeys((row.measure, name) for row in measures for name in row.found):
        found = {(row.seed, row.asked): row.found.get(number) for row in measures if row.measure == measure}
        values = (found.get(column) for column in columns)
        table.add_row(f"{measure}: {number}", *("–" if value is None else f"{value:.3g}" for value in values))
    return table


def about_the_circuit(result: Explanation) -> Iterator[str]:
    for found in result.seeds:
        for name, words in DISTRIBUTION.items():
            carried, ablation = found.of(name).carried_over, found.of(name).ablation
            if carried and carried.n and ablation:
                yield (
                    f"seed {found.seed}, {words}: the bridge's state of another query brings the answer in "
                    f"{percent(carried.answered)} of {carried.n}; without the bridge "
                    f"{percent(ablation.bridge)} are still right, without the second entity there "
                    f"{percent(ablation.second)}"
                )
    if not result.formation:
        yield "no snapshots were kept: train with --set train.checkpoints_per_decade=8 to see how the circuit forms"


def _show_places(query: QueryCircuit) -> None:
    table = plain_table(" / ".join(query.query), "position", ("depth", "reads out", "probability"))
    for place in query.places:
        best = place.top[0]
        table.add_row(
            f"{place.position} {place.token}", str(place.depth), short(best.entity), percent(best.probability)
        )
    out.print(table)
