"""What commands share: options, and how a result is printed."""

import json
import sys
from typing import Annotated, Any

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


def emit(result: dict[str, Any], as_json: bool, show: Any) -> None:
    """Print a result as JSON for programs, or through `show` for people."""
    if as_json:
        sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")
    else:
        show(result)
