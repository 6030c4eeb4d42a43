"""Countries by Wikidata id, with the adjectives and short forms that stand for them where nationality is
asked.

'American' is the United States. 'English' is England, not the United Kingdom; adjectives of two countries
('Congolese', 'Dominican', 'Korean') are left out.
"""

import csv
from functools import cache
from importlib import resources

from grokhop.language.names import normal

PLACES = {"georgia"}
"""Names that, where just a place is asked, may be another place."""


@cache
def labels() -> dict[str, str]:
    """Label by Wikidata id."""
    return {row["key"]: row["label"] for row in _rows()}


@cache
def ids() -> dict[str, str]:
    """Wikidata id by name or adjective, the names as `names.normal` gives them."""
    return {normal(name): row["key"] for row in _rows() for name in (row["label"], *row["names"].split(";")) if name}


def _rows() -> list[dict[str, str]]:
    content = (resources.files("grokhop.language") / "countries.tsv").read_text("utf-8")
    return list(csv.DictReader(content.splitlines(), delimiter="\t"))
