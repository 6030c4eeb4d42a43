"""Reading input files whatever their name says: gzip by content, every failure one line for a person."""

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

from grokhop.core.errors import InputError

_GZIP = b"\x1f\x8b"


def require_file(path: Path) -> Path:
    """Return `path` as a `Path`.

    Raises:
        InputError: there is no such file, it is a folder, or it is empty.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist: check the name")
    if path.is_dir():
        raise InputError(f"{path} is a folder: name the files in it")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty: give a file with data")
    return path


def is_gzip(path: Path) -> bool:
    """Whether the content, not the name, is gzip."""
    with path.open("rb") as file:
        return file.read(2) == _GZIP


def head(path: Path, size: int = 65536) -> bytes:
    """Return the first bytes of a file, unpacked.

    Raises:
        InputError: a gzip file that cannot be unpacked.
    """
    return _read(path, size)


def text(path: Path) -> str:
    """Return the whole text of a UTF-8 file, gzipped or not.

    Raises:
        InputError: the file is missing, empty, damaged or not text.
    """
    data = _read(require_file(path))
    try:
        decoded = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}): give a text file, gzipped or not") from error
    if not decoded.strip():
        raise InputError(f"{path} is empty: give a file with data")
    return decoded


def _read(path: Path, size: int = -1) -> bytes:
    try:
        with gzip.open(path) if is_gzip(path) else path.open("rb") as file:
            return bytes(file.read(size))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path} is a damaged gzip file ({error}): fetch it again") from error


def json_objects(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a JSON array, or of JSON lines.

    Raises:
        InputError: the file is unreadable, not JSON, or holds something other than objects.
    """
    content = text(path)
    values = _array(path, content) if content.lstrip().startswith("[") else _lines(path, content)
    for number, value in enumerate(values, 1):
        if not isinstance(value, dict):
            raise InputError(f"{path}, record {number}: expected a JSON object, not {json.dumps(value)[:40]}")
    if not values:
        raise InputError(f"{path} holds no records: give a file with at least one")
    return values


def _array(path: Path, content: str) -> list[Any]:
    try:
        return list(json.loads(content))
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}): give a JSON array or JSON lines") from error


def _lines(path: Path, content: str) -> list[Any]:
    values = []
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            values.append(json.loads(line))
        except ValueError as error:
            raise InputError(f"{path}, line {number} is not JSON ({error}): give a JSON array or JSON lines") from error
    return values
