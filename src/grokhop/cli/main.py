"""The command line. Each command is one function of one stage; nothing is decided here.

Everything that is heavy is imported by the command that needs it, so that help comes at once.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from grokhop import __version__
from grokhop.cli.bench import bench_app
from grokhop.cli.ingest import ingest_app
from grokhop.cli.options import (
    Changes,
    Config,
    Device,
    Force,
    Json,
    Out,
    Settings,
    SettingsCommand,
    Threads,
    changes_of,
    emit,
    settings_of,
)
from grokhop.config.presets import DEFAULT, preset_names
from grokhop.core.errors import InputError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(bench_app, name="bench")

Graph = Annotated[Path, typer.Argument(help="A graph folder.", metavar="GRAPH", show_default=False)]
Run = Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN", show_default=False)]
Preset = Annotated[str | None, typer.Option(help=f"{DEFAULT} (the default), {', '.join(preset_names()[1:])}.")]
Hops = Annotated[int | None, typer.Option(help="Longest chain to train; the preset's if left out.")]
Compare = Annotated[
    bool | None,
    typer.Option("--compare/--no-compare", help="Train comparisons too, where the graph's questions compare."),
]
Control = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Train a control instead: no-chains, shuffled-ends, no-heldout-facts or permuted-heldout (task.control).",
    ),
]
Log = Annotated[
    list[str] | None,
    typer.Option("--log", help="Log to trackio, tensorboard or wandb too; may be repeated.", show_default=False),
]
BaseUrl = Annotated[
    str | None, typer.Option("--base-url", help="Of the endpoint for 'llm'; its key is in GROKHOP_API_KEY.")
]
EndpointModel = Annotated[str | None, typer.Option("--model", help="The endpoint's model.")]
MaxRequests = Annotated[int, typer.Option("--max-requests", min=1, help="The endpoint is sent no more requests.")]
MaxTokens = Annotated[int, typer.Option("--max-tokens", min=1, help="Nor more tokens, prompts and replies together.")]
Cache = Annotated[Path, typer.Option("--cache", help="Where the endpoint's answers are kept.")]


app.add_typer(ingest_app, name="ingest")


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"grokhop {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """Turn a knowledge graph into a small transformer that answers multi-hop questions, with controls beside it."""


@app.command()
def phi(
    graph: Graph,
    hops: Annotated[int, typer.Option(help="Facts in a path.")] = 2,
    target: Annotated[float, typer.Option(help="The phi that every relation should reach.")] = 6.25,
    _config: Config = None,
    as_json: Json = False,
) -> None:
    """Measure, relation by relation, whether a graph holds enough inferred facts to be grokked."""
    from grokhop.cli import console
    from grokhop.graph.graph import Graph
    from grokhop.phi.report import measure

    measured = measure(Graph.read(graph), hops=hops, target=target)
    emit(measured, as_json, console.show_phi)


@app.command()
def augment(
    graph: Graph,
    out: Annotated[Path | None, typer.Option("--output", "-o", help="The folder to make.", show_default=False)] = None,
    target_phi: Annotated[float, typer.Option(help="The phi that every relation should reach.")] = 6.25,
    source: Annotated[
        str, typer.Option(help="Sources in their order, with commas: graph, gazetteer, llm, wrong.")
    ] = "graph",
    corrupt_fraction: Annotated[
        float | None, typer.Option(help="Share of the added facts that is made false on purpose.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be added, and write nothing.")] = False,
    seed: Annotated[int, typer.Option(help="Another seed adds other facts.")] = 0,
    max_degree: Annotated[
        int | None,
        typer.Option(
            help="Facts that an entity may get in each direction; the target if left out. More need fewer facts."
        ),
    ] = None,
    new_cities: Annotated[int, typer.Option(min=0, help="Unknown cities that 'gazetteer' adds to be compared.")] = 0,
    base_url: BaseUrl = None,
    model: EndpointModel = None,
    max_requests: MaxRequests = 200,
    max_tokens: MaxTokens = 200_000,
    text: Annotated[
        Path | None, typer.Option(help="Paragraphs, blank lines between, for 'llm' to read facts from.")
    ] = None,
    elaborate: Annotated[
        bool, typer.Option("--elaborate", help="Have the endpoint write a paragraph for each added fact.")
    ] = False,
    cache: Cache = Path(".grokhop-cache"),
    force: Force = False,
    _config: Config = None,
    as_json: Json = False,
) -> None:
    """Add facts until every relation passes, without touching what is held out."""
    from grokhop.augmentation.augment import augment_folder, paragraphs_of
    from grokhop.cli import console

    if (out is None) != dry_run:
        raise InputError("give either -o FOLDER to write the augmented graph, or --dry-run to see the plan")
    client = None if dry_run else _client(base_url, model, cache, max_requests, max_tokens)
    report = augment_folder(
        graph,
        out,
        target_phi=target_phi,
        sources=source.split(","),
        corrupt_fraction=corrupt_fraction,
        seed=seed,
        max_degree=max_degree,
        new_cities=new_cities,
        client=client,
        paragraphs=paragraphs_of(text) if text else (),
        elaborate=elaborate,
        notice=console.say,
        force=force,
    )
    emit(report, as_json, console.show_augmentation)


@app.command(cls=SettingsCommand)
def train(
    context: typer.Context,
    graph: Graph,
    out: Out,
    preset: Preset = None,
    hops: Hops = None,
    compare: Compare = None,
    control: Control = None,
    changes: Changes = None,
    budget: Annotated[
        str | None, typer.Option(help="At most this for each seed: 90s, 5m, 1h or '2000 steps'; 10m if left out.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Models to train, with seeds 0, 1, ...; 1 if left out.")
    ] = None,
    threads: Threads = None,
    device: Device = None,
    log: Log = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run folder stopped.")] = False,
    force: Force = False,
    _config: Settings = None,
    as_json: Json = False,
) -> None:
    """Train until the validation queries are answered, or the budget is spent."""
    from grokhop.cli import console

    settings = settings_of(
        context,
        preset,
        changes or (),
        task={"hops": hops, "compare": compare, "control": control},
        resources={"budget": budget, "seeds": seeds, "threads": threads, "device": device},
    )
    from grokhop.runs.metrics import TrainResult
    from grokhop.training.loggers import loggers
    from grokhop.training.train import train as train_run

    with console.display() as shown:
        callbacks = [shown, *loggers(log or (), out)]
        run = train_run(graph, out, settings, resume=resume, force=force, callbacks=callbacks)
    finished = run.finished_seeds()
    summaries = [run.summary(seed) for seed in finished]
    result = TrainResult(run=str(out), control=run.control, numbers=finished, seeds=summaries)
    emit(result, as_json, console.show_training)


@app.command(cls=SettingsCommand)
def sweep(
    context: typer.Context,
    graph: Graph,
    out: Out,
    phi: Annotated[
        str, typer.Option(help="Inferred facts for each atomic fact, with commas; 'all' for all there are.")
    ] = "0.5,1,2,3.6,6.25,all",
    presets: Annotated[str, typer.Option("--preset", help="One preset or several, with commas.")] = "loop",
    grid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE,...",
            help="Settings that each preset is trained with, one after the other, such as task.hops=2,3 or "
            "optimizer.name=muon,optimizer.name=adamw+optimizer.adam_lr=0.001; several --grid multiply.",
            show_default=False,
        ),
    ] = None,
    hops: Annotated[int | None, typer.Option(help="Longest chain to train; the preset's if left out.")] = None,
    changes: Changes = None,
    budget: Annotated[str, typer.Option(help="At most this for each seed: 90s, 5m, 1h or '2000 steps'.")] = "5m",
    seeds: Annotated[int, typer.Option(min=1, help="Models to train at each level, with seeds 0, 1, ...")] = 3,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Seeds trained at once, one thread each; as many as cores if left out.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the sweep stopped, with more of all if you like.")
    ] = False,
    force: Force = False,
    _config: Settings = None,
    as_json: Json = False,
) -> None:
    """Measure how accuracy and the grokking times depend on phi."""
    from grokhop.cli import sweep_progress as sweep_display
    from grokhop.sweeps.sweep import sweep as run_sweep

    with sweep_display.sweep_display() as notice:
        result = run_sweep(
            graph,
            out,
            phis=phi.split(","),
            presets=presets.split(","),
            grid=grid or (),
            seeds=seeds,
            hops=hops,
            changes=changes_of(context, changes or ()),
            budget=budget,
            jobs=jobs,
            resume=resume,
            force=force,
            notice=notice,
        )
    emit(result, as_json, lambda found: sweep_display.show_sweep(found, out))
    if result.failed:
        raise typer.Exit(1)


@app.command("eval")
def evaluate(
    run: Run,
    questions: Annotated[
        Path | None, typer.Option(help="Ask the questions of this file instead (2WikiMultiHopQA's format).")
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(help="Ask these instead of the models, with commas: oracle, lookup, unseen, majority, llm."),
    ] = None,
    control: Annotated[
        list[Path] | None,
        typer.Option("--control", metavar="RUN", help="A control of this run to stand beside it; may be repeated."),
    ] = None,
    open_book: Annotated[
        bool, typer.Option("--open-book", help="List facts in the prompts of 'llm', those needed among others.")
    ] = False,
    limit: Annotated[
        int, typer.Option(min=1, help="Test queries of each cell for 'llm', where the graph has no questions.")
    ] = 100,
    base_url: BaseUrl = None,
    model: EndpointModel = None,
    max_requests: MaxRequests = 200,
    max_tokens: MaxTokens = 200_000,
    cache: Cache = Path(".grokhop-cache"),
    threads: Threads = None,
    device: Device = None,
    _config: Config = None,
    as_json: Json = False,
) -> None:
    """Ask the finished models, or baselines, the test queries and questions."""
    from grokhop.cli import console, evaluations

    if baseline is not None or base_url is not None or open_book:
        from grokhop.evaluation.baselines import run_baselines

        result = run_baselines(
            run,
            baseline.split(",") if baseline else [],
            file=questions,
            client=_client(base_url, model, cache, max_requests, max_tokens),
            open_book=open_book,
            limit=limit,
            notice=console.say,
        )
        emit(result, as_json, evaluations.show_baselines)
        return
    from grokhop.evaluation import evaluate as stage

    if questions is None:
        emit(
            stage.evaluate(run, controls=control or (), threads=threads, device=device),
            as_json,
            evaluations.show_evaluation,
        )
    else:
        emit(
            stage.evaluate_questions(run, questions, threads=threads, device=device),
            as_json,
            evaluations.show_questions,
        )


@app.command()
def ask(
    run: Run,
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="A question in words, or a path 'entity / relation / relation'.")
    ],
    seed: Annotated[int, typer.Option(min=0, help="Which of the trained models to ask.")] = 0,
    device: Device = None,
    _config: Config = None,
    as_json: Json = False,
) -> None:
    """Ask a question, and see the answer hop by hop."""
    from grokhop.cli import evaluations
    from grokhop.inference.ask import ask as ask_run

    emit(ask_run(run, text, seed=seed, device=device), as_json, evaluations.show_answer)


@app.command()
def explain(
    run: Run,
    query: Annotated[
        list[str] | None,
        typer.Option(help="A path or a question that is looked into, place by place; may be repeated."),
    ] = None,
    threads: Threads = None,
    device: Device = None,
    _config: Config = None,
    as_json: Json = False,
) -> None:
    """See the circuit: what is named on the way, what carries the answer, and how that came about."""
    from grokhop.cli import circuits
    from grokhop.interpretability.explain import explain as explain_run

    emit(explain_run(run, texts=query or (), threads=threads, device=device), as_json, circuits.show_explanation)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="A run folder or a sweep folder.", metavar="RUN", show_default=False)],
    _config: Config = None,
    as_json: Json = False,
) -> None:
    """Write RUN/report.html, one file with everything in it; of a sweep too."""
    from grokhop.cli import console
    from grokhop.reporting import report as write_report

    emit({"report": str(write_report(run))}, as_json, console.show_report)


@app.command(cls=SettingsCommand)
def reproduce(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A recipe; if left out, all are listed.")] = "",
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILES", help="Records, for a recipe that needs some.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--output", "-o", help="The folder to make.", show_default=False)] = None,
    preset: Annotated[
        str | None, typer.Option(help="Answer with another model than the recipe's, such as loop, on the same data.")
    ] = None,
    published: Annotated[
        bool, typer.Option("--published", help="At the published size; it takes a GPU, and days.")
    ] = False,
    changes: Changes = None,
    seeds: Annotated[int, typer.Option(min=1, help="Models to train, with seeds 0, 1, ...")] = 3,
    budget: Annotated[str | None, typer.Option(help="Of each seed, instead of the recipe's.")] = None,
    threads: Threads = None,
    force: Force = False,
    _config: Settings = None,
    as_json: Json = False,
) -> None:
    """Run a published experiment, and set its figures beside those that come of it here."""
    from grokhop.cli import console, reproductions
    from grokhop.experiments.recipes import read_recipe, recipes

    if not name:
        emit(recipes(), as_json, reproductions.show_recipes)
        return
    chosen: dict[str, Any] = {
        "preset": preset,
        "published": published,
        "changes": changes_of(context, changes or ()),
        "budget": budget,
    }
    read_recipe(name).plan(**chosen)
    from grokhop.experiments.reproduce import reproduce as run_recipe

    with console.display() as shown:
        result = run_recipe(
            name,
            files or [],
            out or Path("runs") / name,
            **chosen,
            seeds=seeds,
            threads=threads,
            force=force,
            callbacks=[shown],
        )
    emit(result, as_json, reproductions.show_reproduction)


@app.command(cls=SettingsCommand)
def demo(
    context: typer.Context,
    out: Out = Path("runs/demo"),
    changes: Changes = None,
    budget: Annotated[str | None, typer.Option(help="Training takes at most this; 3m if left out.")] = None,
    threads: Threads = None,
    device: Device = None,
    force: Force = False,
    _config: Settings = None,
    as_json: Json = False,
) -> None:
    """The whole flow on the built-in graph, to a report."""
    from grokhop.cli import console
    from grokhop.cli import demo as demo_display
    from grokhop.pipeline import SETTINGS
    from grokhop.pipeline import demo as run_demo

    resources = {"budget": budget, "threads": threads, "device": device}
    settings = settings_of(context, SETTINGS, changes or (), resources=resources)
    with console.display(demo_display.DemoDisplay) as shown:
        result = run_demo(out, settings, force=force, callbacks=[shown])
    emit(result, as_json, demo_display.show_demo)


@app.command()
def export(
    run: Run,
    out: Out,
    to: Annotated[str, typer.Option("--to", help="hf, a folder for the library transformers.")] = "hf",
    seed: Annotated[int, typer.Option(min=0, help="Which of the trained models to write.")] = 0,
    force: Force = False,
    _config: Config = None,
    as_json: Json = False,
) -> None:
    """Write a model for other programs."""
    from grokhop.cli import console
    from grokhop.export import huggingface as hf

    if to != "hf":
        raise InputError(f"--to {to!r} is no format: choose hf")
    emit(hf.export(run, out, seed=seed, force=force), as_json, console.show_export)


def _client(base_url: str | None, model: str | None, cache: Path, max_requests: int, max_tokens: int) -> Any:
    """The client of an endpoint; None without an address."""
    if base_url is None:
        return None
    from grokhop.core.llm_client import Client, Endpoint

    return Client(
        Endpoint(base_url=base_url, model=model or "", cache=cache, max_requests=max_requests, max_tokens=max_tokens)
    )


def main() -> None:
    """Run a command. Exit codes: 0 done, 1 the work failed, 2 the input or the usage is wrong."""
    # Threads that wait by spinning slow a run by half and more when anything else wants their core.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except InputError as error:
        sys.stderr.write(f"grokhop: {error}\n")
        raise SystemExit(2) from error
    except BrokenPipeError as error:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from error
    except OSError as error:
        sys.stderr.write(f"grokhop: {error.filename or 'a file'} cannot be read or written ({error.strerror})\n")
        raise SystemExit(2) from error
    except KeyboardInterrupt as error:
        sys.stderr.write("grokhop: stopped; a training goes on with the same command and --resume\n")
        raise SystemExit(130) from error


if __name__ == "__main__":
    main()
