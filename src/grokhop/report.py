"""The report: one HTML file that says whether a run grokked, on what graph, and with what evidence.

It is made from the files of the run folder alone, needs no torch, and fetches nothing when it is opened: Plotly's
JavaScript is inside, once. Headings are findings, computed from the numbers; what has not been measured yet is
named with the command that measures it. Labels are data: the template escapes them, `figures.safe` does for Plotly.
"""

import shlex
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from grokhop import figures
from grokhop.compose import Chaining
from grokhop.figures import MOST_RELATIONS, mean_of
from grokhop.folder import write_bytes
from grokhop.graph import Graph, Part
from grokhop.metrics import ENOUGH_OOD_QUERIES, Look, read_looks, summary
from grokhop.run import EVAL, PHI, REPORT, SUMMARY, WEIGHTS, Run
from grokhop.scores import wilson
from grokhop.settings import PRESETS, preset

Rows = list[dict[str, Any]]

ENOUGH = 0.95
"""Accuracy in and out of distribution from which on a run has grokked; the grokking times use the same."""
_HARDEST = 10
_MOST_MISSES = 40
_MEANING = {
    "II": "both facts occur in training chains, this chain does not",
    "IO": "the second fact occurs in no training chain",
    "OI": "the first fact occurs in no training chain",
    "OO": "neither fact occurs in any training chain",
}


def report(path: Path) -> Path:
    """Write `report.html` into the run folder `path` and return the file.

    Raises:
        InputError: there is no such run, it is of a newer schema version, or one of its files is damaged.
    """
    evidence = Evidence(Run.read(path))
    page = _render(evidence)
    out = evidence.run.path / REPORT
    write_bytes(out, page.encode())
    return out


@dataclass(frozen=True)
class Evidence:
    """What the files of a run say, read once."""

    run: Run

    @cached_property
    def phi(self) -> dict[str, Any]:
        return self.run.read_json(PHI, made_by="grokhop train")

    @cached_property
    def evaluation(self) -> dict[str, Any] | None:
        """What `grokhop eval` found, or None before it has been run."""
        if not (self.run.path / EVAL).exists():
            return None
        return self.run.read_json(EVAL, made_by="grokhop eval")

    @cached_property
    def looks(self) -> dict[int, list[Look]]:
        """The looks of each seed that has taken one."""
        names = (p.name.removeprefix("seed-") for p in self.run.path.glob("seed-*"))
        seeds = sorted(int(name) for name in names if name.isdigit())
        found = {seed: read_looks(self.run.seed_folder(seed)) for seed in seeds}
        return {seed: looks for seed, looks in found.items() if looks}

    @cached_property
    def summaries(self) -> dict[int, dict[str, Any]]:
        """What each seed has come to so far, finished or not."""
        return {seed: summary(looks) for seed, looks in self.looks.items()}

    @property
    def groks(self) -> dict[int, dict[str, Any]]:
        return {seed: found["grok"] for seed, found in self.summaries.items()}

    @property
    def seeds(self) -> int:
        """How many were asked for, or begun since."""
        return max(int(self.run.manifest["seeds"]), *(seed + 1 for seed in self.looks), 1)

    @property
    def unfinished(self) -> list[int]:
        return [s for s in range(self.seeds) if not (self.run.seed_folder(s) / SUMMARY).exists()]

    @property
    def held_out(self) -> int:
        return int((self.run.graph.part != Part.TRAIN).sum())

    def cells(self, hops: int) -> dict[str, dict[str, Any]]:
        return dict((self.evaluation or {}).get("cells", {}).get(str(hops), {}))


def _render(evidence: Evidence) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, count=count, interval=interval, spread=spread)
    sections = {"phi": _phi, "learning": _learning, "cells": _cells, "hardest": _hardest}
    parts: dict[str, Any] = {name: section(evidence) for name, section in sections.items()}
    return environment.get_template("report.html.j2").render(
        plotly=Markup(get_plotlyjs()),  # Plotly's own file, which holds no closing script tag
        title=_title(evidence),
        verdict=verdict(evidence),
        notes=notes(evidence),
        tiles=_tiles(evidence),
        facts=_facts(evidence),
        graph=_graph(evidence),
        questions=_questions(evidence),
        leakage=_leakage(evidence),
        commands=commands(evidence.run),
        inputs=evidence.run.graph_manifest.get("inputs", []),
        figures=[(name, part["figure"]) for name, part in parts.items() if part and part.get("figure")],
        **parts,
    )


# --- numbers as text -------------------------------------------------------------------------------------------


def percent(share: float | None) -> str:
    """A share as text: '99.5 %'. Only all is '100 %' and only none is '0 %': digits are added where rounding lies."""
    if share is None:
        return "–"
    if share <= 1e-9 or share >= 1 - 1e-9:
        return "100 %" if share > 0.5 else "0 %"
    texts = (f"{100 * share:.{digits}f}" for digits in range(1, 9))
    return next(text for text in texts if 0 < float(text) < 100) + " %"


def count(number: float | None) -> str:
    """A number with its thousands apart: '36,106'."""
    return "–" if number is None else f"{number:,.0f}"


def interval(score: dict[str, Any]) -> str:
    return "–" if score["low"] is None else f"{percent(score['low'])} to {percent(score['high'])}"


def spread(score: dict[str, Any]) -> str:
    """The standard deviation over seeds in percentage points."""
    return "–" if score["spread"] is None else f"{100 * score['spread']:.2f}"


def duration(seconds: float) -> str:
    """'9.4 s', '75 s', '12 min' or '3.5 h'."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


# --- the answer at a glance ------------------------------------------------------------------------------------


def _title(evidence: Evidence) -> str:
    names = [s["name"] for s in evidence.run.graph_manifest["sources"] if s["observed"]]
    return ", ".join(names) or evidence.run.path.name


def verdict(evidence: Evidence) -> str:
    """One sentence: whether the run grokked, after how long, with what accuracies, over how many seeds."""
    if not evidence.looks:
        return "Not trained yet: no seed has taken a look at its validation queries."
    score_id, score_ood, of = _headline(evidence)
    if score_id is None and score_ood is None:
        return f"Trained for {_trained(evidence)}; there are no {of} queries to measure generalisation with."
    parts = [f"{percent(score_id)} in distribution"] if score_id is not None else []
    if score_ood is not None:
        parts.append(f"{percent(score_ood)} out of distribution")
    numbers = f"{' and '.join(parts)} on {of} queries{_over_seeds(evidence)}"
    if score_ood is None:
        return f"{numbers}, after {_trained(evidence)}; no query over held-out facts measures out of distribution."
    if min(score_id if score_id is not None else 1.0, score_ood) < ENOUGH:
        return f"Not grokked: {numbers}, after {_trained(evidence)}."
    reached = _grok_seconds(evidence)
    if len(reached) < len(evidence.looks):
        return f"Grokked with {len(reached)} of {plural(len(evidence.looks), 'seed')}: {numbers}."
    return f"Grokked in {duration(mean_of(reached) or 0)}: {numbers}."


def _headline(evidence: Evidence) -> tuple[float | None, float | None, str]:
    """ID and OOD accuracy over two hops, and on which queries: test if they were asked, else validation."""
    if evidence.evaluation is None:
        last = [found["validation"] for found in evidence.summaries.values()]
        return mean_of(v["id"] for v in last), mean_of(v["ood"] for v in last), "validation"
    cells = evidence.cells(2)
    return cells["II"]["accuracy"], _ood_score(cells)["accuracy"], "two-hop test"


def _ood_score(cells: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The OO cell, or with few OO queries all that need any held-out fact, as in `metrics.ood_accuracy`."""
    if cells["OO"]["n"] >= ENOUGH_OOD_QUERIES:
        return {**cells["OO"], "which": "both facts held out"}
    return {**_pooled([cells[cell] for cell in ("IO", "OI", "OO")]), "which": "any fact held out"}


def _pooled(scores: Rows) -> dict[str, Any]:
    """The score of several sets of queries together."""
    correct, n = sum(s["correct"] for s in scores), sum(s["n"] for s in scores)
    low, high = wilson(correct, n) if n else (None, None)
    return {"correct": correct, "n": n, "accuracy": correct / n if n else None, "low": low, "high": high}


def _grok_seconds(evidence: Evidence) -> list[float]:
    """For each seed that got there: when it had reached 95 % both in and out of distribution."""
    both = ((grok["id_95"], grok["ood_95"], seed) for seed, grok in evidence.groks.items())
    measured = {seed: found["validation"] for seed, found in evidence.summaries.items()}
    times = ([t for t, name in ((i, "id"), (o, "ood")) if measured[seed][name] is not None] for i, o, seed in both)
    return [max(t["seconds"] for t in found) for found in times if found and all(found)]


def _over_seeds(evidence: Evidence) -> str:
    seeds = evidence.evaluation["seeds"] if evidence.evaluation else len(evidence.looks)
    return f" (mean of {seeds} seeds)" if seeds > 1 else " (one seed)"


def _trained(evidence: Evidence) -> str:
    return duration(mean_of(s["train_seconds"] for s in evidence.summaries.values()) or 0)


def notes(evidence: Evidence) -> list[str]:
    """What is missing from the run, each with the command that makes it."""
    name, found = shlex.quote(evidence.run.path.name), []
    if evidence.unfinished:
        seeds = ", ".join(map(str, evidence.unfinished))
        found.append(
            f"Seed{'s' if len(evidence.unfinished) > 1 else ''} {seeds} of {evidence.seeds} not finished: "
            f"'grokhop train GRAPH --resume -o {name}' goes on."
        )
    if evidence.evaluation is None:
        found.append(f"No test query has been asked: 'grokhop eval {name}' asks them and makes {EVAL}.")
    elif evidence.evaluation["seeds"] < evidence.seeds - len(evidence.unfinished):
        found.append(f"{EVAL} is of {plural(evidence.evaluation['seeds'], 'seed')}: 'grokhop eval {name}' asks all.")
    if not evidence.held_out:
        found.append(
            "No fact was held out of the training chains, so nothing here tells reasoning out of distribution from "
            "recall: 'grokhop ingest ... --holdout 0.1' holds some out."
        )
    return found


def _tiles(evidence: Evidence) -> Rows:
    score_id, score_ood, of = _headline(evidence)
    tiles = [
        {"name": "in distribution", "value": percent(score_id), "kind": "id", "note": f"{of} queries"},
        {"name": "out of distribution", "value": percent(score_ood), "kind": "ood", "note": f"{of} queries"},
    ]
    if evidence.evaluation is not None:
        ood = _ood_score(evidence.cells(2))
        tiles[0]["note"] = _with_n(evidence.cells(2)["II"])
        tiles[1]["note"] = f"{_with_n(ood)}; {ood['which']}"
    untrained = evidence.run.settings.hops + 1
    long = evidence.cells(untrained).get("0")
    if long and long["n"]:
        name = f"{untrained} hops, never trained"
        tiles.append({"name": name, "value": percent(long["accuracy"]), "kind": "untrained", "note": _with_n(long)})
    reached = _grok_seconds(evidence)
    if reached:
        between = f" ({duration(min(reached))} to {duration(max(reached))})" if len(set(reached)) > 1 else ""
        note = f"on validation queries{between}; whole training {_trained(evidence)}"
        tiles.append(
            {"name": "to 95 % ID and OOD", "value": duration(mean_of(reached) or 0), "kind": "time", "note": note}
        )
    return tiles


def _with_n(score: dict[str, Any]) -> str:
    return f"{interval(score)}, n\u00a0=\u00a0{count(score['n'])}"


def _facts(evidence: Evidence) -> list[tuple[str, str]]:
    """What a reader must know to compare this run with another."""
    run, settings, model = evidence.run, evidence.run.settings, evidence.run.settings.model
    counts, hardware = run.graph_manifest["counts"], run.manifest["hardware"]
    parameters = _parameters(run, [s for s in range(evidence.seeds) if s not in evidence.unfinished])
    size = f"{parameters:,} parameters; " if parameters else ""
    preset_, threads = run.manifest["preset"], run.manifest.get("threads", hardware["cores"])
    versions = [f"{name} {version}" for name, version in run.manifest["versions"].items()]
    sizes = [
        plural(counts["facts"], "fact"),
        f"{counts['entities']:,} entities",
        plural(counts["relations"], "relation"),
    ]
    shape = [
        f"{plural(model.layers, 'layer')} in the looped block",
        f"width {model.width}",
        plural(model.heads, "head"),
    ]
    training = [
        f"preset {preset_}",
        plural(evidence.seeds, "seed"),
        f"budget {_budget(run.manifest['budget'])} each",
        f"batches of {settings.batch_rows} rows",
        f"learning rates {settings.muon_rate:g} (Muon) and {settings.adam_rate:g} (AdamW)",
    ]
    return [
        ("Graph", ", ".join(sizes)),
        ("Hold-out", _holdout(evidence)),
        ("Model", f"{size}{', '.join(shape)}; trained on chains of up to {settings.hops} hops"),
        ("Training", ", ".join(training)),
        ("Hardware", f"{hardware['processor']}, {plural(threads, 'thread')}; {hardware['system']}"),
        ("Date", run.manifest["created"].replace("T", " ").replace("+00:00", " UTC")),
        ("Versions", ", ".join(versions)),
    ]


def _holdout(evidence: Evidence) -> str:
    if not evidence.held_out:
        return "none"
    record, counts = evidence.run.graph_manifest["holdout"], evidence.run.graph_manifest["counts"]
    how = {"pair": "by (subject, relation) pair", "question": "by question", "file": "as the source files mark them"}
    share = f", share {record['share']:g}" if record.get("share") else ""
    facts = f"{plural(evidence.held_out, 'fact')} ({percent(evidence.held_out / counts['facts'])})"
    parts = f"{counts['held_out_validation']:,} for validation, {counts['held_out_test']:,} for test"
    return f"{facts} {how.get(record.get('unit', ''), '')}{share}: {parts}"


def _parameters(run: Run, finished: list[int]) -> int | None:
    """Counted from the header of a seed's weights; None before there are any."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(run.seed_folder(finished[0]) / WEIGHTS, framework="numpy") as weights:
            shapes = [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118
            return sum(int(prod(shape)) for shape in shapes)
    except (IndexError, OSError, SafetensorError):
        return None


# --- sections --------------------------------------------------------------------------------------------------


def _graph(evidence: Evidence) -> dict[str, Any]:
    graph, counts = evidence.run.graph, evidence.run.graph_manifest["counts"]
    observed = {s["name"]: s["observed"] for s in evidence.run.graph_manifest["sources"]}
    facts = np.bincount(graph.relation, minlength=len(graph.relations))
    order = np.argsort(-facts, kind="stable")[:MOST_RELATIONS]
    relations = [
        {"relation": graph.relations[r], "facts": int(facts[r]), "examples": _examples(graph, int(r))}
        for r in order
        if facts[r]
    ]
    return {
        "sources": [{"name": n, "facts": f, "observed": observed.get(n, True)} for n, f in counts["by_source"].items()],
        "counts": counts,
        "relations": relations,
        "more": max(0, int((facts > 0).sum()) - len(relations)),
        "chains": [
            {"kind": kind, "text": text, "steps": steps}
            for kind, text, mask in (
                ("id", "Two facts that training may put together", graph.part == Part.TRAIN),
                ("ood", "Two held-out facts, put together only in the test", graph.part == Part.TEST),
            )
            if (steps := _chain(graph, mask))
        ],
    }


def _examples(graph: Graph, relation: int) -> list[tuple[str, str]]:
    rows = np.flatnonzero((graph.relation == relation) & graph.is_observed)[:2]
    return [(graph.entities[graph.head[i]].label, graph.entities[graph.tail[i]].label) for i in rows]


def _chain(graph: Graph, mask: Any) -> list[str] | None:
    """The labels h, r1, b, r2, t of a path over facts in the mask; two different relations where there are such."""
    first = np.flatnonzero(mask & graph.is_observed)[:5000]
    row, second = Chaining(graph).facts_of_heads(graph.tail[first].astype(np.int64))
    first = first[row]
    good = mask[second] & graph.is_observed[second] & (graph.tail[second] != graph.head[first])
    first, second = first[good], second[good]
    if not len(first):
        return None
    i = int(np.argmax(graph.relation[first] != graph.relation[second]))
    a, b = first[i], second[i]
    ends = [graph.entities[e].label for e in (graph.head[a], graph.tail[a], graph.tail[b])]
    return [ends[0], graph.relations[graph.relation[a]], ends[1], graph.relations[graph.relation[b]], ends[2]]


def _phi(evidence: Evidence) -> dict[str, Any]:
    measured = evidence.phi
    after, target = measured["trainable"], measured["target"]
    before = {row["relation"]: row["phi"] for row in measured["per_relation"]}
    augmentation = _augmentation(evidence.run.graph_manifest)
    observed = {row["relation"]: row["phi_before"] for row in augmentation.get("per_relation", [])}
    used = sorted(after["per_relation"], key=lambda row: -row["facts"])[:MOST_RELATIONS]
    rows = [
        {
            "relation": row["relation"],
            "after": row["phi"],
            "before": before.get(row["relation"]) if evidence.held_out and not observed else None,
            "observed": observed.get(row["relation"]),
        }
        for row in sorted(used, key=lambda row: -row["phi"])
    ]
    return {
        "heading": _phi_heading(after, target),
        "after": after,
        "before": measured,
        "target": target,
        "augmentation": augmentation,
        "shown": len(rows),
        "figure": figures.phi_bars(rows, target=target) if rows else None,
    }


def _phi_heading(after: dict[str, Any], target: float) -> str:
    rows, failing = after["per_relation"], after["failing"]
    if not failing:
        lowest = min(rows, key=lambda row: row["phi"])
        return f"Every relation reaches the target phi of {target:g}: the lowest has {lowest['phi']:.1f}"
    stay = "stays" if len(failing) == 1 else "stay"
    return f"{len(failing)} of {plural(len(rows), 'relation')} {stay} below the target phi of {target:g}"


def _augmentation(manifest: dict[str, Any]) -> dict[str, Any]:
    """The report of the augmentation that made the graph; empty where no fact was added."""
    record = manifest.get("augment") or {}
    return dict(record) if record.get("added") else {}


def _learning(evidence: Evidence) -> dict[str, Any] | None:
    if not evidence.looks:
        return None
    untrained = str(evidence.run.settings.hops + 1)
    return {
        "heading": _learning_heading(evidence),
        "seeds": len(evidence.looks),
        "figure": figures.curves(evidence.looks, evidence.groks, untrained=untrained),
        "times": [
            {"seed": seed, "finished": seed not in evidence.unfinished, **found}
            for seed, found in evidence.summaries.items()
        ],
    }


def _learning_heading(evidence: Evidence) -> str:
    times = {
        name: [grok[name]["seconds"] for grok in evidence.groks.values() if grok[name]] for name in ("id_95", "ood_95")
    }
    seeds = len(evidence.groks)
    if not times["ood_95"]:
        return "Out of distribution, 95 % was not reached" if evidence.held_out else "How accuracy grew"
    ood = mean_of(times["ood_95"]) or 0.0
    if len(times["ood_95"]) < seeds:
        return f"{len(times['ood_95'])} of {plural(seeds, 'seed')} reached 95 % out of distribution"
    if len(times["id_95"]) < seeds:
        return f"95 % out of distribution came after {duration(ood)}"
    id_ = mean_of(times["id_95"]) or 0.0
    if ood == id_:
        return f"95 % out of distribution came at {duration(ood)}, together with 95 % in distribution"
    order = "after" if ood > id_ else "before"
    return f"95 % out of distribution came at {duration(ood)}, {duration(abs(ood - id_))} {order} 95 % in distribution"


def _cells(evidence: Evidence) -> dict[str, Any] | None:
    if evidence.evaluation is None:
        return None
    trained = evidence.run.settings.hops
    rows: Rows = []
    for hops, cells in sorted((int(hops), cells) for hops, cells in evidence.evaluation["cells"].items()):
        for cell, score in cells.items():
            meaning = _MEANING.get(cell) or f"{cell} of {hops} facts held out"
            label = f"{hops} hops, {cell}" + ("" if cell in _MEANING else " held out")
            rows.append(
                {**score, "cell": cell, "label": label, "meaning": meaning, "untrained": hops > trained, "hops": hops}
            )
    extra = {
        "atomic": ("facts on their own", "every fact is trained as an atomic fact"),
        "atomic_held_out": ("held-out facts on their own", "trained as atomic facts only"),
    }
    atomic = [
        {**evidence.evaluation[k], "label": a, "meaning": m} for k, (a, m) in extra.items() if k in evidence.evaluation
    ]
    return {"heading": _cells_heading(rows, trained), "rows": rows, "atomic": atomic, "figure": figures.cell_dots(rows)}


def _cells_heading(rows: Rows, trained: int) -> str:
    known = [row for row in rows if row["n"] and row["hops"] <= trained]
    if not known:
        return "No test query fell in any cell"
    worst = min(known, key=lambda row: row["accuracy"])
    sizes = "two-hop" if trained == 2 else f"2- to {trained}-hop"
    if worst["accuracy"] == 1:
        start = f"Every {sizes} test query was answered by every seed"
    else:
        start = f"{percent(worst['accuracy'])} or more in every {sizes} cell"
    longer = [row for row in rows if row["n"] and row["hops"] > trained]
    if not longer:
        return start
    low = min(longer, key=lambda row: row["accuracy"])
    return f"{start}; {low['hops']} hops, never trained, {percent(low['accuracy'])} or more"


def _questions(evidence: Evidence) -> dict[str, Any] | None:
    """Questions of the graph by type and cell, and those that were missed, with the seeds that missed them."""
    found = (evidence.evaluation or {}).get("questions") or {}
    rows: Rows = []
    misses: dict[Any, dict[str, Any]] = {}
    for kind, by_cell in found.items():
        for cell, score in by_cell.items():
            rows.append({**score, "type": kind.replace("_", " "), "cell": cell})
            for miss in score.get("misses", []):
                key = (miss["id"], tuple(miss["read"]))
                misses.setdefault(key, {**miss, "type": kind, "cell": cell, "seeds": []})["seeds"].append(miss["seed"])
    if not rows:
        return None
    order = sorted(misses.values(), key=lambda miss: (miss["cell"] != "ood", -len(miss["seeds"])))
    ood = _pooled([row for row in rows if row["cell"] == "ood"])
    heading = "Questions in words, asked by their path"
    if ood["n"]:
        heading = f"{percent(ood['accuracy'])} of {plural(ood['n'], 'real question')} over held-out facts were answered"
    return {"heading": heading, "rows": rows, "misses": order[:_MOST_MISSES], "more": max(0, len(order) - _MOST_MISSES)}


def _hardest(evidence: Evidence) -> dict[str, Any] | None:
    if evidence.evaluation is None or not evidence.evaluation["per_pair"]:
        return None
    pairs = [row for row in evidence.evaluation["per_pair"] if row["n"]]
    roles = [
        {"relation": row["relation"], "role": role.replace("_", " "), **_pooled(list(row[role].values()))}
        for row in evidence.evaluation["per_relation"]
        for role in ("first_hop", "last_hop")
    ]
    queries: dict[str, int] = {}
    for row in pairs:
        for relation in row["relations"]:
            queries[relation] = queries.get(relation, 0) + row["n"]
    used = sorted(queries, key=lambda relation: -queries[relation])
    return {
        "heading": _hardest_heading(_missed(roles)),
        "roles": _missed(roles)[:_HARDEST],
        "pairs": _missed(pairs)[:_HARDEST],
        "missed_pairs": len(_missed(pairs)),
        "all_pairs": len(pairs),
        "shown": min(len(used), MOST_RELATIONS),
        "used": len(used),
        "figure": figures.pair_map(pairs, used[:MOST_RELATIONS]),
    }


def _missed(rows: Rows) -> Rows:
    """Those with a miss, surely hard ones first: by the upper end of the interval, so few queries prove little."""
    return sorted((row for row in rows if row["n"] and row["correct"] < row["n"]), key=lambda row: row["high"])


def _hardest_heading(roles: Rows) -> str:
    if not roles:
        return "No relation was missed in any two-hop test query"
    worst = roles[0]
    return f"Hardest: “{worst['relation']}” as {worst['role']}, {percent(worst['accuracy'])} right"


def _leakage(evidence: Evidence) -> dict[str, Any]:
    made = evidence.run.manifest["composed"]
    names = {
        "paths": "paths found over trainable facts",
        "chains": "chains trained",
        "atomic_rows": "atomic facts trained on their own",
        "held_out_facts": "facts held out of all chains",
        "validation_queries": "validation queries",
        "test_queries": "test queries",
        "leak_checked_pieces": "pieces of training chains checked for leaks",
        "leaked_facts": "held-out facts found in a training chain",
        "leaked_queries": "held-out queries found in a training chain",
    }
    leaks = made.get("leaked_facts", 0) + made.get("leaked_queries", 0)
    heading = f"{leaks:,} leaks" if leaks else "Nothing held out leaked into training"
    return {
        "heading": heading if "leak_checked_pieces" in made else "Leaks were not checked",
        "rows": [(names.get(name, name.replace("_", " ")), number) for name, number in made.items()],
    }


# --- how to make it again --------------------------------------------------------------------------------------


def commands(run: Run) -> list[str]:
    """The commands that make this run, from what its manifests recorded; lines that begin with # are remarks."""
    manifest, graph, name = run.manifest, run.graph_manifest, run.path.name
    train = ["grokhop", "train", _graph_name(graph), "--preset", manifest["preset"]]
    if run.settings.hops != PRESETS.get(manifest["preset"], run.settings).hops:
        train += ["--hops", str(run.settings.hops)]
    budget = _budget(manifest["budget"])
    train += ["--budget", budget] if budget != "none" else []
    train += ["--seeds", str(manifest["seeds"])]
    train += ["--threads", str(manifest["threads"])] if "threads" in manifest else []
    lines = [*_graph_commands(graph), shlex.join([*train, "-o", name])]
    if manifest["preset"] not in PRESETS or run.settings != preset(manifest["preset"], hops=run.settings.hops):
        lines.append(f"# manifest.json has settings that preset {manifest['preset']} of this release has not")
    return [*lines, shlex.join(["grokhop", "eval", name]), shlex.join(["grokhop", "report", name])]


def _graph_name(graph: dict[str, Any]) -> str:
    return "augmented" if graph.get("stage") == "augment" else "graph"


def _graph_commands(graph: dict[str, Any]) -> list[str]:
    if graph.get("stage") != "augment":
        return [_ingest_command(graph)]
    options = {k: v for k, v in graph.get("settings", {}).items() if k in ("target_phi", "seed") and v is not None}
    augment = ["grokhop", "augment", "graph", *_flags(options), "-o", _graph_name(graph)]
    return [_ingest_command(graph.get("ingest") or _ingest_of_built_in(graph)), shlex.join(augment)]


def _ingest_of_built_in(graph: dict[str, Any]) -> dict[str, Any]:
    """How the built-in graph was ingested before facts were added: its hold-out says all there is to say."""
    if graph["sources"][0]["name"] != "worldfacts" or graph["holdout"].get("unit") != "pair":
        return {}
    return {"settings": {"source": "worldfacts", "holdout": graph["holdout"]["share"]}}


def _ingest_command(manifest: dict[str, Any]) -> str:
    settings = manifest.get("settings", {})
    if "source" not in settings:
        return "# the graph folder 'graph': its manifest does not say by which command it was made"
    options = {k: v for k, v in settings.items() if k != "source" and v is not None}
    if "ood_questions" in options:
        options["ood_questions"] = Path(options["ood_questions"]).name
    files = [f["name"] for f in manifest.get("inputs", []) if f["name"] not in options.values()]
    inputs = {"worldfacts": [], "osu": ["DIR"]}.get(settings["source"], files)
    return shlex.join(["grokhop", "ingest", settings["source"], *inputs, *_flags(options), "-o", "graph"])


def _flags(options: dict[str, Any]) -> list[str]:
    return [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def _budget(budget: dict[str, Any]) -> str:
    seconds, steps = budget.get("seconds", float("inf")), budget.get("steps", 10**9)
    if seconds != float("inf"):
        return f"{seconds / 60:g}m" if seconds >= 120 and seconds % 60 == 0 else f"{seconds:g}s"
    return f"{steps} steps" if steps < 10**9 else "none"
