"""The words of questions, as tables: what a noun, a verb, an order or a whole sentence says about relations.

They cover the templates of 2WikiMultiHopQA (Ho et al., COLING 2020), its slips of grammar included, and work on any
graph whose relations are named alike. `grokhop.grammar` reads them. Where one word may stand for several paths, the
likeliest comes first, and the graph's facts decide (`grokhop.understand`). Every row of a sentence, an order or a
sameness has an example; a test reads each of them, and every noun and verb in both of its places.
"""

from dataclasses import dataclass

from grokhop.query import LESS, LIVED_LONGER, MORE

Path = tuple[str, ...]
"""Relation labels, one for each hop."""


def _alone(*relations: str) -> tuple[Path, ...]:
    return tuple((relation,) for relation in relations)


BORN, DIED = _alone("date of birth"), _alone("date of death")
RELEASED = _alone("publication date", "inception")
BEGAN = _alone("inception", "start time", "publication date")
STUDIED = _alone("educated at")
COUNTRY = _alone("country of citizenship", "country of origin", "country")
LOCATION = _alone("country", "country of origin", "country of citizenship")
LAST_ONLY = frozenset(path[0] for path in (*BORN, *DIED, *RELEASED, *BEGAN, *_alone("cause of death")))
"""Relations whose tails have no facts of their own: they can only end a chain."""

_PARENTS = (("father",), ("mother",))
_BOTH_SIDES = tuple((*one, "sibling") for one in reversed(_PARENTS))
NOUNS: dict[str, tuple[Path, ...]] = {
    # families; a gendered word is the same relation, and a word for two hops may go by several roads
    "father": (("father",), ("mother", "spouse"), ("sibling", "father")),
    "mother": (("mother",), ("father", "spouse"), ("sibling", "mother")),
    "spouse|partner": (*_alone("spouse", "partner"), ("child", "father"), ("child", "mother")),
    "husband": (("spouse",), ("child", "father")),
    "wife": (("spouse",), ("child", "mother")),
    "child|son|daughter|children": (("child",), ("spouse", "child")),
    "sibling|brother|sister": (("sibling",), ("father", "child"), ("mother", "child")),
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
    "stepmother|step-mother": (("father", "spouse"),),
    "stepfather|step-father": (("mother", "spouse"),),
    "stepchild|step-child|stepson|stepdaughter": (("spouse", "child"),),
    "uncle|aunt": (*_BOTH_SIDES, ("mother", "sibling", "spouse"), ("father", "sibling", "spouse")),
    "nephew|niece": (("sibling", "child"),),
    "cousin": (("father", "sibling", "child"), ("mother", "sibling", "child")),
    # lives
    "date of birth|birthday|birth date|birthdate": BORN,
    "date of death|death date": DIED,
    "place of birth|birthplace": _alone("place of birth"),
    "place of death": _alone("place of death"),
    "place of burial|burial place": _alone("place of burial"),
    "cause of death": _alone("cause of death"),
    "nationality|citizenship|country of citizenship": COUNTRY,
    "alma mater|university|school|college": STUDIED,
    "employer|workplace": _alone("employer"),
    "award|prize": _alone("award received"),
    "occupation|profession": _alone("occupation"),
    "residence": _alone("residence"),
    "religion": _alone("religion"),
    "position": _alone("position held"),
    "doctoral advisor": _alone("doctoral advisor"),
    # works and what is made
    "director|film director": _alone("director"),
    "performer|singer|artist": _alone("performer"),
    "composer": _alone("composer"),
    "producer": _alone("producer"),
    "screenwriter": _alone("screenwriter"),
    "writer|author": _alone("author", "screenwriter", "lyrics by", "creator"),
    "creator": _alone("creator"),
    "editor": _alone("editor", "film editor"),
    "presenter|host": _alone("presenter"),
    "publisher": _alone("publisher"),
    "distributor": _alone("distributor", "distributed by"),
    "production company": _alone("production company"),
    "record label|label": _alone("record label"),
    "manufacturer": _alone("manufacturer"),
    "developer": _alone("developer"),
    "architect": _alone("architect"),
    "owner": _alone("owned by"),
    "founder|co-founder": _alone("founded by", "has part"),
    "member": _alone("has part", "member of"),
    "release date|publication date": RELEASED,
    "founding date|inception": BEGAN,
    "country of origin": _alone("country of origin", "country"),
    "country": LOCATION,
    "headquarters": _alone("headquarters location"),
}
"""Nouns: 'the NOUN of X', 'X's NOUN'."""

VERBS: dict[str, tuple[Path, ...]] = {
    "directed": NOUNS["director|film director"],
    "performed|sang|recorded": NOUNS["performer|singer|artist"],
    "composed": NOUNS["composer"],
    "produced|made": _alone("producer", "production company", "manufacturer"),
    "wrote": NOUNS["writer|author"],
    "created": _alone("creator", "founded by"),
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
    "railway station|station|airport|village|town|place|river|lake|mountain|island|museum|school|person)s?|"
    "tv series|series|city|cities|university|universities|company|companies|people"
)
"""What a thing may be said to be before its name: 'film X', 'both movies, X and Y'."""


@dataclass(frozen=True)
class Sentence:
    """A whole question as a regular expression with holes, and the paths that it adds to what fills `{np}`.

    `{np}` is a name with nouns around it, `{pair}` two of them with 'and' or 'or' between; `{noun}`, `{order}`,
    `{same}`, `{verb}` and `{kinds}` are words of the other tables.
    """

    pattern: str
    example: str
    ends: tuple[Path, ...] = ((),)


@dataclass(frozen=True)
class Order:
    """What is compared: 'died first' asks for the lesser date of death."""

    pattern: str
    operator: str
    ends: tuple[Path, ...]
    example: str


@dataclass(frozen=True)
class Same:
    """What should be the same."""

    pattern: str
    ends: tuple[Path, ...]
    example: str


_BE = "(?:is|was|are|were)"
_DO = "(?:did|does|do|has|have)"
_AIDS = "(?:are|is|were|was|do|does|did|have|has)"
_WHO = r"(?:who|what|which(?: [\w-]+){1,2})"
_GOT = "(?:earned|earn|won|win|received|receive|got|get|was given|was awarded)"
_BOTH = r"(?:both |of |the |two |these )*(?:{kinds}[,:]? )?"
CHAINS = (
    Sentence(f"where {_BE} {{np}} born(?: in| at)?", "Where was Mira Vale born?", _alone("place of birth")),
    Sentence(f"when {_BE} {{np}} born", "When was Mira Vale born?", BORN),
    Sentence(f"where {_DO} {{np}} die", "Where did Mira Vale die?", _alone("place of death")),
    Sentence(f"when {_DO} {{np}} die", "When did Mira Vale die?", DIED),
    Sentence(f"(?:why|how) {_DO} {{np}} die", "Why did Mira Vale die?", _alone("cause of death")),
    Sentence(f"what {_DO} {{np}} die (?:of|from)", "What did Mira Vale die of?", _alone("cause of death")),
    Sentence(f"where {_BE} {{np}} buried", "Where was Mira Vale buried?", _alone("place of burial")),
    Sentence(f"where {_DO} {{np}} (?:study|graduate|go to school)(?: from| at)?", "Where did Mira Vale study?", STUDIED),
    Sentence(f"where {_BE} {{np}} educated(?: at)?", "Where was Mira Vale educated?", STUDIED),
    Sentence(
        rf"(?:which|what) (?:[\w-]+) {_DO} {{np}} (?:attend|study at|graduate from|go to)",
        "Which university did Mira Vale attend?",
        STUDIED,
    ),
    Sentence(f"(?:where|who|which company) {_DO} {{np}} works?(?: at| for)?", "Where does Mira Vale work at?",
             _alone("employer")),
    Sentence(f"what nationality {_BE} {{np}}", "What nationality is Mira Vale?", COUNTRY),
    Sentence(f"(?:which|what) country {_BE} {{np}} from", "Which country is Mira Vale from?", COUNTRY),
    Sentence(f"(?:which|what) country {{np}} {_BE} from", "Which country Mira Vale is from?", COUNTRY),
    Sentence(f"(?:which|what) country {_DO} {{np}} come from", "Which country does Mira Vale come from?", COUNTRY),
    Sentence(f"where {_BE} {{np}} from", "Where is Mira Vale from?", COUNTRY),
    Sentence(f"(?:which|what) (?:award|prize)s? (?:{_DO} )?{{np}} {_GOT}", "Which award Mira Vale earned?",
             _alone("award received")),
    Sentence(f"what {_BE} the (?:award|prize)s? (?:that |which )?{{np}} {_GOT}",
             "What is the award that Mira Vale received?", _alone("award received")),
    Sentence(f"when {_BE} {{np}} (?:founded|established|formed|created|started|launched|set up)",
             "When was Mira Vale founded?", BEGAN),
    Sentence(f"when {_BE} {{np}} (?:released|published)", "When was Mira Vale released?", RELEASED),
    Sentence(f"when {_DO} {{np}} (?:come|came) out", "When did Mira Vale come out?", RELEASED),
    Sentence(f"(?:which|what) country {_BE} {{np}} (?:located )?in", "Which country is Mira Vale located in?",
             LOCATION),
    Sentence(f"where {_BE} {{np}} (?:located|situated)", "Where is Mira Vale located?", LOCATION),
    Sentence(f"who {_BE} {{np}} married(?: to)?", "Who is Mira Vale married to?", _alone("spouse")),
    Sentence(f"who {_DO} {{np}} marry", "Who did Mira Vale marry?", _alone("spouse")),
    Sentence(f"{_WHO} {{verb}} {{np}}", "Who directed Mira Vale?"),
    Sentence(f"(?:who|what|where|when|which) {_BE} {{np}}", "Who is the director of film Mira Vale?"),
    Sentence(rf"(?:which|what) [\w-]+ {_BE} {{np}}", "Which person is the director of film Mira Vale?"),
)  # fmt: skip

_OUT_OF = r",?:? (?:out of |between )?"
ORDER_SENTENCES = (
    Sentence(f"{_WHO} {{order}}{_OUT_OF}{{pair}}", "Which film came out first, Mira Vale or Tomo Reed?"),
    Sentence(f"{_AIDS} {{pair}},? {{order}}", "Was Mira Vale or Tomo Reed born first?"),
    Sentence(f"between {{pair}}, {_WHO} {{order}}", "Between Mira Vale and Tomo Reed, who is older?"),
    Sentence(
        f"{_WHO} (?:has|had|have|whose|with)(?: a| the)? {{noun}}s? (?:who |that |which |whose )?{{order}}"
        f"{_OUT_OF}{{pair}}",
        "Which film has the director died earlier, Mira Vale or Tomo Reed?",
    ),
)
SAME_SENTENCES = (
    Sentence(f"{_AIDS} {_BOTH}{{pair}},? (?:both )?(?:are )?{{same}}",
             "Are both Mira Vale and Tomo Reed located in the same country?"),
    Sentence(f"{_AIDS} (?:both |the )*{{noun}}s? of {_BOTH}{{pair}},? (?:both )?{{same}}",
             "Do both directors of films Mira Vale and Tomo Reed share the same nationality?"),
    Sentence(f"{_AIDS} {_BOTH}{{pair}},?(?: {{kinds}},?)? have (?:the |both )*{{noun}}s? (?:that |who |which )?"
             "(?:are |is )?(?:both )?{same}",
             "Do both films, Mira Vale and Tomo Reed, have the directors who are from the same country?"),
)  # fmt: skip

_FIRST, _LATER = "(?:first|earlier|earliest)", "(?:later|last|latest|more recently|most recently|second)"
_WAS = "(?:was |were )?"
_OUT = f"(?:{_WAS}(?:released|published|premiered)|came out|come out|appeared)"
_SET_UP = f"{_WAS}(?:established|founded|formed|started|created|launched|opened|built|set up|began)"
_THAN = "(?: than the other| of the two)?"
ORDERS = (
    Order(f"{_WAS}born {_FIRST}", LESS, BORN, "Who was born first, Mira Vale or Tomo Reed?"),
    Order(f"{_WAS}born {_LATER}", MORE, BORN, "Who was born later, Mira Vale or Tomo Reed?"),
    Order(f"(?:died|die|dies) {_FIRST}", LESS, DIED, "Who died first, Mira Vale or Tomo Reed?"),
    Order(f"(?:died|die|dies) {_LATER}", MORE, DIED, "Who died later, Mira Vale or Tomo Reed?"),
    Order(f"(?:is |was )?(?:the )?(?:older|oldest|elder){_THAN}", LESS, (*BORN, *RELEASED),
          "Who is older, Mira Vale or Tomo Reed?"),
    Order(f"(?:is |was )?(?:the )?(?:younger|youngest|newer|more recent){_THAN}", MORE, (*BORN, *RELEASED),
          "Who is younger, Mira Vale or Tomo Reed?"),
    Order(f"{_OUT} {_FIRST}", LESS, RELEASED, "Which film was released earlier, Mira Vale or Tomo Reed?"),
    Order(f"{_OUT} {_LATER}", MORE, RELEASED, "Which film was released more recently, Mira Vale or Tomo Reed?"),
    Order(f"{_SET_UP} {_FIRST}", LESS, BEGAN, "Which band formed first, Mira Vale or Tomo Reed?"),
    Order(f"{_SET_UP} {_LATER}", MORE, BEGAN, "Which magazine was started later, Mira Vale or Tomo Reed?"),
    Order("lived (?:longer|the longest|longest)", LIVED_LONGER, BORN + DIED,
          "Who lived longer, Mira Vale or Tomo Reed?"),
)  # fmt: skip

_FROM = r"(?:(?:located |based |situated |originat\w+ |come |comes |came )?(?:from |in |of )|share |have )?"
SAMES = (
    Same(f"{_FROM}(?:the )?same (?:nationality|citizenship)", COUNTRY,
         "Do Mira Vale and Tomo Reed share the same nationality?"),
    Same(r"(?:located |based |situated )in the same (?:country|nation)", LOCATION,
         "Are Mira Vale and Tomo Reed located in the same country?"),
    Same(f"{_FROM}(?:the )?same (?:country|nation)(?: of origin)?", COUNTRY,
         "Do the movies Mira Vale and Tomo Reed, originate from the same country?"),
    Same("born in the same (?:place|city|town)", _alone("place of birth"),
         "Were Mira Vale and Tomo Reed born in the same city?"),
)  # fmt: skip
