"""The commands of `grokhop bench`. As in `grokhop.cli.main`, nothing is decided here, and what is heavy is imported
late."""

from typing import TYPE_CHECKING, Annotated

import typer

from grokhop.cli.options import Changes, Config, Json, Threads, emit

if TYPE_CHECKING:
    from grokhop.bench.rows import BenchResult

bench_app = typer.Typer(help="Measure against other programs, taking turns, on this machine.", no_args_is_help=True)
Runs = Annotated[int, typer.Option(min=1, help="Runs of each contender, of which the median is taken.")]


@bench_app.command("answer")
def bench_answer(
    runs: Runs = 5,
    queries: Annotated[int, typer.Option(help="Asked in batches.")] = 8192,
    asks: Annotated[int, typer.Option(help="Asked one by one, in each run.")] = 50,
    threads: Threads = None,
    _config: Config = None,
    as_json: Json = False,
) -> None:
    """Questions per second and the time of one, beside transformers, and how soon commands start."""
    from grokhop.bench.answer import bench_answer as bench
    from grokhop.cli import console

    measured = bench(runs=runs, queries=queries, asks=asks, threads=threads, say=console.say)
    _emit_bench(measured, as_json)


@bench_app.command("phi")
def bench_phi(
    facts: Annotated[str, typer.Option(help="Sizes of the graphs, with commas.")] = "100000,1000000",
    runs: Runs = 3,
    limit: Annotated[float, typer.Option(help="Seconds after which a counter has not come to an end.")] = 60.0,
    compositions: Annotated[int, typer.Option(min=1, help="To be drawn from each graph.")] = 1_000_000,
    _config: Config = None,
    as_json: Json = False,
) -> None:
    """Paths of large graphs counted for every relation, beside pandas and networkx, and compositions drawn."""
    from grokhop.bench.clock import numbers_of
    from grokhop.bench.phi import bench_phi as bench
    from grokhop.cli import console

    measured = bench(numbers_of("--facts", facts), runs=runs, limit=limit, compositions=compositions, say=console.say)
    _emit_bench(measured, as_json)


@bench_app.command("peers")
def bench_peers(
    limit: Annotated[float, typer.Option(help="Seconds after which a contender has not grokked.")] = 600.0,
    threads: Threads = None,
    _config: Config = None,
    as_json: Json = False,
) -> None:
    """Seconds and training examples to grok, beside the published recipe and its recurrent variant."""
    from grokhop.bench.peers import bench_peers as bench
    from grokhop.cli import console

    _emit_bench(bench(limit=limit, threads=threads, say=console.say), as_json)


@bench_app.command("scale")
def bench_scale(
    facts: Annotated[str, typer.Option(help="Sizes of the graphs, with commas.")] = "1600,5000,20000,80000",
    out_degree: Annotated[int, typer.Option(min=1, help="Facts that begin at each entity.")] = 10,
    changes: Changes = None,
    seeds: Annotated[int, typer.Option(min=1, help="Models to train for each size.")] = 3,
    limit: Annotated[float, typer.Option(help="Seconds after which a training ends as it is.")] = 1800.0,
    threads: Threads = None,
    _config: Config = None,
    as_json: Json = False,
) -> None:
    """Seconds and memory until larger and larger graphs are grokked, and the exponent of their growth."""
    from grokhop.bench.clock import numbers_of
    from grokhop.bench.scale import bench_scale as bench
    from grokhop.cli import console

    measured = bench(
        sizes=numbers_of("--facts", facts),
        out_degree=out_degree,
        changes=changes or (),
        seeds=seeds,
        limit=limit,
        threads=threads or 0,
        say=console.say,
    )
    _emit_bench(measured, as_json)


@bench_app.command("train")
def bench_train(
    widths: Annotated[str, typer.Option(help="With commas.")] = "128,256,512",
    vocabularies: Annotated[str, typer.Option(help="Entities and relations together, with commas.")] = "2000,20000",
    runs: Runs = 5,
    threads: Threads = None,
    _config: Config = None,
    as_json: Json = False,
) -> None:
    """Supervised answers per second and the share of the machine's matrix peak, beside transformers."""
    from grokhop.bench.clock import numbers_of
    from grokhop.bench.throughput import bench_train as bench
    from grokhop.cli import console

    sizes = {"widths": numbers_of("--widths", widths), "vocabularies": numbers_of("--vocabularies", vocabularies)}
    _emit_bench(bench(**sizes, runs=runs, threads=threads, say=console.say), as_json)


def _emit_bench(measured: "BenchResult", as_json: bool) -> None:
    """Show a benchmark; it fails where contenders do not agree."""
    from grokhop.cli import console

    emit(measured, as_json, console.show_bench)
    if not all(found.same for found in measured.findings.same or []):
        raise typer.Exit(1)
