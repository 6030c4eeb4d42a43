"""Files of three columns, whatever they are called and however they are packed."""

import gzip
import json
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grokhop.core.errors import InputError
from grokhop.datasets import triples, worldfacts
from grokhop.datasets.ingest import ingest_triples, ingest_worldfacts
from grokhop.graph.graph import Graph

Fact = tuple[str, str, str]
FACTS = [("Ann", "mother", "Eve"), ("Bob, Jr.", "father", "Ed"), ('"Ed" the Elder', "born in", "São Paulo")]


def facts_of(graph: Graph) -> list[Fact]:
    labels = [entity.label for entity in graph.entities]
    rows = zip(graph.head.tolist(), graph.relation.tolist(), graph.tail.tolist(), strict=True)
    return [(labels[h], graph.relations[r], labels[t]) for h, r, t in rows]


def tsv(facts: list[Fact], header: str = "") -> bytes:
    return "".join([header, *("\t".join(fact) + "\n" for fact in facts)]).encode()


CSV = b'Ann,mother,Eve\n"Bob, Jr.",father,Ed\n"""Ed"" the Elder",born in,S\xc3\xa3o Paulo\n'


@pytest.mark.parametrize(
    "content",
    [
        tsv(FACTS),
        tsv(FACTS, "head\trelation\ttail\n"),
        tsv(FACTS, "Subject\tPredicate\tObject\n"),
        tsv(FACTS, "h\tr\tt\n"),
        tsv(FACTS).replace(b"\n", b"\r\n"),
        tsv(FACTS)[:-1],
        gzip.compress(tsv(FACTS)),
        b"\xef\xbb\xbf" + tsv(FACTS),
        CSV,
        gzip.compress(CSV),
    ],
    ids=[
        "tsv",
        "header",
        "other header",
        "short header",
        "crlf",
        "no last newline",
        "gzip",
        "bom",
        "csv",
        "csv gzip",
    ],
)
def test_text_files_are_read_by_their_content(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "facts.data"
    path.write_bytes(content)
    assert facts_of(triples.read([path])) == FACTS


@pytest.mark.parametrize("columns", [None, "0,1,2", "h,rel,t"])
def test_parquet_is_read_by_names_and_positions_and_everything_is_text(tmp_path: Path, columns: str | None) -> None:
    path = tmp_path / "facts"
    pq.write_table(pa.table({"h": [1, 2], "rel": ["r", "r"], "t": [2, 3], "note": [None, "x"]}), path)
    assert facts_of(triples.read([path], columns=columns)) == [("1", "r", "2"), ("2", "r", "3")]


@pytest.mark.parametrize("columns", ["3,1,0", "to, how, from"])
def test_columns_are_chosen_by_position_or_by_name(tmp_path: Path, columns: str) -> None:
    path = tmp_path / "facts.tsv"
    header = "from\thow\tdate\tto\n" if columns.startswith("to") else ""
    path.write_text(header + "Eve\tchild\t1950\tAnn\n")
    assert facts_of(triples.read([path], columns=columns)) == [("Ann", "child", "Eve")]


def test_a_first_line_that_is_no_usual_header_is_a_fact(tmp_path: Path) -> None:
    path = tmp_path / "facts.tsv"
    path.write_text("from\thow\tto\n")
    assert facts_of(triples.read([path])) == [("from", "how", "to")]


@pytest.mark.parametrize("content", ['{"P1": "parent", "Q1": "Ann"}', "P1\tparent\nQ1\tAnn\n", "P1,parent\nQ1,Ann\n"])
def test_labels_stand_for_keys_of_entities_and_relations(tmp_path: Path, content: str) -> None:
    (tmp_path / "facts.tsv").write_text("Q1\tP1\tQ2\n")
    (tmp_path / "labels").write_text(content)
    graph = triples.read([tmp_path / "facts.tsv"], labels=tmp_path / "labels")
    assert facts_of(graph) == [("Ann", "parent", "Q2")]
    assert [e.key for e in graph.entities] == ["Q1", "Q2"]


def test_relations_that_share_a_label_stay_two_relations(tmp_path: Path) -> None:
    (tmp_path / "facts.tsv").write_text("a\tP1\tb\na\tP2\tb\n")
    (tmp_path / "labels.json").write_text('{"P1": "part", "P2": "part"}')
    assert triples.read([tmp_path / "facts.tsv"], labels=tmp_path / "labels.json").relations == (
        "part (P1)",
        "part (P2)",
    )


NT = """# people
<http://x.org/Ann_Lee> <http://x.org/p#mother> <http://x.org/Eve> .
<http://x.org/Eve> <http://www.w3.org/2000/01/rdf-schema#label> "\\u00c8ve"@fr .
<http://x.org/Eve> <http://www.w3.org/2000/01/rdf-schema#label> "Eve Lee"@en .

<http://x.org/Eve> <http://x.org/p#born> "1950"^^<http://www.w3.org/2001/XMLSchema#gYear> .
_:b1 <http://x.org/p#child> <http://x.org/Eve> .
"""


@pytest.mark.parametrize("packed", [False, True])
def test_n_triples_have_iris_as_keys_and_labels_or_local_names_as_labels(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "facts"
    path.write_bytes(gzip.compress(NT.encode()) if packed else NT.encode())
    graph = triples.read([path])
    assert facts_of(graph) == [
        ("Ann Lee", "mother", "Eve Lee"),
        ("Eve Lee", "born", "1950"),
        ("_:b1", "child", "Eve Lee"),
    ]
    assert "http://x.org/Ann_Lee" in {e.key for e in graph.entities}
    assert '"1950"^^<http://www.w3.org/2001/XMLSchema#gYear>' in {e.key for e in graph.entities}


def test_codex_s_has_the_size_its_authors_report(codex: Path) -> None:
    files = [codex / f"{name}.txt" for name in ("train", "valid", "test")]
    graph = triples.read(files, labels=codex / "relations.json")
    assert (len(graph), len(graph.entities), len(graph.relations)) == (36_543, 2_034, 42)
    lines = [tuple(line.split("\t")) for file in files for line in file.read_text().splitlines()]
    labels = json.loads((codex / "relations.json").read_text())
    assert facts_of(graph) == [(h, labels[r], t) for h, r, t in lines]


def test_a_million_rows_are_read_in_seconds(tmp_path: Path) -> None:
    path = tmp_path / "big.tsv"
    path.write_text("".join(f"e{i % 90_001}\tr{i % 97}\te{i * 7 % 90_001}\n" for i in range(1_000_000)))
    begin = time.perf_counter()
    graph = triples.read([path])
    assert time.perf_counter() - begin < 20  # about 1.5 s on an idle core
    assert len(graph) == 1_000_000


@pytest.mark.parametrize(
    ("content", "columns", "message"),
    [
        (b"", None, "is empty"),
        (b"\n", None, "line 1 is empty"),
        (b"a\tb\n", None, "line 1: 2 columns where three"),
        (b"a b c\n", None, "line 1: 1 columns"),
        (b"a\tb\tc\nd\te\n", None, "line 2: another number of columns than the 3"),
        (b"a\tb\tc\nd\te\tf\tg\n", None, "line 2: another number of columns than the 3"),
        (b"a\tb\tc\nd\t\tf\n", None, "line 2: the relation is empty"),
        (b"a\tb\tc\nd\te\t \n", None, "line 2: the tail is empty"),
        (b"head,relation,tail\nd,e,f\n,e,f\n", None, "line 3: the head is empty"),
        (b"head\trelation\ttail\n", None, "no facts"),
        (b"a\tb\tc\n", "0,1,3", "columns 0 to 2, no 3"),
        (b"x\ty\tz\n1\t2\t3\n", "x,y,q", "no column 'q'"),
        (b"a\tb\tc\n", "0,1", "--columns"),
        (b"a\tb\tc\n", "0,1,1", "--columns"),
        (b"\x00\x01\x02\x03", None, "is binary"),
        (b"a\tb\tc\n\xff\xfe\tb\tc\n", None, "not UTF-8"),
        (b"\x1f\x8bgarbage", None, "damaged gzip"),
        (gzip.compress(tsv(FACTS * 9), mtime=0)[:-12], None, "damaged gzip"),
        (b"PAR1garbage", None, "damaged Parquet"),
        (b"<a:b> <c:d> <e:f> .\n<a:b> <c:d>\n", None, "line 2: not an N-Triples statement"),
        (b"<a:b> <c:d> <e:f> .\n<a:b> <c:d> <\xff> .\n", None, "line"),
    ],
)
def test_a_wrong_file_is_one_line_for_a_person_and_leaves_nothing(
    tmp_path: Path, content: bytes, columns: str | None, message: str
) -> None:
    path = tmp_path / "facts"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        ingest_triples([path], tmp_path / "graph", columns=columns)
    assert "\n" not in str(caught.value)
    assert [found.name for found in tmp_path.iterdir()] == ["facts"]


@pytest.mark.parametrize("content", ["", "{not json", '{"a": 1}', "a\n", "a\t\n"])
def test_a_wrong_label_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "facts").write_text("a\tb\tc\n")
    (tmp_path / "labels").write_text(content)
    with pytest.raises(InputError, match="labels"):
        triples.read([tmp_path / "facts"], labels=tmp_path / "labels")


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    for path, message in ((tmp_path / "no", "does not exist"), (tmp_path, "is a folder")):
        with pytest.raises(InputError, match=message):
            triples.read([path])


def test_the_graph_folder_holds_what_was_read(codex: Path, tmp_path: Path) -> None:
    graph = ingest_triples([codex / "valid.txt"], tmp_path / "graph", labels=codex / "relations.json", holdout=0.1)
    again = Graph.read(tmp_path / "graph")
    assert facts_of(again) == facts_of(graph)
    assert again.part.tolist() == graph.part.tolist()
    assert again.holdout == {"unit": "pair", "share": 0.1, "named_questions": []}
    manifest = json.loads((tmp_path / "graph" / "manifest.json").read_text())
    assert [i["name"] for i in manifest["inputs"]] == ["valid.txt", "relations.json"]


def test_the_built_in_graph_is_every_line_of_its_table(tmp_path: Path) -> None:
    lines = gzip.decompress(worldfacts.path().read_bytes()).decode().splitlines()[1:]
    graph = ingest_worldfacts(tmp_path / "graph")
    assert facts_of(graph) == [tuple(line.split("\t")) for line in lines]
    assert graph.sources == ("worldfacts",)
    assert 0.05 < (graph.part > 0).mean() < 0.15
