"""The composition data of *Grokked Transformers are Implicit Reasoners* (Wang et al. 2024, arXiv 2405.15071).

The notebook `composition.ipynb` of OSU-NLP-Group/GrokkedTransformer writes a folder of three JSON arrays of
`{"input_text": "<e_1><r_2>", "target_text": "<e_1><r_2><e_3></a>"}`: train.json holds every atomic fact and
the two-hop queries of training, valid.json the queries over two OOD facts, and test.json samples of each
kind, named by a `type`. Atomic facts are not marked in train.json, so what is OOD is read from test.json:

- a fact of type `ood_atomic`, or a hop of a `test_inferred_ood` query, is OOD;
- the lists of test.json stop at 3,000 facts: a fact on neither list is OOD when no ID query passes through
  it.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from grokhop.core.errors import InputError
from grokhop.datasets import files as input_files
from grokhop.graph.graph import Graph, GraphBuilder, Question
from grokhop.graph.splits import hold_out_marked

# What an object of each file is when it has no type: an atomic fact, or a query of this kind.
FILES = {"train.json": "train_inferred", "valid.json": "test_inferred_ood", "test.json": ""}
_OPTIONAL = "valid.json"
_TESTED = ("test_inferred_iid", "test_inferred_ood")
_TYPES = ("id_atomic", "ood_atomic", "train_inferred", *_TESTED)
_TOKENS = re.compile(r"(?:<[^<>]+>)+")
_TOKEN = re.compile(r"<([^<>]+)>")
_END = "/a"

Fact = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Item:
    """One object of a file: a head, one or two relations, and the answer."""

    where: str
    text: str
    type: str
    head: str
    relations: tuple[str, ...]
    answer: str


def files(directory: Path | str) -> list[Path]:
    """Return the files of a data folder; valid.json may be missing, test.json repeats it.

    Raises:
        InputError: the folder or another of its files is missing.
    """
    folder = Path(directory)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: name the one that holds {', '.join(FILES)}")
    missing = [name for name in FILES if not (folder / name).is_file() and name != _OPTIONAL]
    if missing:
        raise InputError(f"{folder / missing[0]} does not exist: name a folder that holds {', '.join(FILES)}")
    return [folder / name for name in FILES if (folder / name).is_file()]


def read(directory: Path | str) -> Graph:
    """Return the graph of a data folder, held out as its files say, with the test queries as questions.

    Raises:
        InputError: a file is missing or unreadable, an object is no composition item, or a query has no path.
    """
    items = [item for path in files(directory) for item in _items(path)]
    atomic = dict.fromkeys((i.head, i.relations[0], i.answer) for i in items if len(i.relations) == 1)
    paths = list(_paths([item for item in items if len(item.relations) == 2], atomic))
    builder = GraphBuilder(source="osu")
    for fact in atomic:
        builder.fact(*fact)
    tested = {item.text: (item, path) for item, path in paths if item.type in _TESTED}
    for item, path in tested.values():
        facts = tuple(builder.fact(*fact) for fact in path)
        builder.question(
            Question(
                id=f"{item.type} {item.text}",
                type="compositional",
                text=" / ".join([item.head, *item.relations]),
                answer=item.answer,
                facts=facts,
            )
        )
    graph = builder.build()
    held_out = _held_out(items, paths, atomic)
    return hold_out_marked(graph, np.array([fact in held_out for fact in atomic]))


def _items(path: Path) -> Iterator[_Item]:
    for number, value in enumerate(input_files.json_objects(path), 1):
        where = f"{path}, record {number}"
        text = _text(value, "input_text", where)
        head, *relations = _tokens(text, "input_text", where)
        answer = _tokens(_text(value, "target_text", where), "target_text", where)[len(relations) + 1 :]
        if len(relations) not in (1, 2) or len(answer) != 2 or answer[1] != _END:
            raise InputError(f"{where}: not <head><relation>... with its answer and </a>: give composition data")
        kind = value.get("type") or (FILES[path.name] if len(relations) == 2 else "id_or_ood_atomic")
        if kind not in (*_TYPES, "id_or_ood_atomic"):
            raise InputError(f"{where}: unknown type {kind!r}: expected one of {', '.join(_TYPES)}")
        yield _Item(where=where, text=text, type=kind, head=head, relations=tuple(relations), answer=answer[0])


def _text(value: dict[str, Any], key: str, where: str) -> str:
    if not isinstance(value.get(key), str):
        raise InputError(f"{where}: {key!r} is missing or not text: give the JSON of composition.ipynb")
    return str(value[key])


def _tokens(text: str, key: str, where: str) -> list[str]:
    if not _TOKENS.fullmatch(text):
        raise InputError(f"{where}: {key!r} is not a row of <tokens>: {text[:40]!r}")
    return _TOKEN.findall(text)


def _paths(queries: Iterable[_Item], atomic: dict[Fact, None]) -> Iterator[tuple[_Item, tuple[Fact, Fact]]]:
    """Each two-hop query with the two facts that answer it."""
    tails: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for head, relation, tail in atomic:
        tails[head, relation].append(tail)
    for item in queries:
        first, second = item.relations
        bridges = (b for b in tails.get((item.head, first), ()) if (b, second, item.answer) in atomic)
        bridge = next(bridges, None)
        if bridge is None:
            raise InputError(f"{item.where}: no atomic facts lead to the answer of {item.text}: give all of train.json")
        yield item, ((item.head, first, bridge), (bridge, second, item.answer))


def _held_out(
    items: Iterable[_Item], paths: Iterable[tuple[_Item, tuple[Fact, Fact]]], atomic: dict[Fact, None]
) -> set[Fact]:
    in_distribution, out = set[Fact](), set[Fact]()
    for item, path in paths:
        (out if item.type == "test_inferred_ood" else in_distribution).update(path)
    for item in items:
        if item.type in ("id_atomic", "ood_atomic"):
            (out if item.type == "ood_atomic" else in_distribution).add((item.head, item.relations[0], item.answer))
    return out | (atomic.keys() - in_distribution)
