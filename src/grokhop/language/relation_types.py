"""The kinds of entities that relations of 2WikiMultiHopQA lead from and to."""

_OF_PEOPLE = ("father", "mother", "spouse", "child", "sibling", "relative", "partner")
_BY_PEOPLE = (
    "director",
    "performer",
    "composer",
    "producer",
    "screenwriter",
    "author",
    "creator",
    "presenter",
)
_OF_WORKS = ("publisher", "country of origin", "publication date", "production company", "genre")
_AT_PLACES = ("place of birth", "place of death", "place of burial", "residence")
_COUNTRIES = ("country", "country of origin", "country of citizenship")
_OF_LIVES = ("date of birth", "date of death", "cause of death", "educated at", "employer", "award received")
KINDS: dict[tuple[str, str], str] = {
    **{(relation, "head"): "person" for relation in (*_OF_PEOPLE, *_AT_PLACES, *_OF_LIVES, "country of citizenship")},
    **{(relation, "tail"): "person" for relation in (*_OF_PEOPLE, *_BY_PEOPLE, "founded by")},
    **{(relation, "head"): "work" for relation in (*_BY_PEOPLE, *_OF_WORKS)},
    **{(relation, "tail"): "place" for relation in (*_AT_PLACES, *_COUNTRIES)},
}
"""The kind of a relation's head or tail, where all have one."""
