"""The words of questions, as tables: which paths of relations a noun or a verb may stand for.

They cover the templates of 2WikiMultiHopQA (Ho et al., COLING 2020) and work on any graph whose relations are named
alike. Where a word may stand for several paths, the likeliest comes first, and the graph's facts decide
(`grokhop.language.parser`). A test reads every noun and verb in each of its places.
"""

Path = tuple[str, ...]
"""Relation labels, one for each hop."""


def alone(*relations: str) -> tuple[Path, ...]:
    """Paths of one relation each."""
    return tuple((relation,) for relation in relations)


BORN, DIED = alone("date of birth"), alone("date of death")
RELEASED = alone("publication date", "inception")
BEGAN = alone("inception", "start time", "publication date")
STUDIED = alone("educated at")
COUNTRY = alone("country of citizenship", "country of origin", "country")
LOCATION = alone("country", "country of origin", "country of citizenship")
LAST_ONLY = frozenset(path[0] for path in (*BORN, *DIED, *RELEASED, *BEGAN, *alone("cause of death")))
"""Relations whose tails have no facts of their own: they can only end a chain."""

_PARENTS = (("father",), ("mother",))
_BOTH_SIDES = tuple((*one, "sibling") for one in reversed(_PARENTS))
NOUNS: dict[str, tuple[Path, ...]] = {
    # families; a gendered word is the same relation, and a word for two hops may go by several roads
    "father": (("father",), ("mother", "spouse"), ("sibling", "father")),
    "mother": (("mother",), ("father", "spouse"), ("sibling", "mother")),
    "spouse|partner": (*alone("spouse", "partner"), ("child", "father"), ("child", "mother")),
    "husband": (("spouse",), ("child", "father")),
    "wife": (("spouse",), ("child", "mother")),
    "child|son|daughter|children": (("child",), ("spouse", "child")),
    "sibling|brother|sister|half-brother|half-sister": (("sibling",), ("father", "child"), ("mother", "child")),
    "paternal grandfather": (("father", "father"),),
    "paternal grandmother": (("father", "mother"),),
    "maternal grandfather": (("mother", "father"),),
    "maternal grandmother": (("mother", "mother"),),
    "grandfather": (("father", "father"), ("mother", "father")),
    "grandmother": (("father", "mother"), ("mother", "mother")),
    "grandchild|grandson|granddaughter": (("child", "child"),),
    "father-in-law|father in law": (("spouse", "father"),),
    "mother-in-law|mother in law": (("spouse", "mother"),),
    "child-in-law|son-in-law|daughter-in-law|child in law|son in law|daughter in law": (("child", "spouse"),),
    "sibling-in-law|brother-in-law|sister-in-law|sibling in law|brother in law|sister in law": (
        ("spouse", "sibling"),
        ("sibling", "spouse"),
    ),
    "stepmother|step-mother|step mother": (("father", "spouse"),),
    "stepfather|step-father|step father": (("mother", "spouse"),),
    "stepchild|step-child|stepson|stepdaughter": (("spouse", "child"),),
    "co-wife|co-husband": (("spouse", "spouse"),),
    "uncle|aunt": (*_BOTH_SIDES, ("mother", "sibling", "spouse"), ("father", "sibling", "spouse")),
    "nephew|niece": (("sibling", "child"),),
    "cousin": (("father", "sibling", "child"), ("mother", "sibling", "child")),
    # lives
    "date of birth|birthday|birth date|birthdate": BORN,
    "date of death|death date": DIED,
    "place of birth|birthplace": alone("place of birth"),
    "place of death": alone("place of death"),
    "place of burial|burial place": alone("place of burial"),
    "country of birth": (("place of birth", "country"),),
    "country of death": (("place of death", "country"),),
    "country of burial": (("place of burial", "country"),),
    "cause of death": alone("cause of death"),
    "nationality|citizenship|country of citizenship": COUNTRY,
    "alma mater|university|school|college": STUDIED,
    "employer|workplace": alone("employer"),
    "award|prize": alone("award received"),
    "occupation|profession": alone("occupation"),
    "residence": alone("residence"),
    "religion": alone("religion"),
    "position": alone("position held"),
    "doctoral advisor": alone("doctoral advisor"),
    # works and what is made
    "director|film director": alone("director"),
    "performer|singer|artist": alone("performer"),
    "composer": alone("composer"),
    "producer": alone("producer"),
    "screenwriter": alone("screenwriter"),
    "writer|author": alone("author", "screenwriter", "lyrics by", "creator"),
    "creator": alone("creator"),
    "editor": alone("editor", "film editor"),
    "presenter|host": alone("presenter"),
    "publisher": alone("publisher"),
    "distributor": alone("distributor", "distributed by"),
    "production company": alone("production company"),
    "record label|label": alone("record label"),
    "manufacturer": alone("manufacturer"),
    "developer": alone("developer"),
    "architect": alone("architect"),
    "owner": alone("owned by"),
    "founder|co-founder": alone("founded by", "has part"),
    "member": alone("has part", "member of"),
    "release date|publication date": RELEASED,
    "founding date|inception": BEGAN,
    "country of origin": alone("country of origin", "country"),
    "country": LOCATION,
    "headquarters": alone("headquarters location"),
    # numbers
    "population|inhabitants|number of inhabitants": alone("population"),
    "area": alone("area"),
    "length": alone("length", "duration"),
    "height": alone("height"),
    "elevation|altitude": alone("elevation above sea level"),
}
"""Nouns: 'the NOUN of X', 'X's NOUN'."""

VERBS: dict[str, tuple[Path, ...]] = {
    "directed": NOUNS["director|film director"],
    "performed|sang|recorded": NOUNS["performer|singer|artist"],
    "composed": NOUNS["composer"],
    "produced|made": alone("producer", "production company", "manufacturer"),
    "wrote": NOUNS["writer|author"],
    "created": alone("creator", "founded by"),
    "edited": NOUNS["editor"],
    "presented|presents|hosted|hosts": NOUNS["presenter|host"],
    "published|publishes": NOUNS["publisher"],
    "distributed": NOUNS["distributor"],
    "developed": NOUNS["developer"],
    "designed": NOUNS["architect"],
    "owns": NOUNS["owner"],
    "founded|established|formed": NOUNS["founder|co-founder"],
}
"""Verbs: 'Who VERB X', 'the company that VERB X'."""

KINDS = (
    "(?:film|movie|song|single|album|magazine|journal|newspaper|band|group|book|novel|play|opera|show|video game|game|"
    "railway station|station|airport|club|organization|organisation|building|bridge|river|brand|bank|village|town|"
    "place|lake|mountain|island|museum|school|person)s?|"
    "tv series|series|city|cities|university|universities|company|companies|business|businesses|party|parties|people"
)
"""What a thing may be said to be before its name: 'film X', 'both movies, X and Y'."""
