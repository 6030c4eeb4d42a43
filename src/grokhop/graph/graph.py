"""The graph: atomic facts over entities and relations, with what is known about each fact, and its folder.

Entities and relations are numbered; a fact (h, r, t) is a row of three numbers. Two entities with one label
are told apart by their keys (a Wikidata id, say), which never change; labels are what people and the model
read.

Sources fill a `GraphBuilder`. What may never be trained in a composition is fixed when the graph is built
(`grokhop.graph.splits`) and stored with each fact, so that no later stage can choose differently.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from grokhop.core.artifacts import new_folder, read_manifest
from grokhop.core.errors import InputError
from grokhop.core.records import Record

if TYPE_CHECKING:
    import pyarrow as pa


Ints = NDArray[np.int32]
AnyInts = NDArray[np.integer[Any]]


class Split(IntEnum):
    """What a fact or a query may be used for. Facts held out are trained as atomic facts only."""

    TRAIN = 0
    VALIDATION = 1  # looked at for stopping, tuning and choosing
    TEST = 2  # looked at once, for reporting


@dataclass(frozen=True, kw_only=True)
class Entity:
    """One node. `label` is unique in its graph, so that it can stand for the entity wherever people read."""

    key: str
    label: str
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The label and all aliases."""
        return (self.label, *self.aliases)


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question in words with the facts that answer it, in the order of its hops."""

    id: str
    type: str
    text: str
    answer: str
    facts: tuple[tuple[int, int, int], ...]
    """(head, relation, tail) ids."""

    @property
    def path(self) -> tuple[int, tuple[int, ...]] | None:
        """The head entity and the relations when the facts form one chain h r1 ... rk, else None."""
        if len(self.facts) < 2 or any(a[2] != b[0] for a, b in zip(self.facts, self.facts[1:], strict=False)):
            return None
        return self.facts[0][0], tuple(relation for _, relation, _ in self.facts)


@dataclass(frozen=True, kw_only=True)
class GraphCounts(Record):
    """The sizes of a graph; `held_out` are facts, `by_source` the facts of each source."""

    facts: int
    entities: int
    relations: int
    questions: int
    held_out: int
    held_out_validation: int
    held_out_test: int
    by_source: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Facts as columns of equal length F, in the order in which they were added.

    Attributes:
        entities: by entity id.
        relations: label by relation id.
        head, relation, tail: (F,) int32 ids.
        part: (F,) int8, a `Split`: TRAIN, or the part for which the fact is held out.
        source: (F,) int16, an index into `sources`.
        sources: name of each source; `observed` says which of them hold facts that somebody observed, in
            contrast to facts that an augmentation made.
        questions: kept with the facts that answer them; their queries are never trained.
        holdout: the settings that chose `part`, as recorded in the manifest.
    """

    entities: tuple[Entity, ...]
    relations: tuple[str, ...]
    head: Ints
    relation: Ints
    tail: Ints
    part: NDArray[np.int8]
    source: NDArray[np.int16]
    sources: tuple[str, ...]
    observed: tuple[bool, ...]
    questions: tuple[Question, ...] = ()
    holdout: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.head)

    @cached_property
    def pair(self) -> NDArray[np.int64]:
        """(F,) one number for each subject and relation (`pair_id`). Its facts answer one query."""
        return self.pair_id(self.head, self.relation)

    @overload
    def pair_id(self, head: int, relation: int) -> int: ...

    @overload
    def pair_id(self, head: AnyInts, relation: AnyInts | int) -> NDArray[np.int64]: ...

    def pair_id(self, head: Any, relation: Any) -> Any:
        """Return the number of a subject and a relation, head * R + relation; of many where they are arrays."""
        wide = head if isinstance(head, int) else head.astype(np.int64, copy=False)  # 32 bits are too few
        return wide * len(self.relations) + relation

    @cached_property
    def is_observed(self) -> NDArray[np.bool_]:
        """(F,) whether the fact was observed rather than made."""
        return np.asarray(self.observed, dtype=bool)[self.source]

    @property
    def trainable(self) -> "Graph":
        """The graph without its held-out facts: all that a training composition may be made of."""
        return self.where(self.part == Split.TRAIN)

    def where(self, keep: NDArray[np.bool_]) -> "Graph":
        """The same entities and relations with the facts chosen by the (F,) mask `keep`."""
        columns = {name: getattr(self, name)[keep] for name in ("head", "relation", "tail", "part", "source")}
        return replace(self, **columns)

    def extended(
        self,
        facts: Sequence[tuple[int, int, int]],
        *,
        source: str,
        entities: Sequence[Entity] = (),
        relations: Sequence[str] = (),
        observed: bool = False,
    ) -> "Graph":
        """The graph with facts of one new source, and the entities and relations they need, added at its end.

        Raises:
            InputError: a fact is about a pair that is held out.
        """
        added = np.array(facts, dtype=np.int32).reshape(-1, 3)
        grown = replace(
            self,
            entities=(*self.entities, *entities),
            relations=(*self.relations, *relations),
            head=np.concatenate([self.head, added[:, 0]]),
            relation=np.concatenate([self.relation, added[:, 1]]),
            tail=np.concatenate([self.tail, added[:, 2]]),
            part=np.concatenate([self.part, np.full(len(added), Split.TRAIN, np.int8)]),
            source=np.concatenate([self.source, np.full(len(added), len(self.sources), np.int16)]),
            sources=(*self.sources, source),
            observed=(*self.observed, observed),
        )
        touched = np.isin(grown.pair[len(self) :], grown.pair[: len(self)][self.part != Split.TRAIN])
        if touched.any():
            raise InputError(f"{source} adds {touched.sum()} facts about pairs that are held out: nothing was added")
        return grown

    @staticmethod
    def from_columns(
        heads: "pa.ChunkedArray",
        relations: "pa.ChunkedArray",
        tails: "pa.ChunkedArray",
        *,
        source: str,
        labels: Mapping[str, str] | None = None,
    ) -> "Graph":
        """Number millions of facts at once: three Arrow columns of keys, and labels for the keys that have
        one.

        Ids follow the order in which a key first occurs, heads before tails; a fact given twice is one fact.
        """
        import pyarrow as pa

        labels = labels or {}
        ends = pa.chunked_array([*heads.chunks, *tails.chunks], pa.string())
        end, entity_keys = _codes(ends)
        head, tail = np.split(end, [len(heads)])
        relation, relation_keys = _codes(relations)
        first = _first_occurrences(head, relation, tail, n_relations=len(relation_keys))
        return Graph(
            entities=tuple(_entities({key: labels.get(key, key) for key in entity_keys})),
            relations=tuple(e.label for e in _entities({key: labels.get(key, key) for key in relation_keys})),
            head=head[first],
            relation=relation[first],
            tail=tail[first],
            part=np.zeros(len(first), np.int8),
            source=np.zeros(len(first), np.int16),
            sources=(source,),
            observed=(True,),
        )

    def counts(self) -> GraphCounts:
        """The sizes that a person asks for first."""
        return GraphCounts(
            facts=len(self),
            entities=len(self.entities),
            relations=len(self.relations),
            questions=len(self.questions),
            held_out=int((self.part != Split.TRAIN).sum()),
            held_out_validation=int((self.part == Split.VALIDATION).sum()),
            held_out_test=int((self.part == Split.TEST).sum()),
            by_source=dict(Counter(self.sources[i] for i in self.source.tolist())),
        )

    def write(
        self,
        path: Path,
        *,
        force: bool = False,
        extra_tables: "Mapping[str, pa.Table] | None" = None,
        **record: Any,
    ) -> None:
        """Write the graph folder `path`; `record` (source hashes, settings, ledger sizes) joins the manifest.

        Each of `extra_tables` becomes one more Parquet file of that name.

        Raises:
            InputError: `path` exists and may not be replaced.
        """
        import pyarrow.parquet as pq

        manifest = {
            "counts": self.counts().to_dict(),
            "sources": [{"name": n, "observed": o} for n, o in zip(self.sources, self.observed, strict=True)],
            "holdout": self.holdout,
            **record,
        }
        with new_folder(path, kind="graph", manifest=manifest, force=force) as folder:
            self.write_tables(folder)
            for name, table in (extra_tables or {}).items():
                pq.write_table(table, folder / f"{name}.parquet")

    def write_tables(self, folder: Path) -> None:
        """Write the Parquet files of a graph into an existing folder."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        fact_columns = {name: getattr(self, name) for name in ("head", "relation", "tail")}
        source = pa.DictionaryArray.from_arrays(pa.array(self.source), pa.array(self.sources, pa.string()))
        part = pa.DictionaryArray.from_arrays(pa.array(self.part), pa.array([p.name.lower() for p in Split]))
        facts = pa.table({**fact_columns, "source": source, "observed": self.is_observed, "part": part})
        entities = pa.table(
            {
                "key": [e.key for e in self.entities],
                "label": [e.label for e in self.entities],
                "aliases": pa.array([list(e.aliases) for e in self.entities], pa.list_(pa.string())),
            }
        )
        relations = pa.table({"label": pa.array(self.relations, pa.string())})
        fact_type = pa.list_(pa.list_(pa.int32()))
        questions = pa.table(
            {
                **{n: pa.array([getattr(q, n) for q in self.questions], pa.string()) for n in _QUESTION_TEXTS},
                "facts": pa.array([[list(f) for f in q.facts] for q in self.questions], fact_type),
            }
        )
        tables = {"facts": facts, "entities": entities, "relations": relations, "questions": questions}
        for name, table in tables.items():
            pq.write_table(table, folder / f"{name}.parquet")

    @staticmethod
    def read(path: Path) -> "Graph":
        """Read a graph folder.

        Raises:
            InputError: the folder is missing, of another kind, of a newer schema version, or damaged.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        manifest = read_manifest(path, kind="graph")
        try:
            return _from_tables({n: pq.ParquetFile(Path(path) / f"{n}.parquet").read() for n in _TABLES}, manifest)
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError, IndexError) as error:
            what = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(f"{path} is damaged ({what}): make it again with 'grokhop ingest'") from error


_TABLES = ("facts", "entities", "relations", "questions")
_QUESTION_TEXTS = ("id", "type", "text", "answer")


def _from_tables(tables: dict[str, "pa.Table"], manifest: dict[str, Any]) -> Graph:
    facts = tables["facts"]
    sources = tuple(s["name"] for s in manifest["sources"])
    source_id = {name: i for i, name in enumerate(sources)}
    part_id = {p.name.lower(): int(p) for p in Split}
    return Graph(
        entities=tuple(
            Entity(key=row["key"], label=row["label"], aliases=tuple(row["aliases"]))
            for row in tables["entities"].to_pylist()
        ),
        relations=tuple(tables["relations"]["label"].to_pylist()),
        head=facts["head"].to_numpy(),
        relation=facts["relation"].to_numpy(),
        tail=facts["tail"].to_numpy(),
        part=np.array([part_id[p] for p in facts["part"].to_pylist()], np.int8),
        source=np.array([source_id[s] for s in facts["source"].to_pylist()], np.int16),
        sources=sources,
        observed=tuple(s["observed"] for s in manifest["sources"]),
        questions=tuple(
            Question(**{n: row[n] for n in _QUESTION_TEXTS}, facts=tuple(tuple(f) for f in row["facts"]))
            for row in tables["questions"].to_pylist()
        ),
        holdout=manifest["holdout"],
    )


def _codes(column: "pa.ChunkedArray") -> tuple[Ints, list[str]]:
    """Number the texts of a column as they first occur; return the numbers and the texts."""
    encoded = column.combine_chunks().dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int32), encoded.dictionary.to_pylist()


def _first_occurrences(head: Ints, relation: Ints, tail: Ints, *, n_relations: int) -> NDArray[np.int64]:
    pair = head.astype(np.int64) * n_relations + relation
    order = np.lexsort((tail, pair))  # stable: of equal facts the first given comes first
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(pair[order]) != 0) | (np.diff(tail[order]) != 0)
    return np.sort(order[new])


def _entities(labels: Mapping[str, str], aliases: Mapping[str, Iterable[str]] | None = None) -> Iterator[Entity]:
    """Make entities of label by key; a label that several keys share carries the key, and is an alias."""
    shared = {label for label, n in Counter(labels.values()).items() if n > 1}
    for key, label in labels.items():
        unique = f"{label} ({key})" if label in shared and label != key else label
        others = () if aliases is None else aliases[key]
        yield Entity(
            key=key,
            label=unique,
            aliases=tuple(dict.fromkeys([*([label] if unique != label else []), *others])),
        )


class GraphBuilder:
    """Collects what a source finds and numbers it. A fact given twice is one fact."""

    def __init__(self, *, source: str) -> None:
        self.source = source
        self._labels: dict[str, str] = {}
        self._aliases: dict[str, dict[str, None]] = {}
        self._entity_id: dict[str, int] = {}
        self._relation_id: dict[str, int] = {}
        self._facts: dict[tuple[int, int, int], None] = {}
        self._questions: list[Question] = []

    def entity(self, key: str, *, label: str | None = None, aliases: Iterable[str] = ()) -> int:
        """Return the id of the entity `key`, made at first sight; its first label stays, others join it."""
        if key not in self._entity_id:
            self._entity_id[key] = len(self._entity_id)
            self._labels[key] = label or key
            self._aliases[key] = {}
        names = [*([label] if label else []), *aliases]
        self._aliases[key].update(dict.fromkeys(n for n in names if n != self._labels[key]))
        return self._entity_id[key]

    def fact(self, head: str, relation: str, tail: str) -> tuple[int, int, int]:
        """Add the fact between two entity keys and return its ids."""
        number = self._relation_id.setdefault(relation, len(self._relation_id))
        row = (self.entity(head), number, self.entity(tail))
        self._facts.setdefault(row)
        return row

    def question(self, question: Question) -> None:
        """Keep a question; its facts are ids that `fact` returned."""
        self._questions.append(question)

    def build(self) -> Graph:
        """Return the graph, nothing held out yet.

        Raises:
            InputError: no fact was added.
        """
        if not self._facts:
            raise InputError(f"{self.source} holds no facts: give a file with at least one (head, relation, tail)")
        columns = np.array(list(self._facts), dtype=np.int32)
        return Graph(
            entities=tuple(_entities(self._labels, self._aliases)),
            relations=tuple(self._relation_id),
            head=columns[:, 0],
            relation=columns[:, 1],
            tail=columns[:, 2],
            part=np.zeros(len(columns), np.int8),
            source=np.zeros(len(columns), np.int16),
            sources=(self.source,),
            observed=(True,),
            questions=tuple(self._questions),
        )
