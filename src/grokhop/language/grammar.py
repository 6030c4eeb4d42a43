"""Reads a question by the tables of `grokhop.language.templates`: which names it holds, and which paths it may ask for.

A question has many readings: 'the director of film X's father' may be about a film called X or one called 'X's
father', and a pair of names with three times 'and' may be cut at each. All are returned, the likeliest first; which
of them is meant is decided by what the graph knows (`grokhop.language.parser`).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise, product

from grokhop.graph.queries import LIVED_LONGER, SAME, Wants
from grokhop.language import lexicon as nouns
from grokhop.language import templates as sentences
from grokhop.language.lexicon import Path
from grokhop.language.relation_types import KINDS
from grokhop.language.templates import Sentence

MOST_NOUNS = 4
"""Nouns around one name; more are not a question that anybody asks, and would have too many readings."""
MOST_PATHS = 64
_FLAGS = re.IGNORECASE


@dataclass(frozen=True)
class Phrase:
    """A name with what was said around it: 'film X' has a kind, 'X's father' has paths of one noun."""

    name: str
    kind: str = ""
    nouns: tuple[tuple[Path, ...], ...] = ()
    """The paths that each noun may stand for, from the name outwards."""


@dataclass(frozen=True)
class Reading:
    """One way to understand a question: `paths` start at each of `names`; the likeliest path comes first."""

    names: tuple[Phrase, ...]
    paths: tuple["Way", ...]
    operator: str | None = None
    wants: Wants = "tail"


@dataclass(frozen=True)
class Way:
    """A path of relation labels; `inferred` when a word stands for more than one of its hops."""

    relations: Path
    inferred: bool


class Grammar:
    """The templates, with the relations of a graph as further nouns: 'the head of state of X'."""

    def __init__(self, relations: Iterable[str] = ()) -> None:
        self._nouns = {word: paths for row, paths in nouns.NOUNS.items() for word in row.split("|")}
        for relation in relations:
            word = relation.lower()
            self._nouns[word] = tuple(dict.fromkeys([(relation,), *self._nouns.get(word, ())]))
        self._verbs = {word: paths for row, paths in nouns.VERBS.items() for word in row.split("|")}

    def read(self, question: str) -> list[Reading]:
        """All readings of a question; none when no template fits."""
        text = re.sub(r"[\s?.]+$", "", " ".join(question.split()))
        return [*self._pairs(text), *self._chains(text)]

    def _chains(self, text: str) -> Iterator[Reading]:
        for pattern, sentence in self._chain_patterns:
            found = pattern.fullmatch(text)
            if found:
                ends = _row(self._verbs, found["verb"]) if "verb" in pattern.groupindex else sentence.ends
                for phrase in self.phrases(found["np"]):
                    ways = _ways((*phrase.nouns, ends))
                    if ways:
                        yield Reading((phrase,), ways)

    def _pairs(self, text: str) -> Iterator[Reading]:
        for pattern in self._order_patterns:
            found = pattern.fullmatch(text)
            if found:
                order = next(o for o in sentences.ORDERS if re.fullmatch(o.pattern, found["order"], _FLAGS))
                yield from self._compared(found, order.ends, order.operator, "entity")
        for pattern in self._same_patterns:
            found = pattern.fullmatch(text)
            if found:
                same = next(s for s in sentences.SAMES if re.fullmatch(s.pattern, found["same"], _FLAGS))
                yield from self._compared(found, same.ends, SAME, "yes/no")

    def _compared(self, found: re.Match[str], ends: tuple[Path, ...], operator: str, wants: Wants) -> Iterator[Reading]:
        noun = found.groupdict().get("noun")
        outer = (_row(self._nouns, noun),) if noun else ()
        for left, right in _cuts(found["pair"]):
            for one, other in product(self.phrases(left), self.phrases(right)):
                ways = _ways((*one.nouns, *outer, ends))
                if one.nouns == other.nouns and ways:
                    # Lives are compared by both of their dates; any other order by the first date that is known.
                    yield Reading((one, other), ways[:2] if operator == LIVED_LONGER else ways, operator, wants)

    def phrases(self, text: str, *, depth: int = MOST_NOUNS) -> list[Phrase]:
        """The readings of a name with nouns around it, those with the most nouns first."""
        found: list[Phrase] = []
        if depth:
            for pattern in (self._of, self._that, self._possessive):
                match = pattern.fullmatch(text)
                if match:
                    verb = match.groupdict().get("verb")
                    noun = _row(self._verbs, verb) if verb else _row(self._nouns, match["noun"])
                    inner = self.phrases(match["np"], depth=depth - 1)
                    found.extend(Phrase(p.name, p.kind, (*p.nouns, noun)) for p in inner)
        named = _NAMED.fullmatch(text)
        if named:
            found.append(Phrase(_bare(named["name"]), (named["kind"] or "").lower()))
        found.append(Phrase(_bare(text)))
        if text.lower().startswith("the "):
            found.append(Phrase(_bare(text[4:])))
        return [phrase for phrase in dict.fromkeys(found) if phrase.name]

    @cached_property
    def _noun_words(self) -> str:
        return "|".join(re.escape(word) for word in sorted(self._nouns, key=len, reverse=True))

    @cached_property
    def _of(self) -> re.Pattern[str]:
        return re.compile(rf"(?:both |the |a |an )*(?P<noun>{self._noun_words})s? (?:of|for) (?P<np>.+)", _FLAGS)

    @cached_property
    def _that(self) -> re.Pattern[str]:
        return re.compile(rf"(?:the )?[\w-]+ (?:that|who|which) (?P<verb>{'|'.join(self._verbs)}) (?P<np>.+)", _FLAGS)

    @cached_property
    def _possessive(self) -> re.Pattern[str]:
        return re.compile(rf"(?P<np>.+?)(?: ?['’]s|(?<=s) ?['’]) (?P<noun>{self._noun_words})", _FLAGS)

    @cached_property
    def _chain_patterns(self) -> list[tuple[re.Pattern[str], Sentence]]:
        return [(self._compiled(sentence), sentence) for sentence in sentences.CHAINS]

    @cached_property
    def _order_patterns(self) -> list[re.Pattern[str]]:
        return [self._compiled(sentence) for sentence in sentences.ORDER_SENTENCES]

    @cached_property
    def _same_patterns(self) -> list[re.Pattern[str]]:
        return [self._compiled(sentence) for sentence in sentences.SAME_SENTENCES]

    def _compiled(self, sentence: Sentence) -> re.Pattern[str]:
        holes = {
            "{np}": "(?P<np>.+?)",
            "{pair}": "(?P<pair>.+?)",
            "{noun}": f"(?P<noun>{self._noun_words})",
            "{verb}": f"(?P<verb>{'|'.join(self._verbs)})",
            "{order}": f"(?P<order>{'|'.join(order.pattern for order in sentences.ORDERS)})",
            "{same}": f"(?P<same>{'|'.join(same.pattern for same in sentences.SAMES)})",
        }
        pattern = sentence.pattern
        for hole, words in holes.items():
            pattern = pattern.replace(hole, words)
        return re.compile(pattern, _FLAGS)


_NAMED = re.compile(
    rf"(?:both |either |of |the |a |two |these )*(?:(?P<kind>{nouns.KINDS})[,:]? |(?<=both )|(?<=either ))"
    r"(?P<name>.+)",
    _FLAGS,
)


def _row(table: dict[str, tuple[Path, ...]], word: str) -> tuple[Path, ...]:
    """The row of a word that a pattern has found; patterns forgive more than lower case, the long s for instance."""
    return table.get(word.lower()) or next(p for key, p in table.items() if re.fullmatch(re.escape(key), word, _FLAGS))


def _ways(segments: tuple[tuple[Path, ...], ...]) -> tuple[Way, ...]:
    """Every path through the segments' choices that can go on to its end, those of first choices first."""
    ways = []
    for choice in islice(product(*segments), MOST_PATHS):
        relations = tuple(relation for path in choice for relation in path)
        if relations and all(_goes_on(one, other) for one, other in pairwise(relations)):
            ways.append(Way(relations, inferred=any(len(path) > 1 for path in choice)))
    return tuple(dict.fromkeys(ways))


def _goes_on(one: str, other: str) -> bool:
    """Whether what the relation `one` leads to may have `other`: a father has no director, a date has nothing."""
    tail, head = KINDS.get((one, "tail")), KINDS.get((other, "head"))
    return one not in nouns.LAST_ONLY and (tail is None or head is None or tail == head)


def _cuts(pair: str) -> Iterator[tuple[str, str]]:
    """The two sides of every 'and' and 'or'; in a title they are often written with a capital, so those come last."""
    found = list(re.finditer(r",? (and|or|&) ", pair, _FLAGS))
    for cut in sorted(found, key=lambda cut: cut[1] not in ("and", "or")):
        yield pair[: cut.start()], pair[cut.end() :]


def _bare(name: str) -> str:
    """A name without quotation marks around it and commas behind it."""
    name = name.strip(" ,;")
    quoted = re.fullmatch(r"[\"“”‘'](.+)[\"“”’']", name)
    return quoted[1] if quoted else name
