"""The section on leakage: what was composed, and what the check compared."""

from dataclasses import dataclass

from grokhop.reporting.evidence import Evidence


@dataclass(frozen=True, kw_only=True)
class LeakageSection:
    """The section on leakage; `rows` are counts with their names."""

    heading: str
    rows: list[tuple[str, int]]


def leakage_section(evidence: Evidence) -> LeakageSection:
    made = evidence.run.manifest["composed"]
    names = {
        "paths": "paths found over trainable facts",
        "chains": "chains trained",
        "atomic_rows": "atomic facts trained on their own",
        "held_out_facts": "facts held out of all chains",
        "held_out_rows": "of these trained on their own",
        "validation_queries": "validation queries",
        "test_queries": "test queries",
        "leak_checked_pieces": "pieces of training chains checked for leaks",
        "leaked_facts": "held-out facts found in a training chain",
        "leaked_queries": "held-out queries found in a training chain",
    }
    leaks = made.get("leaked_facts", 0) + made.get("leaked_queries", 0)
    heading = f"{leaks:,} leaks" if leaks else "Nothing held out leaked into training"
    return LeakageSection(
        heading=heading if "leak_checked_pieces" in made else "Leaks were not checked",
        rows=[(names.get(name, name.replace("_", " ")), number) for name, number in made.items()],
    )
