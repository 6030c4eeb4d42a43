"""N-Triples: one RDF statement a line. An IRI is a key; its label is its rdfs:label, else its local name."""

import gzip
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from grokhop.core.errors import InputError
from grokhop.datasets import files as input_files

if TYPE_CHECKING:
    import pyarrow as pa


RDFS_LABEL = "http://www.w3.org/2000/01/rdf-schema#label"
_STATEMENT = re.compile(rb"\s*(<[^>]*>|_:\S+)\s+<[^>]*>\s+[<_\"]")
_LOCAL_NAME = re.compile(r"[^/#:]+(?=[/#]?$)")


def looks_like(start: bytes) -> bool:
    """Whether the first line that is neither empty nor a comment is an N-Triples statement."""
    lines = (line for line in start.splitlines() if line.strip() and not line.lstrip().startswith(b"#"))
    return bool(_STATEMENT.match(next(lines, b"")))


def read_table(path: Path, labels: dict[str, str]) -> "pa.Table":
    """Return the columns head, relation and tail; put a label for each key that needs one into `labels`.

    Raises:
        InputError: a line is no N-Triples statement, or the file is damaged.
    """
    import pyarrow as pa

    sink = _parsed(path)
    for key in dict.fromkeys([*sink.head, *sink.relation, *sink.tail]):
        labels.setdefault(key, sink.literals.get(key) or _local_name(key))
    labels.update({key: label for key, (label, _) in sink.labels.items()})
    return pa.table({"head": sink.head, "relation": sink.relation, "tail": sink.tail}, schema=_schema())


def _schema() -> "pa.Schema":
    import pyarrow as pa

    return pa.schema([(name, pa.string()) for name in ("head", "relation", "tail")])


def _local_name(iri: str) -> str:
    found = _LOCAL_NAME.search(iri)
    return unquote(found[0]).replace("_", " ") if found and not iri.startswith("_:") else iri


class _Sink:
    """Receives statements from the parser of rdflib."""

    def __init__(self) -> None:
        self.head: list[str] = []
        self.relation: list[str] = []
        self.tail: list[str] = []
        self.literals: dict[str, str] = {}
        self.labels: dict[str, tuple[str, int]] = {}
        """Label by key with its rank: English before no language before any other."""

    def triple(self, head: Any, relation: Any, tail: Any) -> None:
        from rdflib import Literal

        if str(relation) == RDFS_LABEL and isinstance(tail, Literal):
            rank = 2 if (tail.language or "").startswith("en") else 0 if tail.language else 1
            if rank > self.labels.get(_key(head), ("", -1))[1]:
                self.labels[_key(head)] = (str(tail), rank)
            return
        self.head.append(_key(head))
        self.relation.append(_key(relation))
        self.tail.append(self._literal(tail) if isinstance(tail, Literal) else _key(tail))

    def _literal(self, value: Any) -> str:
        key = str(value.n3())
        self.literals[key] = str(value)
        return key


def _key(node: Any) -> str:
    from rdflib import BNode

    return f"_:{node}" if isinstance(node, BNode) else str(node)


class _OwnNames(dict[str, Any]):
    """Keeps the blank nodes' names of the file, where rdflib would give them new random ones in every run."""

    def get(self, key: str, default: Any = None) -> Any:
        return key


def _parsed(path: Path) -> _Sink:
    from rdflib.exceptions import ParserError
    from rdflib.plugins.parsers.ntriples import W3CNTriplesParser

    sink, names = _Sink(), _OwnNames()
    parser, number = W3CNTriplesParser(sink), 0  # type: ignore[arg-type]
    try:
        with gzip.open(path) if input_files.is_gzip(path) else path.open("rb") as raw:
            for line in io.TextIOWrapper(raw, encoding="utf-8-sig"):
                number += 1
                parser.line = line.rstrip("\r\n")
                parser.parseline(names)
    except (EOFError, OSError) as error:
        raise InputError(f"{path} is a damaged gzip file ({error}): fetch it again") from error
    except (ParserError, ValueError) as error:
        raise InputError(f"{path}, line {number}: not an N-Triples statement: write <s> <p> <o> .") from error
    return sink
