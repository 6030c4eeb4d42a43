"""A client of any OpenAI-compatible endpoint that cannot overspend and never pays twice for one answer.

What a language model writes is not trusted: a reply is parsed into a schema, or counted by the reason why not.
A request is sent only if its worst case fits in what is left of the budget, so that the budget is never passed by
an endpoint that keeps to `max_completion_tokens` and counts at most one token for each byte. Answers are kept in a
cache folder; a run that was stopped begins again from there without a request.

The key is read from the environment (`KEYS`) and goes into the Authorization header, nowhere else: what an
endpoint echoes of it is blanked before it is kept or shown.
"""

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from urllib.parse import SplitResult, urlsplit

from grokhop.core.artifacts import write_bytes
from grokhop.core.errors import InputError

if TYPE_CHECKING:
    import openai
    from openai.types.shared_params import ResponseFormatJSONSchema
    from pydantic import BaseModel


T = TypeVar("T", bound="BaseModel")

KEYS = ("GROKHOP_API_KEY", "OPENAI_API_KEY")
"""The variables that may hold the key; the first that is set is used, for whatever endpoint is asked."""
TRIES = 4
"""Requests for one prompt, when the endpoint is busy, fails or does not answer."""
MOST_WAIT = 60.0
"""Seconds between two of them, whatever Retry-After says."""
MOST_COMPLETION = 4096
"""Tokens that one reply may have; more than some endpoints allow would be refused by them."""
LEAST_COMPLETION = 64
"""With less than this left no reply would be whole."""
OVERHEAD = 256
"""Tokens that an endpoint may put around a prompt: a chat template, a system message."""
MOST_BYTES = 1_000_000
"""Of one reply; the rest is not read."""

TRUNCATED = "the reply was cut off"
VIOLATION = "the reply does not follow the schema"
REFUSED = "the model refused"
EMPTY = "the reply is empty"
GARBLED = "the reply is no chat completion"
TOO_LONG = "the reply is too long"
BUSY = "the endpoint is busy"
BROKEN = "the endpoint failed"
SILENT = "the endpoint did not answer in time"
UNREACHABLE = "the endpoint cannot be reached"
REJECTED = "the endpoint rejects the request"

_ADDRESS = "check the address, which ends in /v1 as a rule, and the model's name"
_PASSING: dict[int, str] = {408: SILENT, 409: BUSY, 425: BUSY, 429: BUSY}
"""Statuses below 500 that may pass by waiting."""
_LATE = (408, 504, 524)
"""Statuses of a gateway that gave up on a reply, which may have been written and charged for all the same."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where facts are asked for, and what that may cost. One request is under way at a time.

    Attributes:
        base_url: up to and without /chat/completions; ends in /v1 as a rule.
        cache: the folder of the answers. It holds prompts and replies, never the key.
        max_requests: at most so many are sent, each try counted.
        max_tokens: prompts and replies together.
        batch: how many facts one request asks for.
        timeout: seconds until a reply has to be there.

    Raises:
        InputError: a value makes no sense, or the address holds a key.
    """

    base_url: str
    model: str
    cache: Path
    max_requests: int = 200
    max_tokens: int = 200_000
    batch: int = 20
    timeout: float = 120.0

    def __post_init__(self) -> None:
        url = _split(self.base_url)
        if url is None or url.username or url.password or url.query or url.fragment:
            raise InputError(
                "the endpoint's address is not a plain http:// or https:// address: give it without a name, key or "
                f"query in it, and the key in {KEYS[0]}"
            )
        if not self.model.strip():
            raise InputError("the endpoint's model has no name: give the one that the endpoint lists under /v1/models")
        for name in ("max_requests", "max_tokens", "batch", "timeout"):
            value = getattr(self, name)
            if not isfinite(value) or value <= 0:
                raise InputError(f"the endpoint's {name} is {value}: give a number above 0")

    def record(self) -> dict[str, str | float]:
        """What a manifest keeps."""
        return {name: value for name, value in asdict(self).items() if name != "cache"}


@dataclass(kw_only=True)
class Usage:
    """What was spent and what became of it.

    Attributes:
        requests: sent, the tries again included, which `retries` counts.
        cached: prompts that were answered from the cache.
        prompt_tokens, completion_tokens: as the endpoint counts them, or the most that it can have been.
        failures: prompts without a usable answer, and parts of answers that were left, by reason.
        spent: which budget is used up, once one is.
    """

    requests: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    retries: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    spent: str = ""

    @property
    def tokens(self) -> int:
        """Prompts and replies together."""
        return self.prompt_tokens + self.completion_tokens

    def record(self) -> dict[str, int | str | dict[str, int]]:
        """What a manifest keeps."""
        return {**asdict(self), "failures": dict(self.failures)}

    def cost_line(self) -> str:
        """The same for people."""
        line = (
            f"{self.requests:,} requests ({self.retries:,} of them tried again), {self.cached:,} answers from the "
            f"cache; {self.prompt_tokens:,} tokens of prompts and {self.completion_tokens:,} of replies"
        )
        failures = ", ".join(f"{reason} ({n:,})" for reason, n in self.failures.most_common())
        return "; ".join(part for part in (line, failures, self.spent) if part)


class BudgetError(Exception):
    """The next request might pass the budget, so it was not sent; the message says which."""


class _AskError(Exception):
    """One prompt has no usable answer, for the reason that is the message."""


class _PassingError(Exception):
    """A failure that may pass by waiting."""

    def __init__(self, reason: str, *, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class _FormatError(Exception):
    """The endpoint does not know `response_format`, it seems."""


@dataclass(frozen=True, kw_only=True)
class _Reply:
    content: str
    finish: str
    refused: bool


class Client:
    """Asks one endpoint.

    Args:
        sleep: waits for so many seconds.

    Raises:
        InputError: the extra is not installed, the key cannot be one, or the cache folder cannot be made.
    """

    def __init__(self, endpoint: Endpoint, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.endpoint, self.usage = endpoint, Usage()
        self._sleep = sleep
        self._openai = _connect(endpoint)
        self._structured = True  # until the endpoint turns out not to know response_format
        self._reached = False
        try:
            endpoint.cache.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{endpoint.cache} cannot be a cache folder ({error.strerror}): name another") from error

    def ask(self, prompt: str, schema: type[T]) -> T | None:
        """Return the answer in the form of `schema`, or None for a failure, which `usage` counts by its reason.

        Raises:
            BudgetError: nothing was sent, since it might have passed the budget.
            InputError: the endpoint cannot be reached at all or refuses the key, the address or the model.
        """
        prompt = prompt.encode("utf-8", "replace").decode()
        try:
            return _parse(self._reply(prompt, schema), schema)
        except _AskError as failure:
            self.usage.failures[str(failure)] += 1
            return None

    def _reply(self, prompt: str, schema: "type[BaseModel]") -> _Reply:
        """The reply in the cache, or that of the endpoint, which goes there."""
        form = json.dumps(schema.model_json_schema(), sort_keys=True)
        name = hashlib.sha256("\x1f".join((self.endpoint.model, prompt, form)).encode()).hexdigest()
        path = self.endpoint.cache / f"{name}.json"
        known = _recall(path)
        if known is not None:
            self.usage.cached += 1
            return known
        reply, granted = self._fetch(prompt, schema.__name__, form)
        # A reply that only the end of the budget cut off is worth another request under a new budget.
        if reply.finish != "length" or granted == MOST_COMPLETION:
            self._remember(path, prompt, reply)
        return reply

    def _remember(self, path: Path, prompt: str, reply: _Reply) -> None:
        kept = {"model": self.endpoint.model, "prompt": prompt, **asdict(reply)}
        try:
            # ASCII: a hostile reply may hold halves of characters, which UTF-8 has no bytes for.
            write_bytes(path, self._blanked(json.dumps(kept, indent=1)).encode())
        except OSError as error:
            raise InputError(
                f"{path} cannot be written ({error.strerror}): make room or name another folder"
            ) from error

    def _fetch(self, prompt: str, name: str, form: str) -> tuple[_Reply, int]:
        """The reply and how many tokens it was allowed."""
        if self._structured:
            shape: ResponseFormatJSONSchema = {
                "type": "json_schema",
                "json_schema": {"name": name, "schema": json.loads(form), "strict": True},
            }
            try:
                return self._persist(prompt, shape, size=_most(prompt, form))
            except _FormatError:
                pass
        prompt = f"{prompt}\n\nAnswer with JSON alone, of this schema:\n{form}"
        got = self._persist(prompt, None, size=_most(prompt))
        self._structured = False
        return got

    def _persist(self, prompt: str, shape: "ResponseFormatJSONSchema | None", *, size: int) -> tuple[_Reply, int]:
        """Send a request until it is answered, `TRIES` times at most.

        Args:
            size: the most tokens that the prompt can have.
        """
        wait = 0.0
        for attempt in range(TRIES):
            granted = self._grant(size)  # before the wait, which would be in vain
            if attempt:
                self._sleep(wait)
                self.usage.retries += 1
            try:
                return self._send(prompt, shape, size=size, granted=granted), granted
            except _PassingError as failure:
                reason, wait = str(failure), min(max(2.0**attempt, failure.wait), MOST_WAIT)
        self._give_up(reason)

    def _give_up(self, reason: str) -> NoReturn:
        """An endpoint that never answered anything is the user's to mend; a failure later on is one to count."""
        if self._reached:
            raise _AskError(reason)
        raise InputError(f"{self.endpoint.base_url}: {reason}: {_ADDRESS}")

    def _grant(self, size: int) -> int:
        """How many tokens a reply to a prompt of `size` tokens may have."""
        most, used = self.endpoint, self.usage
        left = most.max_tokens - used.tokens - size
        if used.requests >= most.max_requests:
            used.spent = f"the budget of {most.max_requests:,} requests is spent"
        elif left < LEAST_COMPLETION:
            used.spent = f"the budget of {most.max_tokens:,} tokens is spent: {used.tokens:,} used, the rest too few"
        else:
            return min(left, MOST_COMPLETION)
        raise BudgetError(used.spent)

    def _send(self, prompt: str, shape: "ResponseFormatJSONSchema | None", *, size: int, granted: int) -> _Reply:
        """One request, and what it cost."""
        import httpx2
        import openai

        self.usage.requests += 1
        try:
            body = self._receive(prompt, shape, granted)
        except openai.APIStatusError as error:  # as a rule not charged for
            if error.status_code in _LATE:
                self._charge(size, granted)
            self._judge(error, structured=shape is not None)
        except (openai.APIConnectionError, httpx2.HTTPError, _PassingError) as error:
            cause = error.__cause__ if isinstance(error, openai.APIConnectionError) else error
            if not isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout):
                self._charge(size, granted)  # it may have been answered and charged for, unseen
            slow = isinstance(error, openai.APITimeoutError | httpx2.TimeoutException | _PassingError)
            raise _PassingError(SILENT if slow else UNREACHABLE) from None
        self._reached = True
        return self._understand(body, size, granted)

    def _receive(self, prompt: str, shape: "ResponseFormatJSONSchema | None", granted: int) -> bytes:
        """The body of the reply, or the first `MOST_BYTES` and one of it."""
        import openai

        end = time.monotonic() + self.endpoint.timeout
        with self._openai.chat.completions.with_streaming_response.create(
            model=self.endpoint.model,
            messages=[{"role": "user", "content": prompt}],
            max_completion_tokens=granted,
            response_format=openai.omit if shape is None else shape,
        ) as response:
            body = b""
            for piece in response.iter_bytes():
                body += piece
                if len(body) > MOST_BYTES:
                    return body[: MOST_BYTES + 1]
                if time.monotonic() > end:  # the library's timeout is about each piece
                    raise _PassingError(SILENT)
        return body

    def _judge(self, error: "openai.APIStatusError", *, structured: bool) -> NoReturn:
        """Say what an answer with an error status means."""
        status = error.status_code
        if status in _PASSING or status >= 500:
            raise _PassingError(_PASSING.get(status, BROKEN), wait=_retry_after(error.response.headers)) from None
        if structured and status in (400, 422):
            raise _FormatError from None
        said = f"{self.endpoint.base_url} answers {status}{self._words(error)}"
        if status in (401, 403):
            raise InputError(f"{said}: set {KEYS[0]} to a key that is valid there") from None
        if status == 404 or status < 400:
            raise InputError(f"{said}: {_ADDRESS}") from None
        if not self._reached:
            raise InputError(f"{said}: {REJECTED}, {_ADDRESS}") from None
        raise _AskError(REJECTED) from None

    def _words(self, error: "openai.APIStatusError") -> str:
        """The endpoint's own words, on one line, as far as they can be shown."""
        said = _get(error.body, "message")
        if not isinstance(said, str):
            return ""
        shown = "".join(c for c in " ".join(self._blanked(said).split()) if c.isprintable())
        return f" ({shown[:200]})"

    def _understand(self, body: bytes, size: int, granted: int) -> _Reply:
        """Charge for a reply, and find it in its envelope."""
        try:
            if len(body) > MOST_BYTES:
                raise _AskError(TOO_LONG)
            answer = json.loads(body)
        except (_AskError, ValueError, RecursionError) as error:
            self._charge(size, granted)
            raise error if isinstance(error, _AskError) else _AskError(GARBLED) from None
        self._charge(*_counted(_get(answer, "usage"), size, granted))
        choices = _get(answer, "choices")
        if not isinstance(choices, list) or not choices:
            raise _AskError(EMPTY)
        message, finish = _get(choices[0], "message"), _get(choices[0], "finish_reason")
        content, refusal = _get(message, "content"), _get(message, "refusal")
        return _Reply(
            content=self._blanked(content) if isinstance(content, str) else "",
            finish=finish if isinstance(finish, str) else "",
            refused=bool(refusal) or finish == "content_filter",
        )

    def _charge(self, prompt: int, completion: int) -> None:
        self.usage.prompt_tokens += prompt
        self.usage.completion_tokens += completion

    def _blanked(self, text: str) -> str:
        """The text without the key, if it is one and not a word that stands for none."""
        key = self._openai.api_key
        return text.replace(key, "***") if len(key) >= 8 else text


def _split(url: str) -> SplitResult | None:
    """The parts of an address on the web; None for anything else."""
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")
        return parts if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 else None
    except ValueError:
        return None


def _connect(endpoint: Endpoint) -> "openai.OpenAI":
    """The library, with its own retries and redirects off: each request has to be counted.

    Raises:
        InputError: see `Client`.
    """
    try:
        import httpx2
        import openai
    except ImportError as error:
        raise InputError("openai is not installed: pip install 'grokhop[llm]'") from error
    name = next((name for name in KEYS if os.environ.get(name, "").strip()), KEYS[0])
    key = os.environ.get(name, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise InputError(f"{name} holds characters that no key has: copy the key again")
    try:
        # The library insists on a key; most local endpoints have none and ignore this one.
        return openai.OpenAI(
            api_key=key or "none",
            base_url=endpoint.base_url,
            timeout=endpoint.timeout,
            max_retries=0,
            http_client=openai.DefaultHttpxClient(follow_redirects=False, timeout=endpoint.timeout),
        )
    except httpx2.InvalidURL as error:
        raise InputError(f"{endpoint.base_url} is no address ({error}): {_ADDRESS}") from None


def _most(*texts: str) -> int:
    """The most tokens that texts can have: none is shorter than a byte."""
    return OVERHEAD + sum(len(text.encode()) for text in texts)


def _counted(usage: Any, size: int, granted: int) -> tuple[int, int]:
    """Tokens of prompt and reply as an endpoint reports them; the most there can be where it does not."""
    prompt, completion = _positive(usage, "prompt_tokens", size), _positive(usage, "completion_tokens", granted)
    # Some endpoints count what a model thinks in the total alone.
    return prompt, max(completion, _positive(usage, "total_tokens", 0) - prompt)


def _positive(usage: Any, name: str, otherwise: int) -> int:
    value = _get(usage, name)
    return value if type(value) is int and value > 0 else otherwise


def _get(value: Any, name: str) -> Any:
    """The entry of a JSON object; None where it is none or has none."""
    return value.get(name) if isinstance(value, dict) else None


def _parse(reply: _Reply, schema: type[T]) -> T:
    """Raises:
    _AskError: the reply holds no answer.
    """
    if reply.refused:
        raise _AskError(REFUSED)
    if reply.finish == "length":
        raise _AskError(TRUNCATED)
    if not reply.content.strip():
        raise _AskError(EMPTY)
    try:
        return schema.model_validate_json(_json_in(reply.content))
    except (ValueError, RecursionError):
        raise _AskError(VIOLATION) from None


def _json_in(content: str) -> str:
    """The object in a text, without thoughts before it and fences or words around it."""
    after = content.rpartition("</think>")[2]
    begin, end = after.find("{"), after.rfind("}")
    return after[begin : end + 1] if begin >= 0 else after


def _recall(path: Path) -> _Reply | None:
    """The reply in a file of the cache; None where there is no such file, or a damaged one."""
    try:
        kept = json.loads(path.read_text())
        reply = _Reply(content=kept["content"], finish=kept["finish"], refused=kept["refused"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    typed = isinstance(reply.content, str) and isinstance(reply.finish, str) and isinstance(reply.refused, bool)
    return reply if typed else None


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the header asks to wait: a number, or a date; 0 where it says neither."""
    return next((seconds for seconds in _seconds(headers.get("retry-after", "")) if isfinite(seconds)), 0.0)


def _seconds(text: str) -> Iterator[float]:
    try:
        yield float(text)
    except ValueError:
        try:
            when = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        yield (when - datetime.now(UTC)).total_seconds()
