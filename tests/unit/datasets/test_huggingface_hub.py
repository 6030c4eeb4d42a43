"""The mirrors on the Hugging Face hub, against a stand-in on this machine: cache, checksums, and every way to fail."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from grokhop.core.artifacts import read_manifest
from grokhop.core.errors import InputError
from grokhop.datasets import huggingface as hub
from grokhop.datasets import two_wiki
from grokhop.datasets.huggingface import MIRRORS
from grokhop.datasets.ingest import ingest_hub, ingest_two_wiki
from grokhop.graph.graph import Graph, Split

RECORDS = [
    {
        "_id": f"q{i}",
        "type": "compositional",
        "question": f"Where was the director of film {i} born?",
        "answer": f"Town {i}",
        "evidences": [[f"Film {i}", "director", f"Ann {i}"], [f"Ann {i}", "place of birth", f"Town {i}"]],
        "evidences_id": [[f"Q900{i}1", "director", f"Q900{i}2"], [f"Q900{i}2", "place of birth", f"Q900{i}3"]],
        "supporting_facts": [[f"Film {i}", 0], [f"Ann {i}", 1]],
        "context": [["Another", ["A sentence."]]],
    }
    for i in range(10)
]
JSON = json.dumps(RECORDS).encode()
DEFAULT = MIRRORS["2wikimultihopqa"]
XANHHO = MIRRORS["xanhho/2WikiMultihopQA"]
COMMIT = "c" * 40


class Hub:
    """The part of the hub that a download needs: HEAD and GET of one file, with its commit and its etag."""

    def __init__(self, server: HTTPServer) -> None:
        self.server = server
        self.url = server.url_for("").rstrip("/")

    def serve(
        self,
        body: bytes = JSON,
        *,
        mirror: hub.Mirror = DEFAULT,
        revision: str | None = None,
        etag: str | None = None,
        file: str | None = None,
        **headers: str,
    ) -> None:
        revision, file = revision or mirror.revision, file or mirror.files["dev"][0]
        etag = etag or hashlib.sha256(body).hexdigest()
        answer = {
            "X-Repo-Commit": revision if len(revision) == 40 else COMMIT,
            "ETag": f'"{etag}"',
            "Content-Length": str(len(body)),
            **headers,
        }
        self.reply(mirror, revision, file, Response(body, headers=answer))

    def reply(self, mirror: hub.Mirror, revision: str, file: str, response: Response) -> None:
        self.server.expect_request(f"/datasets/{mirror.repo}/resolve/{revision}/{file}").respond_with_response(response)

    def refuse(self, status: int, **headers: str) -> None:
        """Answer everything with an error."""
        name = {key.replace("_", "-"): value for key, value in headers.items()}
        self.server.expect_request("").respond_with_response(Response(status=status, headers=name))
        for mirror in MIRRORS.values():
            self.reply(mirror, mirror.revision, mirror.files["dev"][0], Response(status=status, headers=name))

    def asked(self) -> list[str]:
        methods = [request.method for request, _ in self.server.log if "/resolve/" in request.path]
        self.server.clear_log()
        return methods


@pytest.fixture
def stand_in(httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    there = Hub(httpserver)
    point_at(there.url, tmp_path / "cache", monkeypatch)
    return there


def point_at(url: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What HF_ENDPOINT and HF_HOME do; they are read when huggingface_hub is imported."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def one_line(call: Callable[[], Any]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def fetch_dev() -> hub.Fetched:
    return hub.fetch("2wikimultihopqa")


def test_a_file_is_fetched_once_and_checked_against_the_sum_of_the_hub(stand_in: Hub) -> None:
    stand_in.serve()
    fetched = fetch_dev()
    assert fetched.paths[0].read_bytes() == JSON
    assert (fetched.repo, fetched.commit, fetched.checked) == (DEFAULT.repo, DEFAULT.revision, {"data/dev.json": "hub"})
    assert stand_in.asked().count("GET") == 1
    assert fetch_dev() == fetched
    assert stand_in.asked() == []


def test_a_cached_file_needs_no_hub(stand_in: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in.serve()
    fetched = fetch_dev()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:1")
    assert fetch_dev() == fetched
    offline(monkeypatch)
    assert fetch_dev() == fetched


def test_a_branch_is_asked_for_again_but_fetched_once(stand_in: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in.serve(revision="main")
    fetched = hub.fetch("2wikimultihopqa", revision="main")
    assert fetched.commit == COMMIT and "GET" in stand_in.asked()
    assert hub.fetch("2wikimultihopqa", revision="main") == fetched
    assert set(stand_in.asked()) == {"HEAD"}
    monkeypatch.setattr(
        huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", "http://127.0.0.1:1/{repo_id}{filename}"
    )
    assert hub.fetch("2wikimultihopqa", revision="main") == fetched
    offline(monkeypatch)
    assert hub.fetch("2wikimultihopqa", revision="main") == fetched


def test_a_large_file_that_lies_elsewhere_is_followed(stand_in: Hub, httpserver: HTTPServer) -> None:
    linked = {"X-Linked-ETag": f'"{hashlib.sha256(JSON).hexdigest()}"', "X-Linked-Size": str(len(JSON))}
    elsewhere = httpserver.url_for("/store/blob").replace("localhost", "127.0.0.1")
    there = {"X-Repo-Commit": DEFAULT.revision, "Location": elsewhere, **linked}
    stand_in.reply(DEFAULT, DEFAULT.revision, "data/dev.json", Response(status=302, headers=there))
    httpserver.expect_request("/store/blob").respond_with_data(JSON)
    assert fetch_dev().checked == {"data/dev.json": "hub"}


def test_a_small_file_is_checked_by_the_sum_of_git(stand_in: Hub) -> None:
    stand_in.serve(etag=hashlib.sha1(b"blob %d\0" % len(JSON) + JSON).hexdigest())
    assert fetch_dev().checked == {"data/dev.json": "hub"}


def test_a_sum_that_nobody_knows_is_said_to_be_unknown(stand_in: Hub) -> None:
    stand_in.serve(etag="weak-1")
    assert fetch_dev().checked == {"data/dev.json": "none"}


def test_a_damaged_file_is_refused_and_not_kept(stand_in: Hub) -> None:
    stand_in.serve(etag="0" * 64)
    assert "not what the hub's checksum says" in one_line(fetch_dev)
    stand_in.server.clear()
    stand_in.serve()
    assert fetch_dev().checked == {"data/dev.json": "hub"}


def test_a_cached_file_that_was_changed_is_refused(stand_in: Hub) -> None:
    stand_in.serve()
    fetch_dev().paths[0].write_bytes(JSON.replace(b"Town 1", b"Town 2"))
    assert "not what the hub's checksum says" in one_line(fetch_dev)
    assert fetch_dev().paths[0].read_bytes() == JSON


def test_a_file_is_checked_against_the_pinned_sum(stand_in: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in.serve(mirror=XANHHO)
    assert "is not the pinned c0d8b60b9026" in one_line(lambda: hub.fetch("xanhho/2wikimultihopqa"))
    monkeypatch.setitem(XANHHO.sums, "dev.parquet", hashlib.sha256(JSON).hexdigest())
    assert hub.fetch("xanhho/2wikimultihopqa").checked == {"dev.parquet": "pinned"}


def test_a_pinned_sum_does_not_hold_for_another_revision(stand_in: Hub) -> None:
    stand_in.serve(mirror=XANHHO, revision="main")
    assert hub.fetch("xanhho/2WikiMultihopQA", revision="main").checked == {"dev.parquet": "hub"}


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (404, "RepoNotFound", "no such data set"),
        (401, "RepoNotFound", "no such data set"),
        (404, "RevisionNotFound", "no such revision"),
        (404, "EntryNotFound", "no such file"),
        (404, "", "status 404"),
        (403, "", "status 403"),
        (500, "", "status 500"),
        (503, "", "status 503"),
    ],
)
def test_an_error_of_the_hub_is_one_line(stand_in: Hub, status: int, code: str, says: str) -> None:
    stand_in.refuse(status, **({"X_Error_Code": code} if code else {}))
    message = one_line(fetch_dev)
    assert says in message and DEFAULT.repo in message and "grokhop ingest 2wiki FILES" in message


def test_no_network_is_one_line_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point_at("http://127.0.0.1:1", tmp_path / "cache", monkeypatch)
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    message = one_line(fetch_dev)
    assert "not fetched from http://127.0.0.1:1" in message and "check the network" in message
    assert waits == []


def test_offline_without_a_cache_is_one_line(stand_in: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    offline(monkeypatch)
    assert "HF_HUB_OFFLINE is set" in one_line(fetch_dev)
    assert stand_in.asked() == []


@pytest.mark.parametrize("declared", [100, len(JSON)])
def test_a_file_that_breaks_off_is_one_line_and_not_kept(stand_in: Hub, declared: int) -> None:
    """The answer is shorter than the hub said it would be, or shorter than it says itself."""

    def cut(request: Request) -> Response:
        headers = {"X-Repo-Commit": DEFAULT.revision, "ETag": f'"{hashlib.sha256(JSON).hexdigest()}"'}
        response = Response(JSON[:100], headers=headers)
        response.headers["Content-Length"] = str(len(JSON) if request.method == "HEAD" else declared)
        return response

    path = f"/datasets/{DEFAULT.repo}/resolve/{DEFAULT.revision}/data/dev.json"
    stand_in.server.expect_request(path).respond_with_handler(cut)
    assert "not fetched from" in one_line(fetch_dev)
    stand_in.server.clear()
    stand_in.serve()
    assert fetch_dev().paths[0].read_bytes() == JSON


def test_wrong_names_are_one_line_before_anything_is_asked(stand_in: Hub, tmp_path: Path) -> None:
    assert "choose 2wikimultihopqa, xanhho/" in one_line(lambda: hub.fetch("hotpotqa"))
    assert "choose train or dev" in one_line(lambda: hub.fetch("2wikimultihopqa", split="test"))
    missing = tmp_path / "missing.json"
    calls = (
        lambda: ingest_hub("2wikimultihopqa", tmp_path / "graph", ood_questions=missing),
        lambda: ingest_hub("2wikimultihopqa", tmp_path / "graph", holdout=2),
        lambda: ingest_hub("2wikimultihopqa", tmp_path),
    )
    for call in calls:
        one_line(call)
    assert stand_in.asked() == []


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "pip install 'grokhop[hub]'" in one_line(fetch_dev)


def test_the_graph_is_that_of_the_file_and_says_where_it_is_from(stand_in: Hub, tmp_path: Path) -> None:
    stand_in.serve()
    held_out, local = tmp_path / "held_out.json", tmp_path / "dev.json"
    held_out.write_text(json.dumps(RECORDS[3:5]))
    local.write_bytes(JSON)
    graph = ingest_hub("2wikimultihopqa", tmp_path / "hub", ood_questions=held_out)
    assert graph.questions == ingest_two_wiki([local], tmp_path / "local", ood_questions=held_out).questions
    assert (graph.part == Split.TEST).sum() >= 4
    manifest = read_manifest(tmp_path / "hub", kind="graph")
    settings = manifest["settings"]
    assert (settings["repo"], settings["commit"]) == (DEFAULT.repo, DEFAULT.revision)
    assert settings["checked"] == {"data/dev.json": "hub"}
    assert {"name": "dev.json", "sha256": hashlib.sha256(JSON).hexdigest()} in manifest["inputs"]


@pytest.mark.parametrize(
    ("body", "says"),
    [(b"<html>blocked</html>", "not JSON"), (b"", "is empty"), (b"[]", "no records"), (b'[{"id": 1}]', "'_id'")],
)
def test_a_file_in_another_format_is_one_line_and_no_graph(
    stand_in: Hub, tmp_path: Path, body: bytes, says: str
) -> None:
    stand_in.serve(body)
    assert says in one_line(lambda: ingest_hub("2wikimultihopqa", tmp_path / "graph"))
    assert not (tmp_path / "graph").exists()


def as_text(record: dict[str, Any]) -> dict[str, Any]:
    """As xanhho keeps it."""
    return {key: json.dumps(value) if isinstance(value, list) else value for key, value in record.items()}


def as_columns(record: dict[str, Any]) -> dict[str, Any]:
    """As ohjoonhee keeps it: a struct of lists."""
    head, relation, tail = (list(column) for column in zip(*record["evidences"], strict=True))
    titles, sentences = (list(column) for column in zip(*record["supporting_facts"], strict=True))
    nested = {
        "evidences": {"fact": head, "relation": relation, "entity": tail},
        "supporting_facts": {"title": titles, "sent_id": sentences},
    }
    return {**{key: record[key] for key in ("_id", "type", "question", "answer")}, **nested}


def as_hotpot(record: dict[str, Any]) -> dict[str, Any]:
    """As framolfese keeps it: another name of the id, triples as lists."""
    columns = as_columns(record)
    return {**columns, "id": columns.pop("_id"), "evidences": record["evidences"]}


def as_structs(record: dict[str, Any]) -> dict[str, Any]:
    rows = [dict(zip(("fact", "relation", "entity"), row, strict=True)) for row in record["evidences"]]
    return {**as_columns(record), "evidences": rows, "evidences_id": record["evidences_id"]}


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def labelled_facts(graph: Graph) -> set[tuple[str, str, str]]:
    rows = zip(graph.head.tolist(), graph.relation.tolist(), graph.tail.tolist(), strict=True)
    return {(graph.entities[h].label, graph.relations[r], graph.entities[t].label) for h, r, t in rows}


@pytest.mark.parametrize("layout", [as_text, as_columns, as_hotpot, as_structs])
def test_parquet_in_any_layout_holds_the_facts_of_the_json(tmp_path: Path, layout: Callable[..., Any]) -> None:
    official = tmp_path / "dev.json"
    official.write_bytes(JSON)
    graph = two_wiki.read([parquet(tmp_path / "dev.parquet", [layout(record) for record in RECORDS])])
    expected = two_wiki.read([official])
    assert labelled_facts(graph) == labelled_facts(expected)
    assert [(q.id, q.type, q.text, q.answer) for q in graph.questions] == [
        (q.id, q.type, q.text, q.answer) for q in expected.questions
    ]
    assert two_wiki.question_ids(tmp_path / "dev.parquet") == two_wiki.question_ids(official)


def test_real_records_as_parquet_of_text_give_the_same_graph(tmp_path: Path, two_wiki_sample: Path) -> None:
    rows = [as_text(record) for record in json.loads(two_wiki_sample.read_text())]
    graph, expected = two_wiki.read([parquet(tmp_path / "dev.parquet", rows)]), two_wiki.read([two_wiki_sample])
    assert graph.entities == expected.entities and graph.questions == expected.questions
    assert labelled_facts(graph) == labelled_facts(expected)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"evidences": "[["}, "not JSON"),
        ({"evidences": "3"}, "not a list"),
        ({"evidences": [{"head": "a", "tail": "b"}]}, "has the fields head, tail"),
        ({"evidences": {"fact": ["a"], "relation": [], "entity": ["b"]}}, "differ in length"),
        ({"type": None}, "'type' is not text"),
    ],
)
def test_parquet_of_another_shape_is_one_line(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    path = parquet(tmp_path / "dev.parquet", [{**as_text(RECORDS[0]), **change}])
    assert says in one_line(lambda: two_wiki.read([path]))


def test_damaged_or_empty_parquet_is_one_line(tmp_path: Path) -> None:
    path = parquet(tmp_path / "dev.parquet", [as_text(RECORDS[0])])
    path.write_bytes(path.read_bytes()[:-20])
    assert "damaged Parquet" in one_line(lambda: two_wiki.read([path]))
    pq.write_table(pa.Table.from_pylist([as_text(RECORDS[0])]).slice(0, 0), path)
    assert "no records" in one_line(lambda: two_wiki.read([path]))


def test_the_command_obeys_the_variables_of_the_hub(httpserver: HTTPServer, tmp_path: Path) -> None:
    Hub(httpserver).serve()
    variables = {"HF_ENDPOINT": httpserver.url_for("").rstrip("/"), "HF_HOME": str(tmp_path / "home")}

    def run(out: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "grokhop",
            "ingest",
            "hub",
            "2wikimultihopqa",
            "-o",
            str(tmp_path / out),
            "--json",
        ]
        environment = {**os.environ, **variables, **more}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    first = run("first")
    assert first.returncode == 0 and json.loads(first.stdout)["questions"] == 10
    assert any((tmp_path / "home" / "hub").glob("datasets--*"))
    assert run("second", HF_HUB_OFFLINE="1").returncode == 0
    alone = run("third", HF_ENDPOINT="http://127.0.0.1:1", HF_HOME=str(tmp_path / "empty"))
    assert (alone.returncode, alone.stdout, len(alone.stderr.strip().splitlines())) == (2, "", 1)
