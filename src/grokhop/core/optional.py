"""Libraries that only an extra installs, asked for by name."""

import sys
from typing import Any

from grokhop.core.errors import InputError


def imported(module: str, otherwise: str) -> Any:
    """Import a module of a library that may be missing.

    Raises:
        InputError: it is not installed; the message is `otherwise`.
    """
    try:
        __import__(module)
    except ImportError as error:
        raise InputError(otherwise) from error
    return sys.modules[module]


def library() -> Any:
    """The library transformers.

    Raises:
        InputError: it is not installed.
    """
    return imported(
        "transformers", "models of Hugging Face need the library transformers: pip install 'grokhop[pretrained]'"
    )
