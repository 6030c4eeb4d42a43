"""A data set on disk: Parquet files and a JSON file with a hash of all their content.

DATASET/dataset.json       counts, sizes, the order of the sets, sha256 of the content
DATASET/facts.parquet      the facts of trained chains, facts on their own, codes of what is tested, known objects
DATASET/rows.parquet       rows of tokens by set: train, rules, comparisons, ...
DATASET/queries.parquet    queries with all their answers by set: part/hops/cell, rules, probes
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grokhop.core.artifacts import write_json
from grokhop.core.errors import InputError
from grokhop.graph.paths import Queries
from grokhop.tasks.composition import Compositions
from grokhop.tasks.dataset import RuleTest, TaskDataset
from grokhop.tasks.encoding import TokenBatch
from grokhop.tasks.vocabulary import Vocabulary

INDEX = "dataset.json"
Arrays = dict[str, NDArray[Any]]
Columns = dict[str, NDArray[Any] | tuple[NDArray[Any], NDArray[Any]]]
"""Numbers or rows of equal length; or, of different lengths, all values and the offset at which each row begins."""
_DTYPES = {"tokens": np.int64, "read_at": np.int8, "targets": np.int64}


def save_dataset(folder: Path, dataset: TaskDataset) -> str:
    """Write a data set into the new folder `folder` and return the hash of its content."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True)
    facts, rows, queries = _facts(dataset), _rows(dataset), _queries(dataset)
    sha256 = content_hash(dataset)
    names, flat = list(facts), [array.reshape(-1) for array in facts.values()]
    columns = {
        "set": pa.array(np.repeat(names, [len(array) for array in flat])).dictionary_encode(),
        "value": pa.array(np.concatenate([array.view(np.int64) for array in flat])),
    }
    pq.write_table(pa.table(columns), folder / "facts.parquet", compression="zstd")
    _write_lists(folder / "rows.parquet", {name: _columns(batch) for name, batch in rows.items()})
    _write_lists(folder / "queries.parquet", {name: _query_columns(found) for name, found in queries.items()})
    write_json(
        folder / INDEX,
        {
            "sha256": sha256,
            "vocabulary": {"entities": dataset.vocabulary.entities, "relations": dataset.vocabulary.relations},
            "labels": list(dataset.labels),
            "chains": dataset.chains,
            "atomic_share": dataset.atomic_share,
            "composed_facts": dataset.compositions.facts,
            "counts": dataset.counts,
            "facts": {name: list(array.shape) for name, array in facts.items()},
            "rows": {name: list(batch.tokens.shape) for name, batch in rows.items()},
            "queries": {name: list(found.relations.shape) for name, found in queries.items()},
            "rules": [
                {"word": rule.word, "relations": list(rule.relations), "examples": rule.examples}
                for rule in dataset.tested_rules
            ],
        },
    )
    return sha256


def read_dataset(folder: Path) -> TaskDataset:
    """Read the data set in `folder`.

    Raises:
        InputError: it is missing or damaged, or its content is not what was written.
    """
    if not (folder / INDEX).is_file():
        raise InputError(
            f"{folder.parent} has no data set: an older grokhop made it, and what it trained is not known. "
            "Train again with --force"
        )
    try:
        dataset, sha256 = _read(folder)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{folder} is damaged ({error}): train again with --force") from error
    if content_hash(dataset) != sha256:
        raise InputError(f"{folder} is damaged: its content is not what was written; train again with --force")
    return dataset


def content_hash(dataset: TaskDataset) -> str:
    """Return the SHA-256 of all arrays of a data set, with their names, types and shapes."""
    digest = hashlib.sha256()
    arrays = {
        **_facts(dataset),
        **{f"{n}/{c}": a for n, batch in _rows(dataset).items() for c, a in _columns(batch).items()},
        **{f"{n}/{c}": a for n, q in _queries(dataset).items() for c, a in _flat_query(q).items()},
    }
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _facts(dataset: TaskDataset) -> Arrays:
    made = dataset.compositions
    whole = {"chains": made.chains, "atomic": made.atomic, "objects": dataset.objects}
    return {**{name: array.astype(np.int64) for name, array in whole.items()}, "tested": made.tested}


def _rows(dataset: TaskDataset) -> dict[str, TokenBatch]:
    named = {name: getattr(dataset, name) for name in ("rows", "rules", "comparisons", "operands", "probed")}
    named |= {f"compared/{cell}": batch for cell, batch in dataset.compared.items()}
    tested = dataset.tested_comparisons
    return named | {f"tested/{cell}/{o}": batch for cell, by in tested.items() for o, batch in by.items()}


def _queries(dataset: TaskDataset) -> dict[str, Queries]:
    cells = dataset.compositions.cells
    found = {f"{part}/{k}/{c}": q for part, by in cells.items() for k, of in by.items() for c, q in of.items()}
    found |= {f"probe/{i}": queries for i, queries in enumerate(dataset.probe)}
    return found | {
        f"rule/{i}/{cell}": getattr(rule, cell) for i, rule in enumerate(dataset.tested_rules) for cell in ("id", "ood")
    }


def _columns(batch: TokenBatch) -> Arrays:
    return {name: getattr(batch, name).astype(dtype) for name, dtype in _DTYPES.items()}


def _flat_query(queries: Queries) -> Arrays:
    arrays = {name: getattr(queries, name) for name in ("head", "relations", "answers", "offsets")}
    return {name: array.astype(np.int64) for name, array in arrays.items()}


def _query_columns(queries: Queries) -> Columns:
    flat = _flat_query(queries)
    return {"head": flat["head"], "relations": flat["relations"], "answers": (flat["answers"], flat["offsets"])}


def _write_lists(path: Path, sets: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a table of all sets, one row each, with (N,) columns as numbers and the others as lists."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def column(value: Any) -> Any:
        values, offsets = value if isinstance(value, tuple) else (value, None)
        if offsets is None and values.ndim == 1:
            return pa.array(values)
        if offsets is None:
            offsets = np.arange(len(values) + 1) * values.shape[1]
        return pa.LargeListArray.from_arrays(pa.array(offsets.astype(np.int64)), pa.array(values.reshape(-1)))

    tables = []
    for name, columns in sets.items():
        arrays = {c: column(value) for c, value in columns.items()}
        n = len(next(iter(arrays.values())))
        tables.append(pa.table({"set": pa.array([name] * n, pa.string()), **arrays}))
    pq.write_table(pa.concat_tables(tables), path, compression="zstd")


def _read(folder: Path) -> tuple[TaskDataset, str]:
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    facts = _read_facts(folder / "facts.parquet", index["facts"])
    rows = _read_rows(folder / "rows.parquet", index["rows"])
    queries = _read_queries(folder / "queries.parquet", index["queries"])
    cells: dict[str, dict[int, dict[str, Queries]]] = {}
    for name, found in queries.items():
        part, hops, cell = name.split("/") if name.count("/") == 2 else ("probe", "", "")
        if part in ("validation", "test"):
            cells.setdefault(part, {}).setdefault(int(hops), {})[cell] = found
    tested: dict[str, dict[str, TokenBatch]] = {}
    for name, batch in rows.items():
        if name.startswith("tested/"):
            _, cell, operator = name.split("/")
            tested.setdefault(cell, {})[operator] = batch
    dataset = TaskDataset(
        vocabulary=Vocabulary(**index["vocabulary"]),
        labels=tuple(index["labels"]),
        compositions=Compositions(
            chains=facts["chains"],
            atomic=facts["atomic"],
            cells=cells,
            facts=index["composed_facts"],
            tested=facts["tested"].view(np.uint64),
            counts=index["counts"],
        ),
        rows=rows["rows"],
        chains=index["chains"],
        atomic_share=index["atomic_share"],
        objects=facts["objects"],
        probe=[queries[f"probe/{i}"] for i in range(sum(name.startswith("probe/") for name in queries))],
        probed=rows["probed"],
        rules=rows["rules"],
        comparisons=rows["comparisons"],
        operands=rows["operands"],
        compared={name.partition("/")[2]: b for name, b in rows.items() if name.startswith("compared/")},
        tested_comparisons=tested,
        tested_rules=[
            RuleTest(
                word=rule["word"],
                relations=tuple(rule["relations"]),
                examples=rule["examples"],
                id=queries[f"rule/{i}/id"],
                ood=queries[f"rule/{i}/ood"],
            )
            for i, rule in enumerate(index["rules"])
        ],
    )
    return dataset, index["sha256"]


def _read_facts(path: Path, shapes: dict[str, list[int]]) -> Arrays:
    import pyarrow.parquet as pq

    values = pq.ParquetFile(path).read(columns=["value"])["value"].to_numpy()
    sizes = [int(np.prod(shape)) for shape in shapes.values()]
    if len(values) != sum(sizes):
        raise ValueError(f"{path.name} has {len(values)} values, not {sum(sizes)}")
    parts = np.split(values, np.cumsum(sizes)[:-1])
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


def _read_rows(path: Path, shapes: dict[str, list[int]]) -> dict[str, TokenBatch]:
    import pyarrow.parquet as pq

    table, start, found = pq.ParquetFile(path).read().combine_chunks(), 0, {}
    for name, (n, width) in shapes.items():
        part = table.slice(start, n)
        arrays = {c: _flattened(part[c]).astype(dtype).reshape(n, width) for c, dtype in _DTYPES.items()}
        found[name] = TokenBatch(**arrays)
        start += n
    return found


def _read_queries(path: Path, shapes: dict[str, list[int]]) -> dict[str, Queries]:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table, start, found = pq.ParquetFile(path).read().combine_chunks(), 0, {}
    for name, (n, hops) in shapes.items():
        part = table.slice(start, n)
        sizes = pc.list_value_length(part["answers"]).to_numpy() if n else np.empty(0, np.int64)
        found[name] = Queries(
            head=part["head"].to_numpy(),
            relations=_flattened(part["relations"]).reshape(n, hops),
            answers=_flattened(part["answers"]),
            offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        )
        start += n
    return found


def _flattened(column: Any) -> NDArray[Any]:
    return np.concatenate([np.empty(0, np.int64), *(chunk.flatten().to_numpy() for chunk in column.chunks)]).astype(
        np.int64
    )
