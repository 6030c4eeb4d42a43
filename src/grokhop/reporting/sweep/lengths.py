"""The section on chains of more hops than were trained."""

from collections.abc import Iterator
from dataclasses import dataclass

from grokhop.core.formatting import percent, unbroken
from grokhop.core.statistics import CellScore
from grokhop.reporting.headline import ENOUGH
from grokhop.reporting.plot import Figure, safe
from grokhop.reporting.sweep.evidence import LEGEND, LONGEST_NAME, SweepEvidence, legend_height, level_name
from grokhop.runs.evaluation import Cells
from grokhop.runs.metrics import ENOUGH_OOD_QUERIES
from grokhop.runs.sweep_result import SweepRow
from grokhop.tasks.composition import cell_name

_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
_PANELS = (("id", "in distribution (ID)"), ("ood", "out of distribution (OOD)"))
_ASIDE, _MOST_ASIDE = 0.05, 0.4
"""How far a contender stands from the next, and all together, in hops."""


@dataclass(frozen=True)
class AskedLength:
    """What a contender answered of one number of hops, in and out of distribution."""

    hops: int
    trained: bool
    id: CellScore
    ood: CellScore

    def score(self, name: str) -> CellScore:
        """Return the score 'id' or 'ood'."""
        return self.id if name == "id" else self.ood


@dataclass(frozen=True, kw_only=True)
class LengthsSection:
    """The section on chains of more hops than were trained.

    Attributes:
        mixed: the lengths of which all queries with a held-out fact are counted, in words.
        enough: the fewest queries of held-out facts alone that are enough.
    """

    heading: str
    seeds: int
    mixed: str
    enough: int
    figure: Figure


def lengths_section(evidence: SweepEvidence) -> LengthsSection | None:
    few = few_of_held_out(evidence)
    asked = {contender: asked_lengths(row, few) for contender, row in highest(evidence)}
    if all(len(lengths) < 2 for lengths in asked.values()):
        return None
    every = {length.hops for lengths in asked.values() for length in lengths}
    mixed = [_word(hops) for hops in sorted(few & every)]
    return LengthsSection(
        heading=unbroken(heading(asked)),
        seeds=len(evidence.sweep.seeds),
        mixed=" and ".join(filter(None, (", ".join(mixed[:-1]), *mixed[-1:]))),
        enough=ENOUGH_OOD_QUERIES,
        figure=length_lines(evidence, asked),
    )


def highest(evidence: SweepEvidence) -> Iterator[tuple[str, SweepRow]]:
    """(contender, row) at the highest level of each that has any."""
    for contender in evidence.contenders:
        yield from ((contender, row) for row in evidence.of_contender(contender)[-1:])


def few_of_held_out(evidence: SweepEvidence) -> set[int]:
    """The numbers of hops of which some contender was asked too few queries of held-out facts alone.

    For all contenders then all queries with a held-out fact are counted, so that their lines can be compared.
    """
    return {
        int(hops)
        for _, row in highest(evidence)
        for hops, by_cell in _cells(row).items()
        if by_cell[cell_name([True] * int(hops))].n < ENOUGH_OOD_QUERIES
    }


def asked_lengths(row: SweepRow, few: set[int]) -> list[AskedLength]:
    """From the shortest to the longest; a length of which nothing was asked is left out."""
    found = []
    for key, by_cell in sorted(_cells(row).items(), key=lambda item: int(item[0])):
        hops = int(key)
        none, every = cell_name([False] * hops), cell_name([True] * hops)
        any_held_out = [score for name, score in by_cell.items() if name != none]
        ood = CellScore.pooled(any_held_out if hops in few else [by_cell[every]])
        found.append(AskedLength(hops, key in row.cells, by_cell[none], ood))
    return [asked for asked in found if asked.id.n or asked.ood.n]


def _cells(row: SweepRow) -> Cells:
    return {**row.cells, **row.untrained}


def heading(asked: dict[str, list[AskedLength]]) -> str:
    """Who still answers, how far beyond what it was trained on; and who does not, as far beyond."""
    longer = [
        (length.hops - longest, length.id.accuracy, contender)
        for contender, lengths in asked.items()
        if (longest := max((length.hops for length in lengths if length.trained), default=0))
        for length in lengths
        if not length.trained and length.id.accuracy is not None
    ]
    if not longer:
        return "Accuracy by the number of hops"
    enough = [entry for entry in longer if entry[1] >= ENOUGH]
    if not enough:
        nearest = min(steps for steps, _, _ in longer)
        _, most, best = max((entry for entry in longer if entry[0] == nearest), key=lambda entry: entry[1])
        return f"{best} has {percent(most)} of ID queries {_hops(nearest)} beyond what it was trained on{_first(asked)}"
    farthest, most, best = max(enough, key=lambda entry: entry[:2])
    least, worst = min(entry[1:] for entry in longer if entry[0] == farthest)
    contrast = f"; {worst} has {percent(least)}" if least < ENOUGH else ""
    still = f"{best} still has {percent(most)} of ID queries"
    return f"{still} {_hops(farthest)} beyond what it was trained on{contrast}"


def _first(asked: dict[str, list[AskedLength]]) -> str:
    return ", and no other has more" if len(asked) > 1 else ""


def _hops(number: int) -> str:
    return f"{_word(number)} hop{'s' * (number != 1)}"


def _word(number: int) -> str:
    return _WORDS[number] if number < len(_WORDS) else str(number)


def length_lines(evidence: SweepEvidence, asked: dict[str, list[AskedLength]]) -> Figure:
    """A panel in and one out of distribution; a line for each contender, with a small dot for each seed."""
    every = sorted({length.hops for lengths in asked.values() for length in lengths})
    labels = {
        who: safe(f"{evidence.short(who)}, phi {level_name(row)}", longest=LONGEST_NAME)
        for who, row in highest(evidence)
    }
    step = min(_ASIDE, _MOST_ASIDE / len(asked))
    data: list[Figure] = []
    for i, (contender, lengths) in enumerate(asked.items()):
        aside = step * (i - (len(asked) - 1) / 2)
        for number, (name, _) in enumerate(_PANELS, 1):
            axes = {"xaxis": f"x{number}", "yaxis": f"y{number}", "legendgroup": contender}
            traces = _line(evidence, contender, labels[contender], [(a, a.score(name)) for a in lengths], aside)
            traces[0]["showlegend"] = number == 1
            data += [{**trace, **axes} for trace in traces]
    legend = legend_height(labels.values())
    layout: Figure = {
        "height": 440 + legend,
        "margin": {"l": 60, "r": 16, "t": 34, "b": 66 + legend},
        "hovermode": "closest",
        "legend": LEGEND,
        "annotations": [],
    }
    for number, (_, words) in enumerate(_PANELS, 1):
        x = [0.52 * (number - 1), 0.48 + 0.52 * (number - 1)]
        layout[f"xaxis{number}"] = _hops_axis(every, x, number)
        layout[f"yaxis{number}"] = _share_axis(number)
        where = {"x": x[0], "xref": "paper", "xanchor": "left", "y": 1, "yref": "paper", "yanchor": "bottom"}
        layout["annotations"].append({**where, "text": words, "showarrow": False})
    return {"data": data, "layout": layout}


def _hops_axis(every: list[int], domain: list[float], number: int) -> Figure:
    return {
        "domain": domain,
        "anchor": f"y{number}",
        "range": [every[0] - 0.4, every[-1] + 0.4],
        "tickvals": every,
        "showgrid": False,
        "zeroline": False,
        "title": {"text": "hops asked"},
    }


def _share_axis(number: int) -> Figure:
    return {
        "anchor": f"x{number}",
        "range": [-0.03, 1.04],
        "tickformat": ".0%",
        "showticklabels": number == 1,
        **({"title": {"text": "accuracy on test queries"}} if number == 1 else {}),
    }


def _line(
    evidence: SweepEvidence, contender: str, label: str, asked: list[tuple[AskedLength, CellScore]], aside: float
) -> list[Figure]:
    known = [(length, score) for length, score in asked if score.n]
    colour, symbol = evidence.colour(contender), evidence.symbol(contender)
    means = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": label,
        "x": [length.hops + aside for length, _ in known],
        "y": [score.accuracy for _, score in known],
        "line": {"color": colour, "width": 2, "dash": evidence.dash(contender)},
        "marker": {
            "color": colour,
            "size": 10,
            "symbol": [symbol if length.trained else f"{symbol}-open" for length, _ in known],
        },
        "customdata": [[a.hops, "" if a.trained else ", never trained", s.n] for a, s in known],
        "hovertemplate": f"{label}, %{{customdata[0]}} hops%{{customdata[1]}}: %{{y:.1%}} of %{{customdata[2]}}"
        "<extra></extra>",
    }
    seeds = [(a.hops + aside, share) for a, s in known if len(s.per_seed) > 1 for share in s.per_seed]
    dots = {
        "type": "scatter",
        "mode": "markers",
        "x": [x for x, _ in seeds],
        "y": [share for _, share in seeds],
        "marker": {"color": colour, "size": 5, "opacity": 0.55, "symbol": symbol},
        "showlegend": False,
        "hovertemplate": f"{label}, one seed: %{{y:.1%}}<extra></extra>",
    }
    return [means, *([dots] if seeds else [])]
