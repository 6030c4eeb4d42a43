"""Libraries that only an extra installs, asked for by name."""

from typing import TYPE_CHECKING, Any

from grokhop.core.errors import InputError

if TYPE_CHECKING:
    pass


def library() -> Any:
    """The library transformers.

    Raises:
        InputError: it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise InputError(
            "models of Hugging Face need the library transformers: pip install 'grokhop[pretrained]'"
        ) from error
    return transformers
