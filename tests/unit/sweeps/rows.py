"""Rows of a sweep that no training was needed for."""

from typing import Any

from grokhop.core.statistics import CellScore
from grokhop.runs.sweep_result import SweepRow


def sweep_row(**changes: Any) -> SweepRow:
    """A row of which nothing was asked and nothing reached, with some changes."""
    row: dict[str, Any] = {
        "level": "1",
        "phi": 1.0,
        "trained": {"2": 10},
        "trainable_facts": 10,
        "seeds": [0],
        "id": CellScore(),
        "ood": CellScore(),
        "asked": {"id": "queries", "ood": "queries"},
        "cells": {},
        "untrained": {},
        "comparison": {},
        "questions": {},
        "grok": {"train_99": [None], "id_95": [None], "ood_95": [None]},
        "train_seconds": [1.0],
        "steps": [100],
        "per_relation": [],
    }
    return SweepRow(**{**row, **changes})
