"""2WikiMultiHopQA as Parquet: the records of its mirrors, brought into the shape of the official JSON.

The mirrors differ in how they keep what is nested: as JSON text; as lists of lists; as lists of structs; or as a struct
of lists, one for each field. `context`, by far the largest column, is not read.
"""

import json
from pathlib import Path
from typing import Any

from grokhop.core.errors import InputError
from grokhop.datasets.files import require_file

_MAGIC = b"PAR1"
_TRIPLE = ("fact", "relation", "entity")
_NESTED = {"evidences": _TRIPLE, "evidences_id": _TRIPLE, "supporting_facts": ("title", "sent_id")}
_PLAIN = ("_id", "id", "type", "question", "answer", "answer_id", "entity_ids")


def is_parquet(path: Path) -> bool:
    """Whether the content, not the name, is Parquet."""
    with require_file(path).open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def records(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a Parquet file as official records.

    Raises:
        InputError: the file is damaged, holds no rows, or a nested column cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        there = pq.read_schema(path).names
        rows = pq.read_table(path, columns=[name for name in (*_PLAIN, *_NESTED) if name in there]).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} is damaged Parquet ({str(error).splitlines()[0]}): fetch it again") from error
    if not rows:
        raise InputError(f"{path} holds no records: give a file with at least one")
    return [_record(row, f"{path}, record {number}") for number, row in enumerate(rows, 1)]


def _record(row: dict[str, Any], where: str) -> dict[str, Any]:
    nested = {name: _rows(row[name], fields, f"{where}: {name!r}") for name, fields in _NESTED.items() if name in row}
    if "_id" not in row and "id" in row:
        row = {**row, "_id": row["id"]}
    return {**row, **nested}


def _rows(value: Any, fields: tuple[str, ...], where: str) -> list[Any]:
    """A nested value as a list of lists."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise InputError(f"{where} is not JSON ({error}): give 2WikiMultiHopQA's columns") from error
    if isinstance(value, dict):
        columns = [column or [] for column in _in_order(value, fields, where)]
        if len({len(column) for column in columns}) > 1:
            raise InputError(f"{where}: {', '.join(fields)} differ in length: give 2WikiMultiHopQA's columns")
        return [list(row) for row in zip(*columns, strict=True)]
    if not isinstance(value, list | None):
        raise InputError(f"{where} is not a list: give 2WikiMultiHopQA's columns")
    return [_in_order(one, fields, where) if isinstance(one, dict) else one for one in value or []]


def _in_order(value: dict[str, Any], fields: tuple[str, ...], where: str) -> list[Any]:
    if any(field not in value for field in fields):
        raise InputError(f"{where} has the fields {', '.join(value)}, not {', '.join(fields)}")
    return [value[field] for field in fields]
