"""The section on the circuit: what a model names on its way, what carries its answer, and how that came about."""

from collections.abc import Iterable, Sequence
from typing import Any

from grokhop.core.errors import InputError
from grokhop.core.formatting import count, percent, plural, unbroken
from grokhop.reporting.evidence import Evidence, Row
from grokhop.reporting.formation import formation_section
from grokhop.reporting.heatmaps import POSITIONS, Panel, by_head, by_position, heat_maps
from grokhop.reporting.plot import Figure
from grokhop.runs.run import EXPLANATION

_SETS = {"id": "in distribution", "ood": "out of distribution"}
_REPLACED = ("head", "first relation", "second relation")
_PARTS = {"attention": "what attention adds", "mlp": "what the MLP adds"}
_MOST_ODD = 20


def circuit_section(evidence: Evidence) -> dict[str, Any] | None:
    """What `grokhop explain` found; None before it has been run.

    Raises:
        InputError: its file lacks what belongs in it.
    """
    if evidence.explanation is None:
        return None
    try:
        return _section(evidence.explanation, evidence.seeds - len(evidence.unfinished))
    except (KeyError, TypeError, IndexError) as error:
        file = evidence.run.path / EXPLANATION
        raise InputError(f"{file} is damaged ({error!r}): make it again with 'grokhop explain'") from error


def _section(found: dict[str, Any], finished: int) -> dict[str, Any]:
    seeds, asked = found["seeds"], found["asked"]
    cells = [seed[asked] for seed in seeds]
    lens = [row for cell in cells for row in cell["lens"]]
    last = max((row["depth"] for row in lens), default=0)
    formed = formation_section(found["formation"], last)
    traced = any(traced["n"] for cell in cells for traced in cell["trace"])
    figures = {
        **(_traces(cells) if traced else {}),
        **({"lens": _lens(cells)} if lens else {}),
        **({"formation": formed["figure"]} if formed else {}),
    }
    return {
        "heading": _heading(_pooled(seeds, "ood"), _pooled(seeds, "id")),
        "rows": _rows(seeds),
        "odd": _odd(seeds)[:_MOST_ODD],
        "all_odd": sum(s["right"] - s["right_and_named"] for seed in seeds for s in _scores(seed).values()),
        "leads": _leads(seeds),
        "seeds": len(seeds),
        "missing": max(0, finished - len(seeds)),
        "asked": _SETS[asked],
        "instead": asked == "id" and any(seed["ood"]["score"]["n"] for seed in seeds),
        "traced": unbroken(_traced_heading(cells)),
        "read": unbroken(_lens_heading(cells, last)) if lens else None,
        "names_last": any((row["depth"], row["position"]) == (last, 1) for row in lens),
        "last": last,
        "formation": formed,
        "queries": [_query(query) for query in found["queries"]],
        "figures": {f"circuit-{name}": figure for name, figure in figures.items()},
    }


def _query(query: Row) -> Row:
    """A table of one query: a column for each position, a row for each depth, the deepest first."""
    read = {(place["depth"], place["position"]): place["top"][0] for place in query["places"]}
    depths = sorted({depth for depth, _ in read}, reverse=True)
    columns = range(len(query["query"]))
    return {**query, "rows": [(depth, [read.get((depth, position)) for position in columns]) for depth in depths]}


def _scores(seed: Row) -> dict[str, Row]:
    return {name: seed[name]["score"] for name in _SETS if seed[name]["score"]["n"]}


def _pooled(seeds: Sequence[Row], name: str) -> dict[str, int]:
    keys = ("n", "right", "right_and_named", "named_and_wrong")
    return {key: sum(seed[name]["score"][key] for seed in seeds) for key in keys}


def _heading(ood: dict[str, int], id_: dict[str, int]) -> str:
    for scores, where in ((ood, "over held-out facts"), (id_, "in distribution")):
        wrong = scores["n"] - scores["right"]
        if scores["right"]:
            named = f"{count(scores['right_and_named'])} of {plural(scores['right'], 'right answer')} {where}"
            also = f", and in {count(scores['named_and_wrong'])} of {count(wrong)} wrong ones"
            return f"In {named} the bridge is named on the way{also if wrong > scores['right'] else ''}"
        if scores["named_and_wrong"]:
            start = "The second hop is missing: no" if 2 * scores["named_and_wrong"] > wrong else "No"
            named = f"in {count(scores['named_and_wrong'])} of {count(wrong)} wrong ones the bridge is named"
            return f"{start} answer {where} is right; {named}"
    return "No query was answered, and no bridge was named"


def _rows(seeds: Sequence[Row]) -> list[Row]:
    """What the table says of each seed and set; shares come with the number that they are of, or are None."""
    rows = []
    for seed in seeds:
        for name, score in _scores(seed).items():
            carried, ablation = (seed[name][key] or {"n": 0} for key in ("carried_over", "ablation"))
            rows.append(
                {
                    **score,
                    "seed": seed["seed"],
                    "set": name.upper(),
                    "wrong": score["n"] - score["right"],
                    "carried": {"n": carried["n"], "share": carried["answered"]} if carried["n"] else None,
                    "without": ablation if ablation["n"] else None,
                }
            )
    return rows


def _leads(seeds: Sequence[Row]) -> float | None:
    """Of the queries that lost their bridge, the share to whose answer the second entity leads as well."""
    found = [cell["ablation"] for seed in seeds for cell in (seed["id"], seed["ood"]) if cell["ablation"]]
    n = sum(ablation["n"] for ablation in found)
    return sum(a["second_leads_there"] * a["n"] for a in found if a["n"]) / n if n else None


def _odd(seeds: Sequence[Row]) -> list[Row]:
    """Answers that are right for the wrong reason, out of distribution first."""
    return [
        {**example, "seed": seed["seed"], "set": name.upper()}
        for name in ("ood", "id")
        for seed in seeds
        for example in seed[name]["score"]["right_for_wrong_reason"]
    ]


def _traces(cells: Sequence[Row]) -> dict[str, Figure]:
    """The heat maps of causal tracing."""

    def maps(corrupted: int, part: str) -> list[Iterable[Row]]:
        return [cell["trace"][corrupted][part] for cell in cells if cell["trace"][corrupted]["n"]]

    def residual(corrupted: int) -> Panel:
        pairs = sum(cell["trace"][corrupted]["n"] for cell in cells)
        title = f"{_REPLACED[corrupted]}, {plural(pairs, 'pair')}"
        return by_position(title, maps(corrupted, "residual"), empty="no pair is answered rightly")

    found = {"residual": heat_maps([residual(corrupted) for corrupted in range(len(_REPLACED))])}
    if maps(0, "residual"):
        parts = [by_position(f"another head: {name}", maps(0, part)) for part, name in _PARTS.items()]
        found["parts"] = heat_maps(parts)
        found["heads"] = heat_maps([by_head("another head: single attention heads", maps(0, "heads"))])
    return found


def _traced_heading(cells: Sequence[Row]) -> str:
    maps = [cell["trace"][0]["residual"] for cell in cells if cell["trace"][0]["n"]] if cells[0]["bridge"] else []
    shares = by_position("", maps).shares
    best = max((place for place in shares if place[0] == 1 and place[1]), key=lambda at: shares[at], default=None)
    if best is None:
        return "Too few queries are answered rightly to trace what carries the answer"
    if shares[best] <= 0.5:
        return f"No state at relation 1 brings back more than {percent(shares[best])} of the answer"
    return f"The state at relation 1, depth {best[1]}, brings back {percent(shares[best])} of the answer"


def _lens(cells: Sequence[Row]) -> Figure:
    names = ("the bridge", "the answer")
    maps = [
        [[{**row, "share": row["probability"][hop]} for row in cell["lens"]] for cell in cells]
        for hop in range(len(names))
    ]
    return heat_maps([by_position(f"probability of {name}", m, "share") for name, m in zip(names, maps, strict=True)])


def _lens_heading(cells: Sequence[Row], last: int) -> str:
    """Where each is named with most; the bridge before the last depth if it is told there, where it can be of use."""
    texts = []
    for hop, name in enumerate(("the bridge", "the answer")):
        rows = [[{**row, "share": row["probability"][hop]} for row in cell["lens"]] for cell in cells]
        shares = by_position("", rows, "share").shares
        here = {depth: share for (position, depth), share in shares.items() if position == hop + 1 and depth}
        early = {depth: share for depth, share in here.items() if depth < last} if not hop else {}
        depth, share = max((early or here or {0: 0.0}).items(), key=lambda found: found[1])
        texts.append(f"{name} is read with {percent(share)} at {POSITIONS[hop + 1]}, depth {depth}")
    return f"{texts[0][0].upper()}{texts[0][1:]}; {texts[1]}"
