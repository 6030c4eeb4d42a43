"""`grokhop ingest`: a command for each dataset, those of other packages too."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from grokhop.cli.options import Config, Files, Force, Holdout, Json, OodQuestions, Out, QuestionHoldout, emit
from grokhop.core.errors import InputError


class IngestGroup(TyperGroup):
    """The commands of `ingest`: one for each dataset, those of other packages too."""

    def list_commands(self, ctx: Any) -> list[str]:
        from grokhop.datasets.registry import DATASETS

        own = super().list_commands(ctx)
        return [*own, *(name for name in DATASETS.names() if name not in own)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        own = super().get_command(ctx, cmd_name)
        return own or (_ingest_other(cmd_name) if cmd_name in self.list_commands(ctx) else None)


def _ingest_other(name: str) -> Any:
    """The command of a dataset that another package brings."""
    one = typer.Typer()

    @one.command(name, help=f"The dataset '{name}' of another package.")
    def ingest_dataset(
        out: Out,
        files: Annotated[
            list[Path] | None, typer.Argument(metavar="FILES", help="What the dataset reads.", show_default=False)
        ] = None,
        option: Annotated[
            list[str] | None,
            typer.Option("--option", metavar="NAME=VALUE", help="An option of the dataset.", show_default=False),
        ] = None,
        holdout: Holdout = 0.1,
        force: Force = False,
        _config: Config = None,
        as_json: Json = False,
    ) -> None:
        from grokhop.datasets import ingest

        options = dict(_named(text) for text in option or ())
        graph = ingest.ingest_dataset(name, files or [], out, options=options, holdout=holdout, force=force)
        _show_graph(out, graph, as_json)

    return typer.main.get_command(one)


def _named(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise InputError(f"--option {text!r} sets nothing: write NAME=VALUE")
    return name, value


ingest_app = typer.Typer(help="Read a graph and hold facts out of it.", no_args_is_help=True, cls=IngestGroup)


@ingest_app.command("worldfacts")
def ingest_worldfacts(
    out: Out, holdout: Holdout = 0.1, force: Force = False, _config: Config = None, as_json: Json = False
) -> None:
    """The built-in graph: 196 states and what belongs to them."""
    from grokhop.datasets import ingest

    _show_graph(out, ingest.ingest_worldfacts(out, holdout=holdout, force=force), as_json)


@ingest_app.command("2wiki")
def ingest_two_wiki(
    files: Files,
    out: Out,
    holdout: QuestionHoldout = 0.1,
    ood_questions: OodQuestions = None,
    force: Force = False,
    _config: Config = None,
    as_json: Json = False,
) -> None:
    """2WikiMultiHopQA's JSON (an array or lines, gzip too) or Parquet."""
    from grokhop.datasets import ingest

    graph = ingest.ingest_two_wiki(files, out, holdout=holdout, ood_questions=ood_questions, force=force)
    _show_graph(out, graph, as_json)


@ingest_app.command("hub")
def ingest_hub(
    name: Annotated[str, typer.Argument(metavar="NAME", help="2wikimultihopqa, or the name of a mirror of it.")],
    out: Out,
    split: Annotated[str, typer.Option(help="dev or train.")] = "dev",
    revision: Annotated[str | None, typer.Option(help="A commit, branch or tag instead of the pinned commit.")] = None,
    holdout: QuestionHoldout = 0.1,
    ood_questions: OodQuestions = None,
    force: Force = False,
    _config: Config = None,
    as_json: Json = False,
) -> None:
    """2WikiMultiHopQA, fetched from the Hugging Face hub."""
    from grokhop.datasets import ingest

    graph = ingest.ingest_hub(
        name, out, split=split, revision=revision, holdout=holdout, ood_questions=ood_questions, force=force
    )
    _show_graph(out, graph, as_json)


@ingest_app.command("triples")
def ingest_triples(
    files: Files,
    out: Out,
    columns: Annotated[
        str | None, typer.Option(help="Head, relation and tail by position ('0,1,2') or name ('s,p,o').")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="A file of keys and labels (TSV, CSV or JSON).")] = None,
    holdout: Holdout = 0.1,
    force: Force = False,
    _config: Config = None,
    as_json: Json = False,
) -> None:
    """TSV, CSV, Parquet or N-Triples (gzip too)."""
    from grokhop.datasets import ingest

    graph = ingest.ingest_triples(files, out, columns=columns, labels=labels, holdout=holdout, force=force)
    _show_graph(out, graph, as_json)


@ingest_app.command("osu")
def ingest_osu(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A data folder of the GrokkedTransformer code.")],
    out: Out,
    force: Force = False,
    _config: Config = None,
    as_json: Json = False,
) -> None:
    """The JSON of Wang et al. (2024), with its own hold-out."""
    from grokhop.datasets import ingest

    _show_graph(out, ingest.ingest_osu(directory, out, force=force), as_json)


@ingest_app.command("synthetic")
def ingest_synthetic(
    out: Out,
    kind: Annotated[
        str, typer.Option(help="composition, or comparison: numbers to be put into order.")
    ] = "composition",
    entities: Annotated[int | None, typer.Option(help="2000 if left out; of comparisons 1000.")] = None,
    relations: Annotated[int | None, typer.Option(help="200 if left out; of comparisons 20.")] = None,
    out_degree: Annotated[int | None, typer.Option(help="Facts that begin at each entity; 20 if left out.")] = None,
    values: Annotated[int | None, typer.Option(help="Of comparisons, how many numbers; 20 if left out.")] = None,
    holdout: Annotated[
        float | None, typer.Option(help="Exact share of facts held out; 0.05 if left out, of comparisons 0.1.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed draws another graph.")] = 0,
    force: Force = False,
    _config: Config = None,
    as_json: Json = False,
) -> None:
    """A random graph, as of Wang et al. (2024)."""
    from grokhop.datasets import ingest

    graph = ingest.ingest_synthetic(
        out,
        kind=kind,
        entities=entities,
        relations=relations,
        out_degree=out_degree,
        values=values,
        holdout=holdout,
        seed=seed,
        force=force,
    )
    _show_graph(out, graph, as_json)


def _show_graph(out: Path, graph: Any, as_json: bool) -> None:
    from grokhop.cli import console

    record = {"graph": str(out), **graph.counts().to_dict()}
    emit(record, as_json, lambda _: console.show_graph(out, graph.counts()))
