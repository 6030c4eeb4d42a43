"""Facts from files of three columns (TSV, CSV, Parquet) and from N-Triples, read in bulk.

What a file is shows in its content, not in its name; each may be gzipped. The columns of a file are the head,
the relation and the tail of a fact, as text.
"""

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grokhop.core.errors import InputError
from grokhop.datasets import files as input_files
from grokhop.datasets import ntriples
from grokhop.graph.graph import Graph

if TYPE_CHECKING:
    import pyarrow as pa


USUAL_HEADERS = {
    ("head", "relation", "tail"),
    ("subject", "predicate", "object"),
    ("subject", "relation", "object"),
    ("h", "r", "t"),
    ("s", "p", "o"),
}
_PARQUET = b"PAR1"


def read(
    files: Iterable[Path | str],
    *,
    columns: str | None = None,
    labels: Path | str | None = None,
    source: str = "triples",
) -> Graph:
    """Return the graph of all facts in `files`.

    Args:
        files: TSV, CSV, Parquet or N-Triples, each gzipped or not.
        columns: which three columns are head, relation and tail: positions from 0 ('0,1,2') or names; the
            first three unless told. A first line is a header when `columns` are names or when it is one of
            USUAL_HEADERS.
        labels: a file of key and label (TSV, CSV or a JSON object) for entities and relations.
        source: name of the source in the graph.

    Raises:
        InputError: a file is missing, damaged or has not the wanted columns, a field is empty, or no fact is
            found.
    """
    import pyarrow as pa

    wanted = _wanted(columns)
    found: dict[str, str] = {}
    tables = [_table(input_files.require_file(Path(file)), wanted, found) for file in files]
    if labels:
        found |= read_labels(Path(labels))
    if not any(table.num_rows for table in tables):
        raise InputError(f"{source}: no facts in the files given: give at least one (head, relation, tail)")
    facts = pa.concat_tables(tables)
    return Graph.from_columns(facts["head"], facts["relation"], facts["tail"], source=source, labels=found)


def _wanted(columns: str | None) -> tuple[str, str, str]:
    names = [name.strip() for name in (columns or "0,1,2").split(",")]
    if len(names) != 3 or not all(names) or len(set(names)) != 3:
        raise InputError(
            f"--columns takes three different columns such as 0,1,2 or head,relation,tail, not {columns!r}"
        )
    return names[0], names[1], names[2]


def _are_positions(wanted: Sequence[str]) -> bool:
    return all(name.isdecimal() for name in wanted)


def _table(path: Path, wanted: tuple[str, str, str], found: dict[str, str]) -> "pa.Table":
    """The facts of one file; labels that the file itself gives join `found`."""
    start = input_files.head(path)
    if start.startswith(_PARQUET):
        return _parquet(path, wanted)
    if b"\0" in start:
        raise InputError(f"{path} is binary: give TSV, CSV, Parquet or N-Triples")
    if ntriples.looks_like(start):
        return ntriples.read_table(path, found)
    return _delimited(path, start, wanted)


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """How a delimited file is written, judged by its first line."""

    delimiter: str
    quote: str
    header: bool
    width: int
    positions: tuple[int, int, int]


def _layout(path: Path, start: bytes, wanted: tuple[str, str, str]) -> _Layout:
    lines = start.decode("utf-8-sig", errors="replace").splitlines()
    if not lines or not lines[0].strip():
        raise InputError(f"{path}, line 1 is empty: start with a fact or a header")
    # Tab-separated dumps quote nothing: a label may begin with a quotation mark.
    delimiter, quote = ("\t", "") if "\t" in lines[0] else (",", '"')
    first = lines[0].split("\t") if delimiter == "\t" else next(csv.reader([lines[0]]))
    if len(first) < 3:
        raise InputError(f"{path}, line 1: {len(first)} columns where three are needed, separated by tabs or commas")
    positions = _positions(path, [name.strip() for name in first], wanted)
    usual = tuple(first[i].strip().lower() for i in positions) in USUAL_HEADERS
    return _Layout(
        delimiter=delimiter,
        quote=quote,
        header=usual or not _are_positions(wanted),
        width=len(first),
        positions=positions,
    )


def _positions(path: Path, names: list[str], wanted: tuple[str, str, str]) -> tuple[int, int, int]:
    if _are_positions(wanted):
        positions = [int(name) for name in wanted]
        if max(positions) >= len(names):
            raise InputError(
                f"{path} has columns 0 to {len(names) - 1}, no {max(positions)}: choose others with --columns"
            )
    else:
        unknown = [name for name in wanted if name not in names]
        if unknown:
            raise InputError(f"{path} has no column {unknown[0]!r}: choose three of {', '.join(names)} with --columns")
        positions = [names.index(name) for name in wanted]
    return positions[0], positions[1], positions[2]


def _delimited(path: Path, start: bytes, wanted: tuple[str, str, str]) -> "pa.Table":
    import duckdb

    layout = _layout(path, start, wanted)
    settings = {
        "delim": layout.delimiter,
        "quote": layout.quote,
        "escape": layout.quote,
        "header": layout.header,
        "compression": "gzip" if input_files.is_gzip(path) else "none",
        "columns": {f"c{i}": "VARCHAR" for i in range(layout.width)},
    }
    options = ", ".join(f"{name}=${name}" for name in settings)
    query = f"FROM read_csv($path, auto_detect=false, null_padding=false, {options})"
    try:
        return _checked(path, query, {"path": str(path), **settings}, layout.positions, first_line=1 + layout.header)
    except duckdb.Error as error:
        raise InputError(f"{path}{_where(error)}: {_why(error, layout.width)}") from error


def _where(error: Exception) -> str:
    line = re.search(r"Line: (\d+)", str(error))
    return f", line {line[1]}" if line else ""


def _why(error: Exception, width: int) -> str:
    reason = str(error)
    if "Expected Number of Columns" in reason:
        return f"another number of columns than the {width} of line 1: make every line alike"
    if "unicode" in reason.lower() or "utf-8" in reason.lower():
        return "not UTF-8 text: convert the file to UTF-8"
    return f"{reason.splitlines()[0]}: check the file"


def _parquet(path: Path, wanted: tuple[str, str, str]) -> "pa.Table":
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
        if len(names) < 3:
            raise InputError(f"{path}: {len(names)} columns where three are needed")
        chosen = _positions(path, names, wanted)
        columns = ", ".join('"' + name.replace('"', '""') + f'"::VARCHAR AS c{i}' for i, name in enumerate(names))
        return _checked(path, f"FROM (SELECT {columns} FROM read_parquet($path))", {"path": str(path)}, chosen)
    except (OSError, pa.ArrowException, duckdb.Error) as error:
        raise InputError(f"{path} is damaged Parquet ({str(error).splitlines()[0]}): fetch it again") from error


def _checked(
    path: Path, query: str, settings: dict[str, Any], positions: tuple[int, int, int], *, first_line: int = 1
) -> "pa.Table":
    """Run a query and return the three columns, none of them empty anywhere."""
    import duckdb
    import pyarrow.compute as pc

    chosen = ", ".join(f"c{i} AS {name}" for i, name in zip(positions, ("head", "relation", "tail"), strict=True))
    with duckdb.connect() as connection:
        table = connection.sql(f"SELECT {chosen} {query}", params=settings).to_arrow_table()
    for name in table.column_names:
        column = table[name]
        filled = pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(column), ""), False)
        row = pc.index(filled, False).as_py()
        if row >= 0:
            raise InputError(f"{path}, line {row + first_line}: the {name} is empty: fill it in or remove the line")
    return table


def read_labels(path: Path) -> dict[str, str]:
    """Return label by key from a JSON object or from two columns of TSV or CSV.

    Raises:
        InputError: the file is unreadable or is neither.
    """
    content = input_files.text(path)
    if content.lstrip().startswith("{"):
        return _json_labels(path, content)
    rows = csv.reader(content.splitlines(), delimiter="\t" if "\t" in content.splitlines()[0] else ",")
    found = {}
    for number, row in enumerate(rows, 1):
        if len(row) < 2 or not row[0].strip() or not row[1].strip():
            raise InputError(f"{path}, line {number}: expected a key and a label")
        found[row[0].strip()] = row[1].strip()
    return found


def _json_labels(path: Path, content: str) -> dict[str, str]:
    try:
        found: Mapping[str, Any] = json.loads(content)
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}): give a JSON object of key and label") from error
    wrong = next((key for key, label in found.items() if not isinstance(label, str) or not label.strip()), None)
    if wrong is not None:
        raise InputError(f"{path}: the label of {wrong!r} is not text: give a JSON object of key and label")
    return dict(found)
