"""The client of OpenAI-compatible endpoints against a stand-in on this machine: what it sends, what it believes, what
it spends, and that it keeps the key to itself."""

import json
import logging
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from grokhop.core import llm_client
from grokhop.core.errors import InputError
from grokhop.core.llm_client import LEAST_COMPLETION, MOST_COMPLETION, MOST_WAIT, TRIES, BudgetError, Client, Endpoint

KEY = "sk-secret-0123456789"
Answer = Response | Callable[[Request], Response]


class Towns(BaseModel):
    towns: list[str]


GOOD = json.dumps({"towns": ["Oslo", "Rome"]})


def completion(content: Any = GOOD, *, finish: str = "stop", usage: Any = (7, 5), **message: Any) -> Response:
    """A reply as endpoints write it."""
    if isinstance(usage, tuple):
        usage = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content, **message}}
    return as_json({"id": "1", "object": "chat.completion", "model": "stub", "choices": [choice], "usage": usage})


def as_json(body: Any, status: int = 200, **headers: str) -> Response:
    return Response(json.dumps(body), status, headers, content_type="application/json")


def failing(status: int, message: str = "no", **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return as_json({"error": {"message": message, "type": "stub"}}, status, **named)


class Stub:
    """An endpoint that gives its answers one after the other, and the last one from then on."""

    def __init__(self, server: HTTPServer) -> None:
        self.url = server.url_for("/v1")
        self.answers: list[Answer] = [completion()]
        self.requests: list[Request] = []
        server.expect_request("/v1/chat/completions", method="POST").respond_with_handler(self.answer)

    def answer(self, request: Request) -> Response:
        request.get_data()
        self.requests.append(request)
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        return answer if isinstance(answer, Response) else answer(request)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.get_data()) for request in self.requests]

    @property
    def prompts(self) -> list[str]:
        return [body["messages"][-1]["content"] for body in self.bodies]


@pytest.fixture
def stub(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Stub:
    for name in llm_client.KEYS:
        monkeypatch.delenv(name, raising=False)
    return Stub(httpserver)


Connect = Callable[..., Client]


@pytest.fixture
def waits() -> list[float]:
    """The waits between tries, which no test sits out."""
    return []


@pytest.fixture
def connect(stub: Stub, tmp_path: Path, waits: list[float]) -> Connect:
    def connected(**values: Any) -> Client:
        given = {"base_url": stub.url, "model": "stub-1", "cache": tmp_path / "cache", **values}
        return Client(Endpoint(**given), sleep=waits.append)

    return connected


def one_line(call: Callable[[], Any]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def failures(client: Client, prompt: str = "Towns?") -> dict[str, int]:
    """The counts after a question that has no answer."""
    assert client.ask(prompt, Towns) is None
    return dict(client.usage.failures)


# What is sent, and what comes of a good answer


def test_a_request_asks_for_the_schema_and_its_answer_comes_parsed(
    stub: Stub, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROKHOP_API_KEY", KEY)
    client = connect(max_tokens=3000)
    assert client.ask("Towns?", Towns) == Towns(towns=["Oslo", "Rome"])
    (request,), (body,) = stub.requests, stub.bodies
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert (body["model"], body["messages"]) == ("stub-1", [{"role": "user", "content": "Towns?"}])
    assert body["response_format"]["type"] == "json_schema"
    assert body["response_format"]["json_schema"]["schema"] == Towns.model_json_schema()
    assert LEAST_COMPLETION < body["max_completion_tokens"] < 3000
    assert not {"temperature", "max_tokens", "stream"} & set(body)


def test_the_usage_is_what_the_endpoint_says(connect: Connect) -> None:
    client = connect()
    client.ask("Towns?", Towns)
    assert client.usage.record() == {
        "requests": 1,
        "cached": 0,
        "prompt_tokens": 7,
        "completion_tokens": 5,
        "retries": 0,
        "failures": {},
        "spent": "",
    }
    assert client.usage.cost_line() == (
        "1 requests (0 of them tried again), 0 answers from the cache; 7 tokens of prompts and 5 of replies"
    )


def test_the_own_key_goes_before_that_of_openai_and_a_local_endpoint_needs_none(
    stub: Stub, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect().ask("1", Towns)
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}-other")
    connect().ask("2", Towns)
    monkeypatch.setenv("GROKHOP_API_KEY", f" {KEY}\n")
    connect().ask("3", Towns)
    sent = [request.headers["Authorization"] for request in stub.requests]
    assert sent == ["Bearer none", f"Bearer {KEY}-other", f"Bearer {KEY}"]


def test_a_prompt_with_half_a_character_is_sent_all_the_same(stub: Stub, connect: Connect) -> None:
    assert connect().ask("a \ud83d b", Towns) is not None
    assert stub.prompts == ["a ? b"]


@pytest.mark.parametrize(
    "content",
    [f"```json\n{GOOD}\n```", f"Here you are: {GOOD} Anything else?", f"<think>{{no}}</think>\n{GOOD}", f"  {GOOD}\n"],
)
def test_words_fences_and_thoughts_around_the_json_do_no_harm(stub: Stub, connect: Connect, content: str) -> None:
    stub.answers = [completion(content)]
    assert connect().ask("Towns?", Towns) == Towns(towns=["Oslo", "Rome"])


# An endpoint that does not know response_format


@pytest.mark.parametrize("status", [400, 422])
def test_an_endpoint_without_schemas_is_asked_in_words_from_then_on(stub: Stub, connect: Connect, status: int) -> None:
    stub.answers = [failing(status, "response_format is not supported"), completion(f"```{GOOD}```")]
    client = connect()
    assert client.ask("One?", Towns) == client.ask("Two?", Towns) == Towns(towns=["Oslo", "Rome"])
    assert ["response_format" in body for body in stub.bodies] == [True, False, False]
    assert (
        stub.prompts[1].startswith("One?") and json.dumps(Towns.model_json_schema(), sort_keys=True) in stub.prompts[1]
    )
    assert client.usage.requests == 3 and not client.usage.failures


def test_a_request_that_is_rejected_in_words_too_is_not_blamed_on_the_schema(stub: Stub, connect: Connect) -> None:
    stub.answers = [completion(), failing(400), failing(400), completion()]
    client = connect()
    client.ask("One?", Towns)
    assert failures(client, "Two?") == {llm_client.REJECTED: 1}
    client.ask("Three?", Towns)
    assert ["response_format" in body for body in stub.bodies] == [True, True, False, True]


def test_an_endpoint_that_rejects_the_first_request_is_named(stub: Stub, connect: Connect) -> None:
    stub.answers = [failing(400, "max_completion_tokens is too\nlarge\x1b[31m")]
    said = one_line(lambda: connect().ask("Towns?", Towns))
    assert stub.url in said and "max_completion_tokens is too large[31m" in said


# Answers that are none


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (completion('{"towns": ["Os', finish="length"), llm_client.TRUNCATED),
        (completion('{"towns": ["Os'), llm_client.VIOLATION),
        (completion('{"cities": []}'), llm_client.VIOLATION),
        (completion('{"towns": [1, null]}'), llm_client.VIOLATION),
        (completion('["Oslo"]'), llm_client.VIOLATION),
        (completion("Oslo and Rome."), llm_client.VIOLATION),
        (completion("{" * 100_000), llm_client.VIOLATION),
        (completion('{"towns":' + "[" * 100_000 + "]" * 100_000 + "}"), llm_client.VIOLATION),
        (completion('{"towns": ["\ud800"]}'), llm_client.VIOLATION),
        (completion('{"towns": "' + "9" * 500_000 + '"}'), llm_client.VIOLATION),
        (completion(None, refusal="I cannot name towns."), llm_client.REFUSED),
        (completion("", finish="content_filter"), llm_client.REFUSED),
        (completion("  \n"), llm_client.EMPTY),
        (completion(None), llm_client.EMPTY),
        (completion([{"type": "text", "text": GOOD}]), llm_client.EMPTY),
        (as_json({"choices": []}), llm_client.EMPTY),
        (as_json({"choices": {"0": "x"}, "usage": "much"}), llm_client.EMPTY),
        (as_json({"choices": ["x"]}), llm_client.EMPTY),
        (as_json({"error": {"message": "overloaded"}}), llm_client.EMPTY),
        (as_json([1, 2]), llm_client.EMPTY),
        (Response("<html>a gateway</html>", content_type="text/html"), llm_client.GARBLED),
        (Response(b"\xff\xfe\x00", content_type="application/json"), llm_client.GARBLED),
        (Response("[" * 200_000, content_type="application/json"), llm_client.GARBLED),
        (Response("", content_type="application/json"), llm_client.GARBLED),
        (completion("x" * 2_000_000), llm_client.TOO_LONG),
    ],
)
def test_an_answer_that_is_none_is_counted_by_its_reason(
    stub: Stub, connect: Connect, answer: Response, reason: str
) -> None:
    stub.answers = [answer, completion()]
    client = connect()
    assert failures(client) == {reason: 1}
    assert client.usage.retries == 0 and client.usage.tokens > 0
    assert reason in client.usage.cost_line()
    assert client.ask("And now?", Towns) is not None


@given(content=st.text() | st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x)).map(json.dumps))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_content_makes_it_crash(stub: Stub, connect: Connect, content: str) -> None:
    stub.answers = [completion(content)]
    client = connect(cache=Path(mkdtemp()))
    assert client.ask("Towns?", Towns) is None and client.usage.failures.total() == 1


def test_thousands_of_items_with_control_characters_are_the_callers_to_judge(stub: Stub, connect: Connect) -> None:
    towns = [f"Town\x00\x1b[2J\u202e {i}" for i in range(5000)]
    stub.answers = [completion(json.dumps({"towns": towns}))]
    assert connect().ask("Towns?", Towns) == Towns(towns=towns)


# Failures that may pass


def test_a_busy_endpoint_is_asked_again_when_it_says(stub: Stub, connect: Connect, waits: list[float]) -> None:
    stub.answers = [failing(429, Retry_After="7"), failing(429), completion()]
    client = connect()
    assert client.ask("Towns?", Towns) is not None
    assert waits == [7.0, 2.0]
    assert (client.usage.requests, client.usage.retries, client.usage.tokens) == (3, 2, 12)


def test_retry_after_may_be_a_date(stub: Stub, connect: Connect, waits: list[float]) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    stub.answers = [failing(503, Retry_After=soon), completion()]
    connect().ask("Towns?", Towns)
    assert 20 < waits[0] <= 30


@pytest.mark.parametrize("said", ["nan", "inf", "-5", "soon", "", "Mon, 99 Foo 2020", "1e999"])
def test_a_senseless_retry_after_is_not_followed(stub: Stub, connect: Connect, waits: list[float], said: str) -> None:
    stub.answers = [failing(429, Retry_After=said), completion()]
    connect().ask("Towns?", Towns)
    assert waits == [1.0]


def test_no_wait_is_longer_than_a_minute(stub: Stub, connect: Connect, waits: list[float]) -> None:
    stub.answers = [failing(429, Retry_After="86400"), completion()]
    connect().ask("Towns?", Towns)
    assert waits == [MOST_WAIT]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (429, llm_client.BUSY),
        (408, llm_client.SILENT),
        (500, llm_client.BROKEN),
        (503, llm_client.BROKEN),
        (599, llm_client.BROKEN),
    ],
)
def test_an_endpoint_that_goes_on_failing_is_given_up_after_a_few_tries(
    stub: Stub, connect: Connect, waits: list[float], status: int, reason: str
) -> None:
    stub.answers = [completion(), *[failing(status)] * TRIES, completion()]
    client = connect()
    client.ask("One?", Towns)
    assert failures(client, "Two?") == {reason: 1}
    assert waits == [1.0, 2.0, 4.0]
    assert client.usage.requests == len(stub.requests) == 1 + TRIES
    assert client.ask("Three?", Towns) is not None


def test_an_endpoint_that_never_answers_is_the_users_to_mend(stub: Stub, connect: Connect) -> None:
    stub.answers = [failing(500)]
    said = one_line(lambda: connect().ask("Towns?", Towns))
    assert stub.url in said and llm_client.BROKEN in said and "check the address" in said


def test_a_refused_connection_costs_no_tokens(connect: Connect, waits: list[float]) -> None:
    client = connect(base_url="http://127.0.0.1:1/v1")
    assert llm_client.UNREACHABLE in one_line(lambda: client.ask("Towns?", Towns))
    assert (client.usage.requests, client.usage.tokens, len(waits)) == (TRIES, 0, TRIES - 1)


@pytest.mark.parametrize("status", [408, 504, 524])
def test_a_reply_that_a_gateway_did_not_wait_for_may_have_been_charged_for(
    stub: Stub, connect: Connect, status: int
) -> None:
    stub.answers = [failing(status), completion()]
    client = connect()
    assert client.ask("Towns?", Towns) is not None
    assert client.usage.completion_tokens == MOST_COMPLETION + 5


@pytest.mark.parametrize("body", ["[" * 200_000, b"\xff\x00", '{"error": {"message": 7}}', '{"error": "no"}', ""])
def test_an_error_with_a_hostile_body_is_an_error_like_any(stub: Stub, connect: Connect, body: str | bytes) -> None:
    stub.answers = [Response(body, 500), Response(body, 404)]
    assert f"{stub.url} answers 404" in one_line(lambda: connect().ask("Towns?", Towns))


@pytest.mark.parametrize("host", ["a..b", "x" * 80, "ü\u200b"])
def test_a_host_that_cannot_be_is_one_line(connect: Connect, host: str) -> None:
    one_line(lambda: connect(base_url=f"http://{host}/v1").ask("Towns?", Towns))


def test_a_reply_that_comes_too_late_may_have_been_charged_for(stub: Stub, connect: Connect) -> None:
    def late(request: Request) -> Response:
        time.sleep(0.4)
        return completion()

    stub.answers = [late, completion()]
    client = connect(timeout=0.3)
    assert client.ask("Towns?", Towns) is not None
    assert client.usage.retries >= 1  # the server is busy with the late reply for a while
    assert client.usage.completion_tokens == client.usage.retries * MOST_COMPLETION + 5


def test_a_reply_that_trickles_in_is_too_late_as_well(stub: Stub, connect: Connect) -> None:
    def drops(request: Request) -> Response:
        def trickle() -> Iterator[bytes]:
            for _ in range(20):
                time.sleep(0.05)
                yield b" "

        return Response(trickle(), content_type="application/json")

    stub.answers = [completion(), drops]
    client = connect(timeout=0.2)
    client.ask("One?", Towns)
    assert failures(client, "Two?") == {llm_client.SILENT: 1}


def test_a_broken_reply_is_asked_for_again(stub: Stub, connect: Connect) -> None:
    stub.answers = [Response(iter([GOOD]), headers={"Content-Length": "900"}), completion()]
    client = connect()
    assert client.ask("Towns?", Towns) is not None
    assert client.usage.requests == 2 and client.usage.tokens > MOST_COMPLETION


# What the user has to mend


@pytest.mark.parametrize(
    ("status", "says"),
    [(401, "GROKHOP_API_KEY"), (403, "GROKHOP_API_KEY"), (404, "the model's name"), (307, "the address")],
)
def test_a_wrong_key_model_or_address_ends_the_run_at_once(
    stub: Stub, connect: Connect, status: int, says: str
) -> None:
    stub.answers = [completion(), failing(status, "not so", Location=f"{stub.url}/chat/completions")]
    client = connect()
    client.ask("One?", Towns)
    said = one_line(lambda: client.ask("Two?", Towns))
    assert f"{stub.url} answers {status} (not so)" in said and says in said
    assert len(stub.requests) == client.usage.requests == 2  # a redirect is not followed: nobody would count it


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"base_url": "127.0.0.1:8080/v1"}, "http://"),
        ({"base_url": "ftp://127.0.0.1/v1"}, "http://"),
        ({"base_url": "http://[::1"}, "http://"),
        ({"base_url": "http://127.0.0.1:99999/v1"}, "http://"),
        ({"base_url": f"http://user:{KEY}@127.0.0.1/v1"}, "GROKHOP_API_KEY"),
        ({"base_url": f"http://127.0.0.1/v1?key={KEY}"}, "GROKHOP_API_KEY"),
        ({"model": " "}, "model"),
        ({"max_requests": 0}, "max_requests"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"batch": 0}, "batch"),
        ({"timeout": float("nan")}, "timeout"),
    ],
)
def test_a_senseless_endpoint_is_one_line_without_a_key(connect: Connect, values: dict[str, Any], says: str) -> None:
    said = one_line(lambda: connect(**values))
    assert says in said and KEY not in said


def test_a_key_that_cannot_be_one_is_not_shown(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROKHOP_API_KEY", f"{KEY}é")
    said = one_line(connect)
    assert "GROKHOP_API_KEY" in said and KEY not in said


def test_a_missing_package_names_the_extra(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    assert "pip install 'grokhop[llm]'" in one_line(connect)


def test_a_cache_that_cannot_be_is_one_line(connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cache folder" in one_line(lambda: connect(cache=tmp_path / "file" / "cache"))


def test_the_client_is_imported_without_the_extra() -> None:
    code = "import sys, grokhop.core.llm_client; print({'openai', 'pydantic', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


# The budget


def honest(request: Request) -> Response:
    """Spends all it may: a token for each byte of the request that is the user's, and the whole reply."""
    body = json.loads(request.get_data())
    prompt = len(body["messages"][0]["content"].encode()) + len(json.dumps(body.get("response_format", "")))
    return completion(usage=(prompt, body["max_completion_tokens"]))


def spent(stub: Stub) -> int:
    """The tokens that `honest` counted."""
    bodies = stub.bodies
    return sum(len(b["messages"][0]["content"].encode()) + b["max_completion_tokens"] for b in bodies)


@given(
    requests=st.integers(1, 6),
    tokens=st.integers(1, 20_000),
    answers=st.lists(st.sampled_from(["good", "bad", "busy", "broken", "uncounted", "without"]), max_size=8),
    prompts=st.lists(st.text(max_size=200), min_size=1, max_size=8),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_budget_is_ever_passed(
    stub: Stub, connect: Connect, requests: int, tokens: int, answers: list[str], prompts: list[str]
) -> None:
    charged: list[int] = []

    def counted(answer: str) -> Callable[[Request], Response]:
        def reply(request: Request) -> Response:
            body = json.loads(request.get_data())
            if answer in ("busy", "broken", "without"):
                return failing({"busy": 429, "broken": 502, "without": 400}[answer])
            size = len(body["messages"][0]["content"].encode()), int(body["max_completion_tokens"])
            charged.append(sum(size))
            return completion(GOOD if answer == "good" else "{", usage=None if answer == "uncounted" else size)

        return reply

    stub.requests.clear()
    stub.answers = [completion(usage=(1, 1)), *map(counted, answers), counted("good")]
    client = connect(max_requests=requests, max_tokens=tokens, cache=Path(mkdtemp()))
    try:
        for prompt in ("first", *prompts):
            client.ask(prompt, Towns)
    except BudgetError as error:
        assert client.usage.spent == str(error) and str(error) in client.usage.cost_line()
    assert client.usage.requests == len(stub.requests) <= requests
    assert sum(charged) <= client.usage.tokens <= tokens


def test_a_reply_may_be_as_long_as_what_is_left(stub: Stub, connect: Connect) -> None:
    stub.answers = [honest]
    client = connect(max_tokens=6000)
    client.ask("One?", Towns)
    client.ask("Two?", Towns)
    first, second = (body["max_completion_tokens"] for body in stub.bodies)
    assert first == MOST_COMPLETION and second < 6000 - first
    with pytest.raises(BudgetError, match="6,000 tokens"):
        client.ask("Three?", Towns)
    assert spent(stub) <= client.usage.tokens <= 6000 and len(stub.requests) == 2


def test_a_try_again_counts_and_is_not_waited_for_in_vain(stub: Stub, connect: Connect, waits: list[float]) -> None:
    stub.answers = [failing(429)]
    client = connect(max_requests=2)
    with pytest.raises(BudgetError, match="2 requests"):
        client.ask("Towns?", Towns)
    assert len(stub.requests) == 2 and waits == [1.0]


@pytest.mark.parametrize(
    "usage", [None, {}, "7", [7], {"prompt_tokens": -7, "completion_tokens": True}, {"prompt_tokens": 0}]
)
def test_usage_that_is_missing_or_senseless_is_the_most_it_can_be(stub: Stub, connect: Connect, usage: Any) -> None:
    stub.answers = [completion(usage=usage)]
    client = connect()
    client.ask("Towns?", Towns)
    assert client.usage.prompt_tokens > len("Towns?") and client.usage.completion_tokens == MOST_COMPLETION


def test_thoughts_that_only_the_total_counts_are_counted(stub: Stub, connect: Connect) -> None:
    stub.answers = [completion(usage={"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 900})]
    client = connect()
    client.ask("Towns?", Towns)
    assert client.usage.tokens == 900


def test_an_endpoint_that_spends_more_than_it_may_is_not_asked_again(stub: Stub, connect: Connect) -> None:
    stub.answers = [completion(usage=(7, 10**30))]
    client = connect()
    client.ask("One?", Towns)
    with pytest.raises(BudgetError):
        client.ask("Two?", Towns)


# The cache


def test_what_was_answered_once_is_never_paid_again(stub: Stub, connect: Connect) -> None:
    first = connect().ask("Towns?", Towns)
    again = connect(max_requests=1, max_tokens=1)  # a hit needs no budget
    assert again.ask("Towns?", Towns) == first and len(stub.requests) == 1
    assert (again.usage.requests, again.usage.cached, again.usage.tokens) == (0, 1, 0)


def test_a_run_that_was_stopped_pays_only_the_rest(stub: Stub, connect: Connect) -> None:
    stopped = connect(max_requests=2)
    with pytest.raises(BudgetError):
        for prompt in "abcd":
            stopped.ask(prompt, Towns)
    resumed = connect()
    assert all(resumed.ask(prompt, Towns) for prompt in "abcd")
    assert (resumed.usage.requests, resumed.usage.cached) == (2, 2) and stub.prompts == list("abcd")


def test_another_model_prompt_or_schema_is_another_request(stub: Stub, connect: Connect) -> None:
    class Others(Towns):
        rivers: list[str] = []

    connect().ask("Towns?", Towns)
    connect(model="stub-2").ask("Towns?", Towns)
    connect().ask("Towns!", Towns)
    connect().ask("Towns?", Others)
    assert len(stub.requests) == 4


def test_a_bad_answer_was_paid_for_too_and_is_not_asked_for_again(stub: Stub, connect: Connect) -> None:
    stub.answers = [completion("no"), completion(None, refusal="no"), completion()]
    for _ in range(2):
        client = connect()
        assert client.ask("One?", Towns) is None and client.ask("Two?", Towns) is None
    assert len(stub.requests) == 2
    assert client.usage.failures == {llm_client.VIOLATION: 1, llm_client.REFUSED: 1}


def test_an_answer_that_the_end_of_the_budget_cut_off_is_asked_for_under_a_new_one(
    stub: Stub, connect: Connect
) -> None:
    stub.answers = [completion('{"to', finish="length"), completion()]
    assert failures(connect(max_tokens=2000)) == {llm_client.TRUNCATED: 1}
    assert connect().ask("Towns?", Towns) is not None


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"content": 1, "finish": "stop", "refused": false}', "\x00", "[" * 9999]
)
def test_a_damaged_file_of_the_cache_is_asked_for_again(
    stub: Stub, connect: Connect, tmp_path: Path, damage: str
) -> None:
    connect().ask("Towns?", Towns)
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_text(damage)
    assert connect().ask("Towns?", Towns) is not None and len(stub.requests) == 2
    assert connect().ask("Towns?", Towns) is not None and len(stub.requests) == 2


def test_a_stop_while_writing_leaves_no_half_answer(
    stub: Stub, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "replace", stopped)
        connect().ask("Towns?", Towns)
    assert not list((tmp_path / "cache").glob("*.json"))
    assert connect().ask("Towns?", Towns) is not None


def test_a_full_disk_is_one_line(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(llm_client, "write_bytes", full)
    assert "No space left" in one_line(lambda: connect().ask("Towns?", Towns))


# The key


def echoes(status: int) -> Callable[[Request], Response]:
    """An endpoint that tells everybody the key it was sent."""

    def answer(request: Request) -> Response:
        said = request.headers["Authorization"]
        if status != 200:
            return failing(status, f"wrong key: {said}")
        return completion(json.dumps({"towns": [said]}), reasoning_content=said)

    return answer


@pytest.mark.parametrize("status", [200, 400, 401, 404, 422, 500])
def test_the_key_is_nowhere_but_in_the_header(
    stub: Stub,
    connect: Connect,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    status: int,
) -> None:
    monkeypatch.setenv("GROKHOP_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    stub.answers = [echoes(status)]
    client = connect()
    seen = [repr(client), repr(client.endpoint), json.dumps(client.endpoint.record())]
    try:
        seen.append(repr(client.ask("Towns?", Towns)))
    except InputError:
        seen.append(traceback.format_exc())
    seen += [repr(client.usage), json.dumps(client.usage.record()), client.usage.cost_line()]
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("werkzeug", "pytest"))]
    seen += [*ours, *capfd.readouterr()]
    seen += [file.read_text() for file in tmp_path.rglob("*") if file.is_file()]
    assert stub.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    assert all(KEY not in text for text in seen)
    assert KEY not in stub.requests[0].get_data().decode()
