"""The composition data of Wang et al. keeps its own division into ID and OOD."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from grokhop.core.errors import InputError
from grokhop.datasets import grokked_transformer as osu
from grokhop.datasets.ingest import ingest_osu
from grokhop.graph.graph import Graph, Split

Fact = tuple[str, str, str]


def item(words: list[str], answer: str, kind: str = "") -> dict[str, str]:
    text = "".join(words)
    made = {"input_text": text, "target_text": f"{text}{answer}</a>"}
    return {**made, "type": kind} if kind else made


def write_data(folder: Path, *, listed: int | None = None, seed: int = 0) -> dict[str, set[Fact]]:
    """Data as composition.ipynb makes them, small; `listed` cuts the lists in test.json short."""
    rng = random.Random(seed)
    entities, relations = [f"<e_{i}>" for i in range(40)], [f"<r_{i}>" for i in range(10)]
    atomics = [(h, r, rng.choice(entities)) for h in entities for r in rng.sample(relations, 8)]
    ood = set(rng.sample(atomics, 32))
    out: dict[str, list[tuple[list[str], str]]] = {"train": [], "iid": [], "ood": []}
    for h, r1, b in atomics:
        for b2, r2, t in atomics:
            if b2 != b:
                continue
            hops = {(h, r1, b) in ood, (b, r2, t) in ood}
            if hops == {True}:
                out["ood"].append(([h, r1, r2], t))
            elif hops == {False}:
                out["train" if rng.random() > 0.02 else "iid"].append(([h, r1, r2], t))
    atomic = [item([h, r], t) for h, r, t in [*(a for a in atomics if a not in ood), *ood]]
    probes = [
        *(item([h, r], t, "id_atomic") for h, r, t in [a for a in atomics if a not in ood][:listed]),
        *(item([h, r], t, "ood_atomic") for h, r, t in sorted(ood)[:listed]),
        *(item(*query, "train_inferred") for query in out["train"][:50]),
        *(item(*query, "test_inferred_iid") for query in out["iid"]),
        *(item(*query, "test_inferred_ood") for query in out["ood"]),
    ]
    folder.mkdir()
    contents: dict[str, Any] = {
        "train": [*atomic, *(item(*q) for q in out["train"])],
        "valid": [item(*q) for q in out["ood"]],
        "test": probes,
    }
    for name, content in contents.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    queries = {(q[0][0], q[0][1] + q[0][2], q[1]) for q in [*out["iid"], *out["ood"]]}
    return {"all": set(atomics), "ood": ood, "queries": queries}


def facts_of(graph: Graph, mask: Any) -> set[Fact]:
    chosen = graph.where(mask)
    keys = [f"<{entity.key}>" for entity in graph.entities]
    rows = zip(chosen.head.tolist(), chosen.relation.tolist(), chosen.tail.tolist(), strict=True)
    return {(keys[h], f"<{graph.relations[r]}>", keys[t]) for h, r, t in rows}


@pytest.mark.parametrize("listed", [None, 20], ids=["all facts listed", "lists cut short"])
def test_the_division_of_the_files_is_kept(tmp_path: Path, listed: int | None) -> None:
    made = write_data(tmp_path / "data", listed=listed)
    graph = osu.read(tmp_path / "data")
    assert facts_of(graph, graph.part >= 0) == made["all"]
    assert facts_of(graph, graph.part != Split.TRAIN) == made["ood"]
    assert set(graph.part.tolist()) == {Split.TRAIN, Split.VALIDATION, Split.TEST}
    assert graph.holdout == {"unit": "file"}


def test_the_test_queries_are_questions_with_the_facts_that_answer_them(tmp_path: Path) -> None:
    made = write_data(tmp_path / "data")
    graph = osu.read(tmp_path / "data")
    texts = {"<" + question.text.replace(" / ", "><") + ">" for question in graph.questions}
    assert texts == {head + relations for head, relations, _ in made["queries"]}
    assert all(q.type == "compositional" and q.path is not None for q in graph.questions)
    columns = (graph.head, graph.relation, graph.tail)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    part = dict(zip(rows, graph.part.tolist(), strict=True))
    for question in graph.questions:
        held_out = {part[fact] != Split.TRAIN for fact in question.facts}
        assert held_out == {question.id.startswith("test_inferred_ood")}


def test_the_validation_file_may_be_missing(tmp_path: Path) -> None:
    write_data(tmp_path / "data")
    whole = osu.read(tmp_path / "data")
    (tmp_path / "data" / "valid.json").unlink()
    assert {q.id for q in osu.read(tmp_path / "data").questions} == {q.id for q in whole.questions}


def test_the_graph_folder_is_the_graph(tmp_path: Path) -> None:
    write_data(tmp_path / "data")
    graph = ingest_osu(tmp_path / "data", tmp_path / "graph")
    again = Graph.read(tmp_path / "graph")
    assert again.part.tolist() == graph.part.tolist()
    assert again.questions == graph.questions
    manifest = json.loads((tmp_path / "graph" / "manifest.json").read_text())
    assert [i["name"] for i in manifest["inputs"]] == ["train.json", "valid.json", "test.json"]


ATOMIC = '"input_text": "<a><b>", "target_text": "<a><b><c></a>"'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("test.json", None, r"test\.json does not exist"),
        ("train.json", "", "is empty"),
        ("train.json", "[{}]", "record 1: 'input_text' is missing"),
        ("train.json", '[{"input_text": "<a><b>"}]', "record 1: 'target_text' is missing"),
        ("train.json", '[{"input_text": "a b", "target_text": "c"}]', "not a row of <tokens>"),
        ("train.json", '[{"input_text": "<a><b>", "target_text": "<a><b></a>"}]', "its answer"),
        ("train.json", '[{"input_text": "<a>", "target_text": "<a><b></a>"}]', "with its answer"),
        ("test.json", f'[{{"type": "x", {ATOMIC}}}]', "unknown type 'x'"),
        ("train.json", f"[{{{ATOMIC}}}]", "no atomic facts lead to"),
    ],
)
def test_wrong_data_are_one_line_for_a_person_and_leave_nothing(
    tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    write_data(tmp_path / "data", listed=5)
    if content is None:
        (tmp_path / "data" / name).unlink()
    else:
        (tmp_path / "data" / name).write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        ingest_osu(tmp_path / "data", tmp_path / "graph")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        ingest_osu(tmp_path / "no", tmp_path / "graph")
