"""What commands share: options, settings out of a file, and how a result is printed."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from grokhop.config import DEFAULT, RunConfig, changed, described, merged, preset, read_config
from grokhop.config.schema import LEARNED, sections
from grokhop.config.settings import spelt
from grokhop.core.errors import InputError
from grokhop.core.records import Record
from grokhop.core.registry import nearest

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Threads; all cores if left out.")]
Device = Annotated[str | None, typer.Option("--device", help="cpu, cuda, mps, or auto for cuda where there is one.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.NAME=VALUE", help="Any setting below.", show_default=False),
]
Out = Annotated[Path, typer.Option("--output", "-o", help="The folder to make.", show_default=False)]
Files = Annotated[list[Path], typer.Argument(help="One file or several.", metavar="FILES", show_default=False)]
Force = Annotated[bool, typer.Option("--force", help="Replace the folder if it exists.")]
Holdout = Annotated[float, typer.Option("--holdout", help="Share of facts held out of every composition.")]
QuestionHoldout = Annotated[float, typer.Option("--holdout", help="Share of questions whose facts are held out.")]
OodQuestions = Annotated[Path | None, typer.Option(help="Hold out every fact that the questions of this file use.")]
FILE = "grokhop.file"


def _read(context: typer.Context, path: Path | None) -> None:
    """Let the section of the command's name set options that are left out, and keep the others for `settings_of`."""
    record = read_config(path) if path is not None else {}
    command = str(context.info_name)
    commands = getattr(context.find_root().command, "commands", {})
    known = ["preset", *sections(), *commands]
    for name in record:
        if name not in known:
            raise InputError(f"{path}: {name!r} is no section{nearest(name, known)}")
    context.meta[FILE] = (path, record)
    if command == "train" and context.parent is context.find_root():
        return  # its section holds settings, not options
    own = {**_resources(context, record), **_by_parameter(context, record.get(command), path)}
    context.default_map = {**own, **(context.default_map or {})}


def _resources(context: typer.Context, record: Mapping[str, Any]) -> Mapping[str, object]:
    """What the file says of resources and of the preset, for options of the same name."""
    resources = record.get("resources")
    found = dict(resources) if isinstance(resources, dict) else {}
    preset_name = {"presets": record["preset"], "preset": record["preset"]} if record.get("preset") else {}
    options = {str(parameter.name) for parameter in context.command.params}
    return {name: value for name, value in {**found, **preset_name}.items() if name in options and value is not None}


def _by_parameter(context: typer.Context, own: Any, path: Path | None) -> dict[str, Any]:
    """Options of a file's section by the names of the command's parameters, whichever name of theirs it uses."""
    if not isinstance(own or {}, dict):
        raise InputError(f"{path}: {context.info_name} must hold options as NAME: VALUE, not {own!r}")
    parameters = context.command.params
    names = {o.lstrip("-").replace("-", "_"): str(p.name) for p in parameters for o in (*p.opts, str(p.name))}
    found = {}
    for name, value in (own or {}).items():
        plain = str(name).replace("-", "_")
        if plain not in names:
            raise InputError(f"{path}: {context.info_name} has no option {name!r}{nearest(plain, sorted(names))}")
        found[names[plain]] = value
    return found


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="YAML whose section of this command's name sets options that are left out.",
        is_eager=True,
        callback=_read,
        show_default=False,
    ),
]
Settings = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="YAML with any of the settings below by section, such as a run's config.yaml.",
        is_eager=True,
        callback=_read,
        show_default=False,
    ),
]


class SettingsCommand(TyperCommand):
    """A command that takes all settings of a run, and whose help explains each."""

    def format_help(self, *args: Any) -> None:
        super().format_help(*args)
        from rich.table import Table

        from grokhop.cli.console import out

        title = "Settings, for --set and --config"
        width = min(out.width, 80)
        table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0), width=width)
        table.add_column("name and default", no_wrap=True)
        table.add_column("meaning")
        for one in described():
            if one.name.startswith("augment."):
                continue  # which is no setting of a training
            table.add_row(f"[bold]{one.name}[/bold]\n  {one.shown}", one.meaning)
        out.print(table)


def changes_of(context: typer.Context, changes: Iterable[str]) -> list[str]:
    """Return the settings of the file as `SECTION.NAME=VALUE`, and behind them those of the command line."""
    _, record = context.meta.get(FILE, (None, {}))
    in_file = [
        f"{section}.{name}={spelt(value)}" for section in LEARNED for name, value in (record.get(section) or {}).items()
    ]
    return [*in_file, *changes]


def settings_of(
    context: typer.Context, begin_with: str | RunConfig | None, changes: Iterable[str], **own: dict[str, Any]
) -> RunConfig:
    """Return the settings that a command line asks for: first a preset's, then the file's, then those of its options.

    Args:
        begin_with: the preset, or settings of one; None for the file's or the default.
        own: by section, settings for which a command has options of its own; those that are None were left out.

    Raises:
        InputError: a name is unknown or a value is wrong.
    """
    changes = list(changes)
    path, record = context.meta.get(FILE, (None, {}))
    name = begin_with or str(record.get("preset") or DEFAULT)
    settings = preset(name) if isinstance(name, str) else name
    in_file = {section: record[section] for section in (*LEARNED, "resources") if record.get(section) is not None}
    if isinstance(begin_with, str) and "model" in in_file and record.get("preset") not in (None, begin_with):
        raise InputError(
            f"{path} holds the settings of preset {record['preset']}, and --preset says {begin_with}: leave one out"
        )
    of_augment = next((change for change in changes if change.startswith("augment.")), None)
    if of_augment:
        raise InputError(f"--set {of_augment!r}: facts are added by 'grokhop augment', before any training")
    settings = merged(settings, in_file, where=str(path))
    chosen = {s: {k: v for k, v in values.items() if v is not None} for s, values in own.items()}
    settings = merged(settings, chosen, where="the options")
    return changed(settings, changes)


def emit(result: Record | dict[str, Any], as_json: bool, show: Callable[[Any], None]) -> None:
    """Print a result as JSON for programs, or through `show` for people."""
    if as_json:
        record = result if isinstance(result, dict) else result.to_dict()
        sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
    else:
        show(result)
