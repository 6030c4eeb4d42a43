"""2WikiMultiHopQA: chains are chains, one thing is one entity, and the questions keep their facts."""

import gzip
import json
from collections import defaultdict
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from grokhop.core.errors import InputError
from grokhop.datasets import two_wiki
from grokhop.datasets.ingest import ingest_two_wiki
from grokhop.graph.graph import Entity, Graph, Question, Split
from grokhop.graph.splits import question_pairs
from grokhop.language.names import normal

Fact = tuple[str, str, str]


def record(kind: str, evidences: list[list[str]], ids: list[list[str]] | None = None, **more: Any) -> dict[str, Any]:
    value = {
        "_id": f"{kind} {evidences}",
        "type": kind,
        "question": "Which?",
        "answer": "that",
        "evidences": evidences,
    }
    return {**value, "evidences_id": ids or [], **more}


def written(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text(json.dumps(records))
    return path


def graph_of(tmp_path: Path, *records: dict[str, Any]) -> Graph:
    return two_wiki.read([written(tmp_path / "records.json", *records)])


def facts_of(graph: Graph) -> list[Fact]:
    keys = [entity.key for entity in graph.entities]
    rows = zip(graph.head.tolist(), graph.relation.tolist(), graph.tail.tolist(), strict=True)
    return [(keys[h], graph.relations[r], keys[t]) for h, r, t in rows]


def question_facts(graph: Graph, question: Question) -> list[Fact]:
    return [(graph.entities[h].key, graph.relations[r], graph.entities[t].key) for h, r, t in question.facts]


def entity(graph: Graph, key: str) -> Entity:
    return next(e for e in graph.entities if e.key == key)


def branches(question: Question) -> list[list[tuple[int, int, int]]]:
    """The facts of a bridge comparison, cut where a new branch begins."""
    cut: list[list[tuple[int, int, int]]] = []
    for fact in question.facts:
        if not cut or fact[0] != cut[-1][0][2]:
            cut.append([])
        cut[-1].append(fact)
    return cut


# The real sample


@pytest.fixture
def sample(two_wiki_sample: Path) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(two_wiki_sample.read_text())
    return records


def test_compositional_and_inference_questions_of_the_sample_are_chains(two_wiki_sample: Path) -> None:
    questions = [q for q in two_wiki.read([two_wiki_sample]).questions if q.type in ("compositional", "inference")]
    assert len(questions) == 203
    assert all(q.path is not None for q in questions)


def test_both_branches_of_every_bridge_comparison_of_the_sample_are_chains(two_wiki_sample: Path) -> None:
    questions = [q for q in two_wiki.read([two_wiki_sample]).questions if q.type == "bridge_comparison"]
    assert len(questions) == 92
    assert all([len(branch) >= 2 for branch in branches(q)] == [True, True] for q in questions)


def test_every_fact_that_the_sample_gives_by_ids_is_in_the_graph(
    two_wiki_sample: Path, sample: list[dict[str, Any]]
) -> None:
    graph = two_wiki.read([two_wiki_sample])
    given = {tuple(fact) for r in sample for fact in r["evidences_id"] if fact[2] != "date_information"}
    by_ids = {fact for fact in facts_of(graph) if fact[0].startswith("Q") and fact[2].startswith("Q")}
    assert len(given) > 400
    assert given <= by_ids
    directors = {fact for fact in by_ids - given if fact[1] == "director"}
    assert by_ids - given == directors  # of the questions without ids, joined through `entity_ids`
    ids = {id_ for r in sample for id_ in r["entity_ids"].split("_")}
    assert {end for fact in directors for end in (fact[0], fact[2])} <= ids


def test_all_records_of_the_sample_are_questions_with_their_facts(
    two_wiki_sample: Path, sample: list[dict[str, Any]]
) -> None:
    questions = {q.id: q for q in two_wiki.read([two_wiki_sample]).questions}
    assert list(questions) == [r["_id"] for r in sample]
    assert all(len(questions[r["_id"]].facts) == len(r["evidences"]) for r in sample)
    assert all(questions[r["_id"]].text == r["question"] for r in sample)


def test_what_a_question_of_the_sample_asks_about_can_be_found_in_its_words(two_wiki_sample: Path) -> None:
    graph = two_wiki.read([two_wiki_sample])
    for question in graph.questions:
        text = f" {normal(question.text)} "
        tails = {tail for _, _, tail in question.facts}
        for head in {head for head, _, _ in question.facts} - tails:
            names = (graph.entities[head].label, *graph.entities[head].aliases)
            assert any(f" {normal(name)} " in text for name in names), (question.text, names)


def test_the_answer_of_every_question_of_the_sample_is_a_name_of_one_of_its_entities(
    two_wiki_sample: Path,
) -> None:
    graph = two_wiki.read([two_wiki_sample])
    for question in graph.questions:
        ends = {graph.entities[i] for head, _, tail in question.facts for i in (head, tail)}
        names = {normal(name) for e in ends for name in (e.label, *e.aliases)}
        assert question.answer in ("yes", "no") or normal(question.answer) in names


@pytest.mark.parametrize(
    "without",
    [
        ("evidences_id", "answer_id"),
        ("evidences_id", "answer_id", "entity_ids"),
        ("evidences_id", "answer_id", "entity_ids", "supporting_facts"),
    ],
    ids=["no evidences_id", "no ids at all", "no ids and no titles"],
)
@pytest.mark.parametrize("every", [1, 2, 3])
def test_without_ids_the_sample_gives_the_same_entities_and_never_joins_two(
    two_wiki_sample: Path, sample: list[dict[str, Any]], tmp_path: Path, without: tuple[str, ...], every: int
) -> None:
    """The ids are the independent reference: they are removed from all, a half or a third of the records."""
    whole = two_wiki.read([two_wiki_sample])
    fewer = deepcopy(sample)
    for value in fewer[::every]:
        for key in without:
            del value[key]
    stripped = graph_of(tmp_path, *fewer)
    found, meant = defaultdict(set), defaultdict(set)
    for one, other in zip(whole.questions, stripped.questions, strict=True):
        pairs = zip(question_facts(whole, one), question_facts(stripped, other), strict=True)
        for true, made in pairs:
            for end in (0, 2):
                found[true[end]].add(made[end])
                meant[made[end]].add(true[end])
    assert all(len(keys) == 1 for keys in meant.values()), "two things joined"
    # Helsinki and Helsingfors, and a name that Wikipedia has to tell apart from others.
    assert sum(len(keys) > 1 for keys in found.values()) <= 2, "one thing kept apart"


# Identity, on small records


def test_a_person_under_two_spellings_is_joined_by_the_form_of_the_question(tmp_path: Path) -> None:
    graph = graph_of(
        tmp_path,
        record(
            "bridge_comparison",
            [
                ["Gold for the Caesars", "director", "André de Toth"],
                ["Heinz in the Moon", "director", "Robert A. Stemmle"],
                ["Andre DeToth", "date of death", "October 27, 2002"],
                ["Robert A. Stemmle", "date of death", "24 February 1974"],
            ],
        ),
    )
    assert [len(branch) for branch in branches(graph.questions[0])] == [2, 2]
    assert len(graph.entities) == 6
    assert any({"André de Toth", "Andre DeToth"} == {e.label, *e.aliases} for e in graph.entities)


def test_branches_are_joined_by_name_where_the_order_is_another(tmp_path: Path) -> None:
    graph = graph_of(
        tmp_path,
        record(
            "bridge_comparison",
            [
                ["Film A", "director", "Henry King"],
                ["Film B", "director", "John Gavin"],
                ["John Gavin (director)", "date of death", "6 January 1938"],
                ["Henry King (director)", "date of death", "June 29, 1982"],
            ],
        ),
    )
    first, second = branches(graph.questions[0])
    assert graph.entities[first[1][2]].label == "29 June 1982"
    assert graph.entities[second[1][2]].label == "6 January 1938"


def test_ids_that_the_file_lists_in_turns_go_to_the_right_names(tmp_path: Path) -> None:
    evidences = [
        ["Touch of Pink", "country of origin", "Canadian"],
        ["Touch of Pink", "country of origin", "British"],
        ["The Head", "country of origin", "British"],
    ]
    ids = [
        ["Q1", "country of origin", "Q16"],
        ["Q2", "country of origin", "Q145"],
        ["Q1", "country of origin", "Q145"],
    ]
    graph = graph_of(tmp_path, record("comparison", evidences, ids))
    assert [entity(graph, key).label for key in ("Q1", "Q2")] == ["Touch of Pink", "The Head"]
    assert len(graph) == 3


def test_the_objects_of_one_thing_get_their_own_ids_in_any_order(tmp_path: Path) -> None:
    evidences = [["A", "country of citizenship", "American"], ["A", "country of citizenship", "Hungarian"]]
    ids = [["Q1", "country of citizenship", "Q28"], ["Q1", "country of citizenship", "Q30"]]
    graph = graph_of(tmp_path, record("comparison", evidences, ids))
    assert {e.key: e.aliases for e in graph.entities if e.key != "Q1"} == {
        "Q30": ("American",),
        "Q28": ("Hungarian",),
    }


def test_an_adjective_joins_its_country_with_and_without_ids(tmp_path: Path) -> None:
    graph = graph_of(
        tmp_path,
        record(
            "comparison",
            [["A", "country of citizenship", "American"], ["B", "country of citizenship", "US"]],
            [["Q1", "country of citizenship", "Q30"], ["Q2", "country of citizenship", "Q30"]],
        ),
        record("comparison", [["C", "country", "America"], ["D", "country of origin", "Portuguese"]]),
        record("comparison", [["E", "country", "English"], ["F", "country of origin", "British"]]),
    )
    assert entity(graph, "Q30").label == "United States"
    assert {"American", "US", "America"} <= set(entity(graph, "Q30").aliases)
    assert {entity(graph, key).label for key in ("Q45", "Q21", "Q145")} == {
        "Portugal",
        "England",
        "United Kingdom",
    }


def test_a_film_is_not_joined_with_a_person_of_its_name(tmp_path: Path) -> None:
    graph = graph_of(
        tmp_path,
        record("comparison", [["Manolete", "director", "Someone"], ["X", "director", "Other"]]),
        record("comparison", [["Manolete", "date of birth", "1917"], ["Y", "date of birth", "1918"]]),
    )
    assert sum(e.label.startswith("Manolete") for e in graph.entities) == 2


def test_a_grandfather_of_the_same_name_is_another_person(tmp_path: Path) -> None:
    chain = [
        ["Anton Klaveness", "father", "Dagfin Klaveness"],
        ["Dagfin Klaveness", "father", "Anton Klaveness"],
    ]
    graph = graph_of(tmp_path, record("inference", chain))
    assert len(graph.entities) == 3
    assert graph.questions[0].path is not None


def test_a_name_with_one_id_is_joined_and_a_name_with_two_is_not(tmp_path: Path) -> None:
    def born(name: str, where: str, *ids: str) -> dict[str, Any]:
        given = [["Q" + ids[0], "place of birth", "Q" + ids[1]]] if ids else None
        return record("comparison", [[name, "place of birth", where]], given)

    graph = graph_of(
        tmp_path,
        born("A", "Cork", "1", "2"),
        born("B", "Cork"),
        born("C", "Paris", "3", "4"),
        born("D", "Paris", "5", "6"),
    )
    assert [fact[2] for fact in facts_of(graph)] == ["Q2", "Q2", "Q4", "Q6"]
    graph = graph_of(tmp_path, born("C", "Paris", "3", "4"), born("D", "Paris", "5", "6"), born("E", "Paris"))
    assert facts_of(graph)[-1][2] == "place:paris"


@pytest.mark.parametrize(
    ("spelling", "key", "label"),
    [
        ("March 8, 1975", "date:1975-03-08", "8 March 1975"),
        ("8 March 1975", "date:1975-03-08", "8 March 1975"),
        ("8th of March, 1975", "date:1975-03-08", "8 March 1975"),
        ("1975-03-08", "date:1975-03-08", "8 March 1975"),
        ("+1975-03-08T00:00:00Z", "date:1975-03-08", "8 March 1975"),
        ("Sept. 1951", "date:1951-09", "September 1951"),
        ("1953", "date:1953", "1953"),
        ("953", "date:0953", "953"),
        ("11 February 731", "date:0731-02-11", "11 February 731"),
        ("15 March 44 BC", "date:-0044-03-15", "15 March 44 BC"),
        ("63 BCE", "date:-0063", "63 BC"),
        ("AD 14", "date:0014", "14"),
        ("1990\N{EN DASH}1995", "date:1990/1995", "1990\N{EN DASH}1995"),
        ("c. 1200", "date:c. 1200", "c. 1200"),
        ("31 Octember 1900", "date:31 octember 1900", "31 Octember 1900"),
    ],
)
def test_a_date_is_one_entity_however_it_is_written(tmp_path: Path, spelling: str, key: str, label: str) -> None:
    graph = graph_of(tmp_path, record("comparison", [["A", "date of birth", spelling]]))
    assert entity(graph, key).label == label
    assert spelling in (label, *entity(graph, key).aliases)


def test_titles_of_supporting_facts_are_names_of_what_they_support(tmp_path: Path) -> None:
    evidences = [
        ["Mistress of the Devil", "director", "Juan Buñuel"],
        ["Juan Luis Buñuel", "date of birth", "1934"],
    ]
    titles = [["Léonor (1975 film)", 0], ["Juan Luis Buñuel", 0]]
    graph = graph_of(tmp_path, record("compositional", evidences, supporting_facts=titles))
    assert "Léonor (1975 film)" in graph.entities[0].aliases
    assert len(graph.entities) == 3


# The file


def test_an_array_json_lines_and_gzip_give_one_graph_whatever_the_name(tmp_path: Path) -> None:
    records = [record("comparison", [["A", "inception", "1953"], ["B", "inception", "1954"]])]
    array, lines = json.dumps(records), "\n".join(json.dumps(r) for r in records) + "\n\n"
    for name, content in {
        "a.txt": array.encode(),
        "l.json": lines.encode(),
        "g.json": gzip.compress(lines.encode()),
    }.items():
        (tmp_path / name).write_bytes(content)
        assert len(two_wiki.read([tmp_path / name])) == 2
        assert two_wiki.question_ids(tmp_path / name) == [records[0]["_id"]]


def test_a_record_in_two_files_is_one_question(tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", record("comparison", [["A", "inception", "1953"]]))
    assert len(two_wiki.read([path, path]).questions) == 1


GOOD = record("comparison", [["A", "inception", "1953"]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"[1", "not JSON"),
        (b'{"_id": "1"}\nnonsense', "line 2"),
        (b"[1]", "record 1.*JSON object"),
        (b"[]", "no records"),
        (b"\x00\xff\xfe\x01", "not UTF-8"),
        (b"\x1f\x8bnot gzip", "damaged gzip"),
        (gzip.compress(json.dumps([GOOD]).encode())[:-9], "damaged gzip"),
        (
            json.dumps([{k: v for k, v in GOOD.items() if k != "evidences"}]).encode(),
            "record 1 .*'evidences' is missing",
        ),
        (
            json.dumps([GOOD, {k: v for k, v in GOOD.items() if k != "_id"}]).encode(),
            "record 2: '_id' is missing",
        ),
        (json.dumps([{**GOOD, "evidences": "x"}]).encode(), "'evidences' is not a list"),
        (
            json.dumps([{**GOOD, "evidences": [["A", "r"]]}]).encode(),
            "number 1 of 'evidences' is not three texts",
        ),
        (json.dumps([{**GOOD, "evidences": [["A", "r", " "]]}]).encode(), "number 1 of 'evidences'"),
        (json.dumps([{**GOOD, "evidences": []}]).encode(), "no facts"),
        (json.dumps([GOOD, {**GOOD, "question": "Other?"}]).encode(), "record 2: another record has the id"),
    ],
)
def test_a_wrong_file_is_one_line_for_a_person_and_leaves_nothing(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "in.json").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        ingest_two_wiki([tmp_path / "in.json"], tmp_path / "graph")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in.json"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.json does not exist"):
        ingest_two_wiki([tmp_path / "nowhere.json"], tmp_path / "graph")


# The hold-out


def test_a_questions_file_holds_out_every_fact_that_its_questions_use(
    two_wiki_sample: Path, sample: list[dict[str, Any]], tmp_path: Path
) -> None:
    named = written(tmp_path / "ood.json", *sample[:40])
    graph = ingest_two_wiki([two_wiki_sample], tmp_path / "graph", holdout=0.1, ood_questions=named)
    ids = {r["_id"] for r in sample[:40]}
    used = {p for q in graph.questions if q.id in ids for p in question_pairs(graph, q)}
    assert set(graph.pair[graph.part == Split.TEST].tolist()) == used
    assert (graph.part == Split.VALIDATION).sum() > 10
    assert Graph.read(tmp_path / "graph").part.tolist() == graph.part.tolist()


def test_a_questions_file_of_other_questions_is_refused(two_wiki_sample: Path, tmp_path: Path) -> None:
    other = written(tmp_path / "ood.json", record("comparison", [["A", "inception", "1953"]]))
    with pytest.raises(InputError, match="not in the graph"):
        ingest_two_wiki([two_wiki_sample], tmp_path / "graph", ood_questions=other)


def test_leaving_out_a_record_changes_the_part_of_no_other_question(
    sample: list[dict[str, Any]], tmp_path: Path
) -> None:
    def chosen(name: str, records: list[dict[str, Any]]) -> dict[str, list[int]]:
        graph = ingest_two_wiki([written(tmp_path / f"{name}.json", *records)], tmp_path / name, holdout=0.2)
        part = dict(zip(graph.pair.tolist(), graph.part.tolist(), strict=True))
        return {q.id: [part[p] for p in question_pairs(graph, q)] for q in graph.questions}

    whole, fewer = chosen("whole", sample), chosen("fewer", sample[1:])
    moved = [id_ for id_ in fewer if fewer[id_] != whole[id_]]
    assert len(moved) <= 1  # one that shares a fact with the question left out, if that was held out


def test_the_manifest_records_the_hash_of_every_input_and_the_settings(tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", GOOD)
    ingest_two_wiki([path], tmp_path / "graph", holdout=0)
    manifest = json.loads((tmp_path / "graph" / "manifest.json").read_text())
    assert [i["name"] for i in manifest["inputs"]] == ["a.json"]
    assert len(manifest["inputs"][0]["sha256"]) == 64
    assert manifest["settings"]["holdout"] == 0


def test_an_existing_output_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "graph").mkdir()
    with pytest.raises(InputError, match="exists"):
        ingest_two_wiki([tmp_path / "nowhere.json"], tmp_path / "graph")
