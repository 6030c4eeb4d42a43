"""The sentences of questions, as tables: what is asked, what is compared, and what should be the same.

They cover the templates of 2WikiMultiHopQA (Ho et al., COLING 2020), its slips of grammar included ('Which film has
the director died earlier'). Every row has an example, which a test reads; `grokhop.language.grammar` puts the words of
`grokhop.language.lexicon` into their holes.
"""

from dataclasses import dataclass

from grokhop.graph.queries import LESS, LIVED_LONGER, MORE
from grokhop.language.lexicon import BEGAN, BORN, COUNTRY, DIED, LOCATION, RELEASED, STUDIED, Path, alone


@dataclass(frozen=True)
class Sentence:
    """A whole question as a regular expression with holes, and the paths that it adds to what fills `{np}`.

    `{np}` is a name with nouns around it, `{pair}` two of them with 'and' or 'or' between; `{noun}`, `{verb}`,
    `{order}` and `{same}` are words of the other tables.
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
_WHO = r"(?:who|(?:which|what)(?: (?!whose|has)[\w-]+){0,2})"
_GOT = "(?:earned|earn|won|win|received|receive|got|get|was given|was awarded)"
CHAINS = (
    Sentence(f"where {_BE} {{np}} born(?: in| at)?", "Where was Mira Vale born?", alone("place of birth")),
    Sentence(f"when {_BE} {{np}} born", "When was Mira Vale born?", BORN),
    Sentence(f"where {_DO} {{np}} die", "Where did Mira Vale die?", alone("place of death")),
    Sentence(f"when {_DO} {{np}} die", "When did Mira Vale die?", DIED),
    Sentence(f"(?:why|how) {_DO} {{np}} die", "Why did Mira Vale die?", alone("cause of death")),
    Sentence(f"what {_DO} {{np}} die (?:of|from)", "What did Mira Vale die of?", alone("cause of death")),
    Sentence(f"where {_BE} {{np}} buried", "Where was Mira Vale buried?", alone("place of burial")),
    Sentence(f"where {_DO} {{np}} (?:study|graduate|go to school)(?: from| at)?", "Where did Mira Vale study?",
             STUDIED),
    Sentence(f"where {_BE} {{np}} educated(?: at)?", "Where was Mira Vale educated?", STUDIED),
    Sentence(
        rf"(?:which|what) (?:[\w-]+) {_DO} {{np}} (?:attend|study at|graduate from|go to)",
        "Which university did Mira Vale attend?",
        STUDIED,
    ),
    Sentence(f"(?:where|who|which company) {_DO} {{np}} works?(?: at| for)?", "Where does Mira Vale work at?",
             alone("employer")),
    Sentence(f"what nationality {_BE} {{np}}", "What nationality is Mira Vale?", COUNTRY),
    Sentence(f"(?:which|what) country {_BE} {{np}} from", "Which country is Mira Vale from?", COUNTRY),
    Sentence(f"(?:which|what) country {{np}} {_BE} from", "Which country Mira Vale is from?", COUNTRY),
    Sentence(f"(?:which|what) country {_DO} {{np}} come from", "Which country does Mira Vale come from?", COUNTRY),
    Sentence(f"where {_BE} {{np}} from", "Where is Mira Vale from?", COUNTRY),
    Sentence(f"(?:which|what) (?:award|prize)s? (?:{_DO} )?{{np}} {_GOT}", "Which award Mira Vale earned?",
             alone("award received")),
    Sentence(f"what {_BE} the (?:award|prize)s? (?:that |which )?{{np}} {_GOT}",
             "What is the award that Mira Vale received?", alone("award received")),
    Sentence(f"when {_BE} {{np}} (?:founded|established|formed|created|started|launched|set up)",
             "When was Mira Vale founded?", BEGAN),
    Sentence(f"when {_BE} {{np}} (?:released|published)", "When was Mira Vale released?", RELEASED),
    Sentence(f"when {_DO} {{np}} (?:come|came) out", "When did Mira Vale come out?", RELEASED),
    Sentence(f"(?:which|what) country {_BE} {{np}} (?:located )?in", "Which country is Mira Vale located in?",
             LOCATION),
    Sentence(f"where {_BE} {{np}} (?:located|situated)", "Where is Mira Vale located?", LOCATION),
    Sentence(f"who {_BE} {{np}} married(?: to)?", "Who is Mira Vale married to?", alone("spouse")),
    Sentence(f"who {_DO} {{np}} marry", "Who did Mira Vale marry?", alone("spouse")),
    Sentence(r"(?:who|what|(?:which|what) [\w-]+) {verb} {np}", "Who directed Mira Vale?"),
    Sentence(f"(?:who|what|where|when|which) {_BE} (?:the name of )?{{np}}", "Who is the director of film Mira Vale?"),
    Sentence(rf"(?:which|what) [\w-]+ {_BE} {{np}}", "Which person is the director of film Mira Vale?"),
)  # fmt: skip

_OUT_OF = r",?:? (?:out of |between )?"
ORDER_SENTENCES = (
    Sentence(f"{_WHO} {{order}}{_OUT_OF}{{pair}}", "Which film came out first, Mira Vale or Tomo Reed?"),
    Sentence(f"{_AIDS} {{pair}},? {{order}}", "Was Mira Vale or Tomo Reed born first?"),
    Sentence(f"between {{pair}}, {_WHO} {{order}}", "Between Mira Vale and Tomo Reed, who is older?"),
    Sentence("which of {pair},? {order}", "Which of the films Mira Vale and Tomo Reed came out first?"),
    Sentence(
        f"{_WHO} (?:has|had|have) (?:the |an? )?{{order}} {{noun}}{_OUT_OF}{{pair}}",
        "Which film has the older director, Mira Vale or Tomo Reed?",
    ),
    Sentence(f"whose {{noun}} {{order}}{_OUT_OF}{{pair}}", "Whose director is younger, Mira Vale or Tomo Reed?"),
    Sentence(
        f"{_WHO} (?:has|had|have|whose|with)(?: a| the)? {{noun}}s? (?:who |that |which |whose )?{{order}}"
        f"{_OUT_OF}{{pair}}",
        "Which film has the director died earlier, Mira Vale or Tomo Reed?",
    ),
)
_FILMS = "(?:(?-i: films| movies| songs| albums| bands),?)?"  # not the last word of a title
SAME_SENTENCES = (
    Sentence(f"{_AIDS} (?:both |the )*{{noun}}s? of {{pair}},? (?:both )?{{same}}",
             "Do both directors of films Mira Vale and Tomo Reed share the same nationality?"),
    Sentence(f"{_AIDS} {{pair}},?{_FILMS} (?:both )?have (?:the |both )*{{noun}}s? (?:that |who |which )?"
             "(?:are |is )?(?:both )?{same}",
             "Do both films, Mira Vale and Tomo Reed, have the directors who are from the same country?"),
    Sentence(f"{_AIDS} {{pair}},?{_FILMS} (?:both )?(?:are )?{{same}}",
             "Are both Mira Vale and Tomo Reed located in the same country?"),
)  # fmt: skip

_FIRST, _LATER = "(?:first|earlier|earliest)", "(?:later|last|latest|more recently|most recently|second)"
_WAS = "(?:was |were )?"
_OUT = f"(?:{_WAS}(?:released|published|premiered|made)|came out|come out|appeared)"
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
    Order(f"{_WAS}{_FIRST} (?:released|published)", LESS, RELEASED,
          "Which magazine was first published, Mira Vale or Tomo Reed?"),
    Order(f"{_OUT} {_FIRST}", LESS, RELEASED, "Which film was released earlier, Mira Vale or Tomo Reed?"),
    Order(f"{_OUT} {_LATER}", MORE, RELEASED, "Which film was released more recently, Mira Vale or Tomo Reed?"),
    Order(f"{_SET_UP} {_FIRST}", LESS, BEGAN, "Which band formed first, Mira Vale or Tomo Reed?"),
    Order(f"{_SET_UP} {_LATER}", MORE, BEGAN, "Which magazine was started later, Mira Vale or Tomo Reed?"),
    Order("(?:larger|largest|bigger|higher|highest|greater|longer|taller|more)", MORE, ((),),
          "Which city has the larger population, Mira Vale or Tomo Reed?"),
    Order("(?:smaller|smallest|lower|lowest|shorter|fewer|less)", LESS, ((),),
          "Which city has the smaller population, Mira Vale or Tomo Reed?"),
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
    Same("born in the same (?:place|city|town)", alone("place of birth"),
         "Were Mira Vale and Tomo Reed born in the same city?"),
)  # fmt: skip
