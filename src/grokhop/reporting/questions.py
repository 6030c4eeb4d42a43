"""The section on the graph's own questions, and what was missed of them."""

from typing import Any

from grokhop.core.formatting import percent, plural
from grokhop.reporting.evidence import Evidence, Row
from grokhop.runs.summary import pooled

_MOST_MISSES = 40
_FACTS = {
    "id": "in distribution",
    "ood": "out of distribution",
    "mixed": "some held out",
    "validation": "held out, for validation",
}
_SHORT = {"id": "ID", "ood": "OOD"}


def questions_section(evidence: Evidence) -> dict[str, Any] | None:
    """Questions of the graph by type and cell, and those that were missed, with the seeds that missed them."""
    found = (evidence.evaluation or {}).get("questions") or {}
    rows: list[Row] = []
    misses: dict[Any, dict[str, Any]] = {}
    for kind, by_cell in found.items():
        for cell, score in by_cell.items():
            rows.append({**score, "type": kind.replace("_", " "), "cell": cell, "facts": _FACTS.get(cell, cell)})
            for miss in score.get("misses", []):
                key = (miss["id"], tuple(miss["read"]))
                misses.setdefault(key, {**miss, "cell": cell, "facts": _SHORT.get(cell, cell), "seeds": []})
                misses[key]["seeds"].append(miss["seed"])
    if not rows:
        return None
    order = sorted(misses.values(), key=lambda miss: (miss["cell"] != "ood", -len(miss["seeds"])))
    ood = pooled(evidence.questions("ood"))
    heading = "Questions, asked in their words"
    if ood["n"]:
        heading = f"{percent(ood['accuracy'])} of {plural(ood['n'], 'real question')} over held-out facts were answered"
    return {
        "heading": heading,
        "rows": rows,
        "parsed": (evidence.evaluation or {}).get("parsed"),
        "rules": [rule for rule in (evidence.evaluation or {}).get("rules", []) if rule["examples"]],
        "all_right": all(row["correct"] == row["n"] for row in rows),
        "misses": order[:_MOST_MISSES],
        "more": max(0, len(order) - _MOST_MISSES),
    }
