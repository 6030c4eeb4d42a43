"""The report of an augmentation, as `grokhop augment` prints it and the manifest of the graph keeps it."""

from dataclasses import dataclass, field
from typing import Any

from grokhop.core.records import OMITTED, Record


@dataclass(frozen=True, kw_only=True)
class RelationAugment(Record):
    """The work of an augmentation on one relation.

    Attributes:
        missing_before: the paths that it lacked; as first and as later hop, those that it lacked of a role's share.
        reachable: whether any added facts could bring it to the target.
    """

    relation: str
    facts: int
    added: int
    missing_before: int
    missing_first_hop_before: int
    missing_last_hop_before: int
    phi_before: float
    phi_after: float
    first_hop_paths_before: int
    first_hop_paths_after: int
    last_hop_paths_before: int
    last_hop_paths_after: int
    passes: bool
    reachable: bool


@dataclass(frozen=True, kw_only=True)
class Unreachable(Record):
    """A relation that stays below the target, and why."""

    relation: str
    phi: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class AugmentReport(Record):
    """The added facts, and the phi of trainable facts before and after.

    Attributes:
        by_source: how many facts were added from each source.
        rejected: how many proposed facts were not added, by reason.
        lower_bound: a number of facts that no plan at all could do with less.
        passes: whether every reachable relation reaches the target. `passes_all`: whether every relation does.
        wanted: how many facts of each relation an endpoint is asked for.
        llm: what the endpoint was sent, and its cost; None where none was asked.
    """

    added: int
    by_source: dict[str, int]
    rejected: dict[str, int]
    lower_bound: int
    target: float
    denominator: str
    facts: int
    entities_added: int
    max_degree: int
    phi_before: float
    phi_after: float
    passes: bool
    passes_all: bool
    per_relation: list[RelationAugment]
    unreachable: list[Unreachable]
    wanted: dict[str, int]
    llm: dict[str, Any] | None = field(default=None, metadata=OMITTED)
