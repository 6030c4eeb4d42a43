"""What commands share: options, and how a result is printed."""

import json
import sys
from collections.abc import Callable
from typing import Annotated, Any, Protocol

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Threads; all cores if left out.")]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Any setting of the preset, such as optimizer=grokfast or model.n_layers=4.",
        show_default=False,
    ),
]


class Record(Protocol):
    """A result that is an object of its own, and a dictionary as JSON."""

    def to_dict(self) -> dict[str, Any]: ...


def emit(result: Record | dict[str, Any], as_json: bool, show: Callable[[Any], None]) -> None:
    """Print a result as JSON for programs, or through `show` for people."""
    if as_json:
        record = result if isinstance(result, dict) else result.to_dict()
        sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
    else:
        show(result)
