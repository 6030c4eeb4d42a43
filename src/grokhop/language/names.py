"""Comparing names as people write them: case, accents, punctuation and Wikipedia's disambiguators aside."""

import re
import unicodedata
from difflib import SequenceMatcher

_DISAMBIGUATOR = re.compile(r"(?:\s+\([^()]+\))+$")


def clean(name: str) -> str:
    """Return `name` with single spaces and without blanks around it."""
    return " ".join(name.split())


def normal(name: str) -> str:
    """Return what two spellings of one name share: lower case, no accents, no punctuation, single spaces."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c)).casefold()
    words = re.sub(r"[\W_]+", " ", plain).strip()
    return words or clean(name).casefold()


def without_disambiguator(title: str) -> str:
    """Return 'Henry King' for 'Henry King (director)'."""
    return _DISAMBIGUATOR.sub("", title)


def is_disambiguated(title: str) -> bool:
    """Whether Wikipedia had to tell the title apart from others of the same name."""
    return without_disambiguator(title) != title


def similarity(one: str, other: str) -> float:
    """How alike two names are, from 0 to 1; 1 for the same name, disambiguators aside."""
    a, b = normal(without_disambiguator(one)), normal(without_disambiguator(other))
    return 1.0 if a == b else SequenceMatcher(None, a, b, autojunk=False).ratio() * 0.99
