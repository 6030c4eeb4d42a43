"""Folders that are whole or absent, each with a manifest that says what it is and how it was made.

A stage reads folders and writes one. It is written aside under a hidden name and renamed when it is whole, so
that a stopped command leaves nothing half-written under the name that was asked for.
"""

import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from grokhop.core.errors import InputError
from grokhop.core.records import Conditions, Hardware

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
# The stage that makes each kind of folder, named in the message when one is missing.
MADE_BY = {"graph": "grokhop ingest", "run": "grokhop train", "sweep": "grokhop sweep"}
_RECORDED_VERSIONS = ("grokhop", "numpy", "pyarrow", "torch")


@contextmanager
def new_folder(path: Path, *, kind: str, manifest: dict[str, Any], force: bool = False) -> Iterator[Path]:
    """Yield a scratch folder beside `path`; give it a manifest and the name `path` when the block ends well.

    Raises:
        InputError: `path` exists and `force` is off, or it is not a grokhop folder of this kind.
    """
    path = Path(path)
    refuse_to_overwrite(path, kind=kind, force=force)
    new_parents = [parent for parent in path.parents if not parent.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    scratch.chmod(0o755)
    replaced = scratch.with_name(f"{scratch.name}.replaced")
    try:
        yield scratch
        made_with = conditions().to_dict()
        write_json(scratch / MANIFEST, {"kind": kind, "schema_version": SCHEMA_VERSION, **manifest, **made_with})
        if path.exists():
            path.rename(replaced)
        scratch.rename(path)
        shutil.rmtree(replaced, ignore_errors=True)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        for parent in new_parents:  # the deepest first; one in which something else was put meanwhile stays
            with suppress(OSError):
                parent.rmdir()
        raise


def refuse_inside(out: Path, graph: Path) -> None:
    """Let nothing be written into the graph folder that it is made from.

    Raises:
        InputError: `out` lies inside the folder `graph`.
    """
    if out.resolve().is_relative_to(graph.resolve()):
        raise InputError(f"{out} lies inside the graph folder {graph}: choose a name elsewhere with -o")


def refuse_to_overwrite(path: Path, *, kind: str, force: bool) -> None:
    """Let a stage fail before its work rather than after it.

    Raises:
        InputError: `path` exists and may not be replaced.
    """
    if not path.exists():
        return
    if not force:
        raise InputError(f"{path} exists: choose another name with -o, or replace it with --force")
    if not path.is_dir() or (any(path.iterdir()) and not is_kind(path, kind)):
        raise InputError(f"{path} is not a grokhop {kind} folder, so --force does not replace it: choose another name")


def is_kind(path: Path, kind: str) -> bool:
    """Whether the folder has a manifest that says so."""
    try:
        return bool(json.loads((path / MANIFEST).read_text())["kind"] == kind)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def read_manifest(path: Path, *, kind: str) -> dict[str, Any]:
    """Return the manifest of the grokhop folder `path`.

    Raises:
        InputError: there is no such folder, it is of another kind, damaged, or of a newer schema version.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist: '{MADE_BY[kind]}' makes a {kind} folder")
    if not (path / MANIFEST).is_file():
        raise InputError(f"{path} is not a grokhop {kind} folder (no {MANIFEST}): '{MADE_BY[kind]}' makes one")
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        found, version = manifest["kind"], int(manifest["schema_version"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path / MANIFEST} is damaged ({error}): make the folder again") from error
    if version > SCHEMA_VERSION:
        raise InputError(
            f"{path} has schema version {version}, this grokhop reads up to {SCHEMA_VERSION}: upgrade grokhop"
        )
    if found != kind:
        raise InputError(f"{path} is a {found} folder, not a {kind} folder: '{MADE_BY[kind]}' makes one")
    return dict(manifest)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON so that a reader sees the old file or the new one, never a part."""
    write_bytes(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` aside and rename it over `path`."""
    aside = path.with_name(f".{path.name}.aside")
    aside.write_bytes(data)
    aside.replace(path)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, for manifests."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def conditions() -> Conditions:
    """Return when, with what and on what this was made: date, versions and hardware."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Conditions(created=now, versions=_versions(), hardware=hardware())


def hardware() -> Hardware:
    """Return the processor's name, the cores this process may use, and the system."""
    return Hardware(processor=_processor(), cores=_cores(), system=platform.platform())


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in _RECORDED_VERSIONS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
