"""The stage `ingest`: a source becomes a graph folder, with the facts that are never composed chosen for
good.

One function for each source; all of them refuse an output that exists before they read anything, and record
the hash of every input in the manifest.
"""

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

from grokhop.core.artifacts import refuse_to_overwrite, sha256
from grokhop.core.errors import InputError
from grokhop.datasets import grokked_transformer as osu
from grokhop.datasets import huggingface as hub
from grokhop.datasets import synthetic, triples, two_wiki, worldfacts
from grokhop.datasets.registry import DATASETS
from grokhop.graph.graph import Graph
from grokhop.graph.splits import check_share, hold_out

HOLDOUT = 0.1


def ingest_worldfacts(out: Path | str, *, holdout: float = HOLDOUT, force: bool = False) -> Graph:
    """Write the built-in graph as the folder `out` and return it.

    Raises:
        InputError: `out` exists and `force` is off, or `holdout` is no share.
    """
    check_share(holdout)
    return ingest(
        lambda: hold_out(worldfacts.read(), share=holdout),
        out,
        inputs=[worldfacts.path()],
        settings={"source": "worldfacts", "holdout": holdout},
        force=force,
    )


def ingest_two_wiki(
    files: Sequence[Path | str],
    out: Path | str,
    *,
    holdout: float = HOLDOUT,
    ood_questions: Path | str | None = None,
    force: bool = False,
) -> Graph:
    """Write the graph of 2WikiMultiHopQA files as the folder `out` and return it.

    Args:
        files: official JSON, see `two_wiki.read`.
        holdout: share of the questions whose facts are held out.
        ood_questions: a file of the same format; the facts of all its questions are held out for test.

    Raises:
        InputError: see `two_wiki.read`, `holdout.hold_out` and `folder.refuse_to_overwrite`.
    """
    check_share(holdout)

    def read() -> Graph:
        named = two_wiki.question_ids(ood_questions) if ood_questions else []
        return hold_out(two_wiki.read(files), share=holdout, ood_questions=named)

    return ingest(
        read,
        out,
        inputs=[*files, *([ood_questions] if ood_questions else [])],
        settings={
            "source": "2wiki",
            "holdout": holdout,
            "ood_questions": str(ood_questions) if ood_questions else None,
        },
        force=force,
    )


def ingest_hub(
    name: str,
    out: Path | str,
    *,
    split: str = "dev",
    revision: str | None = None,
    holdout: float = HOLDOUT,
    ood_questions: Path | str | None = None,
    force: bool = False,
) -> Graph:
    """Write the graph of 2WikiMultiHopQA, fetched from a mirror, as the folder `out` and return it.

    Args:
        name: see `hub.fetch`, as are `split` and `revision`.
        holdout: see `ingest_two_wiki`, as is `ood_questions`.

    Raises:
        InputError: see `hub.fetch` and `ingest_two_wiki`; what is wrong with the other arguments shows before
            anything is fetched.
    """
    check_share(holdout)
    refuse_to_overwrite(Path(out), kind="graph", force=force)
    named = two_wiki.question_ids(ood_questions) if ood_questions else []
    fetched = hub.fetch(name, split=split, revision=revision)
    return ingest(
        lambda: hold_out(two_wiki.read(fetched.paths), share=holdout, ood_questions=named),
        out,
        inputs=[*fetched.paths, *([ood_questions] if ood_questions else [])],
        settings={
            "source": "hub",
            "name": name,
            "split": split,
            "repo": fetched.repo,
            "commit": fetched.commit,
            "checked": dict(fetched.checked),
            "holdout": holdout,
            "ood_questions": str(ood_questions) if ood_questions else None,
        },
        force=force,
    )


def ingest_triples(
    files: Sequence[Path | str],
    out: Path | str,
    *,
    columns: str | None = None,
    labels: Path | str | None = None,
    holdout: float = HOLDOUT,
    force: bool = False,
) -> Graph:
    """Write the graph of TSV, CSV, Parquet or N-Triples files as the folder `out` and return it.

    Args:
        files: see `triples.read`, as are `columns` and `labels`.
        holdout: share of the (subject, relation) pairs held out.

    Raises:
        InputError: see `triples.read`, `holdout.hold_out` and `folder.refuse_to_overwrite`.
    """
    check_share(holdout)
    return ingest(
        lambda: hold_out(triples.read(files, columns=columns, labels=labels), share=holdout),
        out,
        inputs=[*files, *([labels] if labels else [])],
        settings={
            "source": "triples",
            "columns": columns,
            "labels": Path(labels).name if labels else None,
            "holdout": holdout,
        },
        force=force,
    )


def ingest_osu(directory: Path | str, out: Path | str, *, force: bool = False) -> Graph:
    """Write the graph of a data folder of Wang et al. (2024) as the folder `out` and return it.

    The files themselves say what is held out.

    Raises:
        InputError: see `osu.read` and `folder.refuse_to_overwrite`.
    """
    return ingest(
        lambda: osu.read(directory), out, inputs=osu.files(directory), settings={"source": "osu"}, force=force
    )


def ingest_synthetic(
    out: Path | str,
    *,
    kind: str = synthetic.COMPOSITION,
    entities: int | None = None,
    relations: int | None = None,
    out_degree: int | None = None,
    values: int | None = None,
    holdout: float | None = None,
    seed: int = 0,
    force: bool = False,
) -> Graph:
    """Write a graph drawn by chance as of Wang et al. (2024) as the folder `out` and return it.

    Args:
        kind: 'composition' or 'comparison'; what is left out of its settings is as published.
        entities: see `synthetic.Composition` and `synthetic.Comparison`, as are the others. Only compositions have an
            `out_degree`, only comparisons have `values`.

    Raises:
        InputError: see `synthetic.asked`, `synthetic.draw` and `folder.refuse_to_overwrite`.
    """
    settings = synthetic.asked(
        kind,
        entities=entities,
        relations=relations,
        out_degree=out_degree,
        values=values,
        holdout=holdout,
        seed=seed,
    )
    return ingest(lambda: synthetic.draw(settings), out, inputs=[], settings=synthetic.record(settings), force=force)


def ingest_dataset(
    name: str,
    files: Sequence[Path],
    out: Path | str,
    *,
    options: Mapping[str, str] | None = None,
    holdout: float = HOLDOUT,
    force: bool = False,
) -> Graph:
    """Write the graph of a registered dataset as the folder `out` and return it.

    Args:
        name: of `DATASETS`. options: of the dataset.
        holdout: share of the (subject, relation) pairs held out.

    Raises:
        InputError: there is no such dataset, it takes no such option, or what it raises; `out` exists.
    """
    check_share(holdout)
    read, chosen = DATASETS.get(name), dict(options or {})

    try:
        signature(read).bind(files, **chosen)
    except TypeError as error:
        raise InputError(f"the dataset {name} cannot be read with {chosen or 'no options'}: {error}") from error

    def held_out() -> Graph:
        return hold_out(read(files, **chosen), share=holdout)

    settings = {"source": name, "options": chosen, "holdout": holdout}
    return ingest(held_out, out, inputs=files, settings=settings, force=force)


def ingest(
    read: Callable[[], Graph],
    out: Path | str,
    *,
    inputs: Sequence[Path | str],
    settings: dict[str, Any],
    force: bool = False,
) -> Graph:
    """Write the graph that `read` returns as the folder `out`, and return it.

    Args:
        read: gives the graph, its hold-out chosen.
        inputs: the files it reads; their hashes join the manifest.
        settings: what was asked for; joins the manifest.

    Raises:
        InputError: `out` exists and may not be replaced, or what `read` raises.
    """
    out = Path(out)
    refuse_to_overwrite(out, kind="graph", force=force)
    graph = read()
    hashes = [{"name": Path(path).name, "sha256": sha256(Path(path))} for path in inputs]
    graph.write(out, force=force, stage="ingest", inputs=hashes, settings=settings)
    return graph
