"""Every row of the tables is read as its example says, and slips of grammar that real questions have."""

import re

import pytest

from grokhop.graph.queries import LESS, LIVED_LONGER, MORE, SAME
from grokhop.language import lexicon as nouns
from grokhop.language import templates as sentences
from grokhop.language.grammar import Grammar, Reading

GRAMMAR = Grammar()
PAIR = {"Mira Vale", "Tomo Reed"}
WORDS = {**nouns.NOUNS, **nouns.VERBS}


def readings(question: str, *names: str) -> list[Reading]:
    """The readings about exactly these names."""
    return [r for r in GRAMMAR.read(question) if tuple(phrase.name for phrase in r.names) == names]


def first_paths(question: str, *names: str) -> list[tuple[str, ...]]:
    found = readings(question, *names)
    return [way.relations for way in found[0].paths] if found else []


@pytest.mark.parametrize("sentence", sentences.CHAINS, ids=lambda s: s.example)
def test_a_chain_sentence_adds_its_paths(sentence: sentences.Sentence) -> None:
    ends = {"{verb}": nouns.VERBS["directed"]}.get("{verb}" if "{verb}" in sentence.pattern else "", sentence.ends)
    expected = ends[0] or ("director",)
    assert first_paths(sentence.example, "Mira Vale")[0] == expected


@pytest.mark.parametrize("order", sentences.ORDERS, ids=lambda o: o.example)
def test_an_order_compares_what_its_row_says(order: sentences.Order) -> None:
    (reading, *_) = readings(order.example, "Mira Vale", "Tomo Reed")
    assert (reading.operator, reading.wants) == (order.operator, "entity")
    # What is larger or smaller is said by a noun of the example, not by the row.
    expected = order.ends if order.ends != ((),) else (("population",),)
    assert tuple(way.relations for way in reading.paths) == expected


@pytest.mark.parametrize("same", sentences.SAMES, ids=lambda s: s.example)
def test_a_sameness_compares_what_its_row_says(same: sentences.Same) -> None:
    (reading, *_) = readings(same.example, "Mira Vale", "Tomo Reed")
    assert (reading.operator, reading.wants) == (SAME, "yes/no")
    assert tuple(way.relations for way in reading.paths) == same.ends


@pytest.mark.parametrize("sentence", [*sentences.ORDER_SENTENCES, *sentences.SAME_SENTENCES], ids=lambda s: s.example)
def test_a_sentence_about_two_names_is_read(sentence: sentences.Sentence) -> None:
    (reading, *_) = readings(sentence.example, "Mira Vale", "Tomo Reed")
    assert reading.operator in {SAME, LESS, MORE}
    assert ("director" in reading.paths[0].relations) == ("{noun}" in sentence.pattern)


@pytest.mark.parametrize("word", [word for row in nouns.NOUNS for word in row.split("|")])
def test_every_noun_is_read_before_and_behind_a_name(word: str) -> None:
    paths = next(paths for row, paths in nouns.NOUNS.items() if word in row.split("|"))
    for question in (f"Who is the {word} of Mira Vale?", f"Who is Mira Vale's {word}?", f"WHO IS JAMES' {word}"):
        name = "JAMES" if "JAMES" in question else "Mira Vale"
        assert set(first_paths(question, name)) == set(paths), question


@pytest.mark.parametrize("word", [word for row in nouns.VERBS for word in row.split("|")])
def test_every_verb_is_read_alone_and_in_a_clause(word: str) -> None:
    paths = next(paths for row, paths in nouns.VERBS.items() if word in row.split("|"))
    assert first_paths(f"Who {word} Mira Vale?", "Mira Vale") == list(paths)
    question = f"When was the company that {word} Mira Vale founded?"
    assert first_paths(question, "Mira Vale")[0] == (*paths[0], "inception")


@pytest.mark.parametrize(
    ("question", "name", "path"),
    [
        ("When is the director of film Mira (2008 Film) 's birthday?", "Mira (2008 Film)",
         ("director", "date of birth")),
        ("Where was the place of burial of Mira Vale's father?", "Mira Vale", ("father", "place of burial")),
        ("Which country the director of film Mira is from?", "Mira", ("director", "country of citizenship")),
        ("Where did Count Mira, 1St Baron Vale's father graduate from?", "Count Mira, 1St Baron Vale",
         ("father", "educated at")),
        ("Why did the director of film Reed'S Aunt die?", "Reed'S Aunt", ("director", "cause of death")),
        ("What is the date of birth of Mira’s husband?", "Mira", ("spouse", "date of birth")),
        ("Who is the father of the spouse of the director of Mira?", "Mira", ("director", "spouse", "father")),
        ("Where was the director of film Song Of Reed born?", "Song Of Reed", ("director", "place of birth")),
        ("Where was the director of film \"Mira\" born?", "Mira", ("director", "place of birth")),
        ("where was the father of mira vale born", "mira vale", ("father", "place of birth")),
    ],
)  # fmt: skip
def test_nouns_around_names_become_hops(question: str, name: str, path: tuple[str, ...]) -> None:
    assert first_paths(question, name)[0] == path


@pytest.mark.parametrize(
    ("question", "names", "operator", "path"),
    [
        ("Which film has the director died earlier, Mira or Reed?", ("Mira", "Reed"), LESS, "director/date of death"),
        ("Which film has the director who is older than the other, Mira or Reed? ", ("Mira", "Reed"), LESS,
         "director/date of birth"),
        ("Which film whose director is younger, Mira or Reed?", ("Mira", "Reed"), MORE, "director/date of birth"),
        ("Are both director of film Mira and director of film Reed from the same country?", ("Mira", "Reed"), SAME,
         "director/country of citizenship"),
        ("Are the directors of films Mira and Reed both from the same country?", ("Mira", "Reed"), SAME,
         "director/country of citizenship"),
        ("Do both Mira (Film) and Reed films have the directors from the same country?", ("Mira (Film)", "Reed"), SAME,
         "director/country of citizenship"),
        ("Do both films: Mira and Reed have the directors from the same country?", ("Mira", "Reed"), SAME,
         "director/country of citizenship"),
        ("Who was born first out of Mira and Reed?", ("Mira", "Reed"), LESS, "date of birth"),
        ("Are both stations, Mira Halt and Reed Museum, located in the same country?", ("Mira Halt", "Reed Museum"),
         SAME, "country"),
        ("Which film was released first, Mira Or Not or Reed?", ("Mira Or Not", "Reed"), LESS, "publication date"),
        ("Are Mira And Reed and Tomo from the same country?", ("Mira And Reed", "Tomo"), SAME,
         "country of citizenship"),
        ("Which film came out first, Mira, Reed And Tomo or Vale?", ("Mira, Reed And Tomo", "Vale"), LESS,
         "publication date"),
    ],
)  # fmt: skip
def test_comparisons_as_they_are_really_written(
    question: str, names: tuple[str, str], operator: str, path: str
) -> None:
    (reading, *_) = readings(question, *names)
    assert (reading.operator, "/".join(reading.paths[0].relations)) == (operator, path)


def test_lives_are_compared_by_both_dates() -> None:
    (reading, *_) = readings("Who lived longer, Mira or Reed?", "Mira", "Reed")
    assert reading.operator == LIVED_LONGER
    assert [way.relations for way in reading.paths] == [("date of birth",), ("date of death",)]


def test_a_date_leads_nowhere_and_a_father_has_no_director() -> None:
    for question in ("When is the director of film Mira's birthday?", "Who is the director of the birthday of Mira?"):
        for reading in GRAMMAR.read(question):
            assert all("date of birth" not in way.relations[:-1] for way in reading.paths)
    for reading in GRAMMAR.read("Who is the director of Mira's father?"):
        assert all("director" not in way.relations[1:] for way in reading.paths)


def test_the_relations_of_a_graph_are_nouns_too() -> None:
    (reading, *_) = Grammar(["head of state", "capital"]).read("Who is the head of state of Reedland?")
    assert (reading.names[0].name, reading.paths[0].relations) == ("Reedland", ("head of state",))


@pytest.mark.parametrize("question", ["hello", "Who?", "Mira", "Who is Mira Vale?", "What time is it now"])
def test_what_asks_for_no_relation_has_no_reading(question: str) -> None:
    assert GRAMMAR.read(question) == []


def test_many_nouns_do_not_make_many_readings() -> None:
    assert len(GRAMMAR.read("Who is " + "the father of " * 30 + "Mira?")) < 20


def test_no_row_of_the_word_tables_is_said_twice() -> None:
    for table in (nouns.NOUNS, nouns.VERBS):
        words = [word for row in table for word in row.split("|")]
        assert len(words) == len(set(words))
    assert all(re.fullmatch(r"[a-z -]+", word) for row in WORDS for word in row.split("|"))
