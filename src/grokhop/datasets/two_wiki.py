"""2WikiMultiHopQA (Ho et al., COLING 2020), official JSON or Parquet: facts from `evidences`, and the questions.

What is one thing inside a record is decided by `two_wiki_links`, across records by `two_wiki_identity`. An
entity's label is its most common spelling (a country's is its name, not its adjective); every other spelling
is an alias.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from grokhop.core.errors import InputError
from grokhop.datasets import files as input_files
from grokhop.datasets import two_wiki_parquet
from grokhop.datasets.two_wiki_coreference import CHAINS, Linked, Node, QuestionRecord, link
from grokhop.datasets.two_wiki_entities import assign_keys, is_date
from grokhop.graph.graph import Graph, GraphBuilder, Question
from grokhop.language import countries, dates
from grokhop.language.names import clean, is_disambiguated, normal, without_disambiguator

SOURCE = "2wikimultihopqa"


def read(files: Iterable[Path | str]) -> Graph:
    """Return the graph of all evidences in `files`, with the questions.

    Args:
        files: official JSON (`_id`, `type`, `question`, `answer`, `evidences`, ...), an array or JSON lines,
            each gzipped or not; or Parquet with these columns (`two_wiki_parquet`). `evidences_id`,
            `entity_ids`, `answer_id` and `supporting_facts` may be missing.

    Raises:
        InputError: a file is unreadable, a record has not this shape, two records differ under one id, or no
            record has evidences.
    """
    records = list(_records([Path(file) for file in files]).values())
    linked = [link(record) for record in records if record.evidences]
    assign_keys(linked)
    builder = GraphBuilder(source=SOURCE)
    _name_entities(builder, linked)
    for one in linked:
        facts = tuple(builder.fact(head.key, relation, tail.key) for head, relation, tail in one.evidences)
        record = one.record
        builder.question(
            Question(id=record.id, type=record.type, text=record.question, answer=record.answer, facts=facts)
        )
    return builder.build()


def question_ids(file: Path | str) -> list[str]:
    """Return the ids of the questions in an official file; only `_id` is looked at.

    Raises:
        InputError: the file is unreadable, or a record has no `_id`.
    """
    path = Path(file)
    return [_field(value, "_id", f"{path}, record {i}") for i, value in enumerate(values(path), 1)]


def values(path: Path | str) -> list[dict[str, Any]]:
    """Return the records of an official file as they are.

    Raises:
        InputError: the file is unreadable.
    """
    path = Path(path)
    return two_wiki_parquet.records(path) if two_wiki_parquet.is_parquet(path) else input_files.json_objects(path)


def _records(paths: Sequence[Path]) -> dict[str, QuestionRecord]:
    found: dict[str, QuestionRecord] = {}
    for path in paths:
        for number, value in enumerate(values(path), 1):
            where = f"{path}, record {number}"
            record = _record(value, where)
            if found.setdefault(record.id, record) != record:
                raise InputError(f"{where}: another record has the id {record.id}: give each question its own")
    return found


def _record(value: dict[str, Any], where: str) -> QuestionRecord:
    id_ = _field(value, "_id", where)
    where = f"{where} ({id_})"
    ids = value.get("evidences_id") or []
    titles = [fact[0] for fact in _list(value, "supporting_facts", where) if isinstance(fact, list) and fact]
    return QuestionRecord(
        id=id_,
        type=_field(value, "type", where).replace("-", "_"),
        question=_field(value, "question", where),
        answer=_field(value, "answer", where),
        answer_id=str(value.get("answer_id") or ""),
        evidences=_triples(_required(value, "evidences", where), "evidences", where),
        evidence_ids=_triples(ids, "evidences_id", where),
        entity_ids=tuple(part for part in str(value.get("entity_ids") or "").split("_") if part),
        titles=tuple(dict.fromkeys(clean(str(title)) for title in titles)),
    )


def _required(value: dict[str, Any], key: str, where: str) -> Any:
    if key not in value:
        raise InputError(f"{where}: {key!r} is missing: give 2WikiMultiHopQA's official format")
    return value[key]


def _field(value: dict[str, Any], key: str, where: str) -> str:
    found = _required(value, key, where)
    if not isinstance(found, str) or not found.strip():
        raise InputError(f"{where}: {key!r} is not text or is empty: give 2WikiMultiHopQA's official format")
    return found


def _list(value: dict[str, Any], key: str, where: str) -> list[Any]:
    found = value.get(key) or []
    if not isinstance(found, list):
        raise InputError(f"{where}: {key!r} is not a list: give 2WikiMultiHopQA's official format")
    return found


def _triples(rows: Any, key: str, where: str) -> tuple[tuple[str, str, str], ...]:
    if not isinstance(rows, list):
        raise InputError(f"{where}: {key!r} is not a list: give 2WikiMultiHopQA's official format")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, list) or len(row) != 3 or not all(isinstance(x, str) and x.strip() for x in row):
            raise InputError(f"{where}: number {number} of {key!r} is not three texts: {str(row)[:60]}")
    return tuple((row[0], row[1].strip(), row[2]) for row in rows)


def _name_entities(builder: GraphBuilder, records: Sequence[Linked]) -> None:
    """Enter every entity with its label and aliases, in the order of the records."""
    nodes: defaultdict[str, list[Node]] = defaultdict(list)
    names: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for linked in records:
        for node in linked.nodes():
            nodes[node.key].append(node)
            titles = [without_disambiguator(node.title), node.title] if node.title else []
            names[node.key].update(dict.fromkeys([*titles, *node.labels]))
        _add_answer(linked, names)
    labels = {key: _label(key, found) for key, found in nodes.items()}
    holders = Counter(labels.values())
    for key, label in labels.items():
        title = next((node.title for node in nodes[key] if is_disambiguated(node.title)), "")
        builder.entity(key, label=title if title and holders[label] > 1 else label, aliases=names[key])


def _label(key: str, nodes: Sequence[Node]) -> str:
    if key in countries.labels():
        return countries.labels()[key]
    if is_date(nodes[0]):
        return dates.canonical(nodes[0].labels[0]).label
    # Titles first: of two spellings equally common, the one without slips is Wikipedia's.
    titles = [without_disambiguator(node.title) for node in nodes if node.title]
    return Counter([*titles, *(label for node in nodes for label in node.labels)]).most_common(1)[0][0]


def _add_answer(linked: Linked, names: defaultdict[str, dict[str, None]]) -> None:
    """The answer is one more name of its entity, unless it only differs in case or accents."""
    record = linked.record
    last = linked.evidences[-1][2] if record.type in CHAINS else None
    for node in linked.nodes():
        if node is last or (record.answer_id and node.key == record.answer_id):
            answer = clean(record.answer)
            if normal(answer) not in {normal(name) for name in names[node.key]} and not is_date(node):
                names[node.key].setdefault(answer)
