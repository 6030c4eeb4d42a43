"""The files of a run folder: their keys are a contract, and what is written is read back the same."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from grokhop.core.artifacts import conditions
from grokhop.core.records import Record
from grokhop.core.statistics import over_seeds
from grokhop.runs.baselines import (
    AskedFile,
    BaselineResult,
    BaselinesResult,
    BlindScore,
    EndpointUse,
    ModelScores,
)
from grokhop.runs.evaluation import (
    ComparisonScore,
    Counts,
    EvalResult,
    FileResult,
    Floor,
    Miss,
    PairScore,
    QuestionFile,
    QuestionScore,
    RelationScores,
    RuleScore,
)
from grokhop.runs.explanation import (
    Ablation,
    BridgePlace,
    BridgeReading,
    Candidate,
    CarriedOver,
    CellCircuit,
    Explanation,
    Faithfulness,
    Formation,
    Formed,
    LensRow,
    OddAnswer,
    Patched,
    Patching,
    PlaceReading,
    QueryCircuit,
    SeedCircuit,
)
from grokhop.runs.metrics import GrokTime

MADE = conditions()
MADE_KEYS = {"created", "versions", "hardware"}
CELL = over_seeds([np.array([True, False, True]), np.array([True, True, True])])
CELL_KEYS = {"correct", "n", "accuracy", "low", "high", "per_seed", "spread"}
F1_KEYS = {"f1", "f1_low", "f1_high"}
EVIDENCE_KEYS = {
    *("evidence_em", "evidence_f1", "evidence_f1_low", "evidence_f1_high"),
    *("evidence_precision", "evidence_recall"),
}
SCORE_KEYS = CELL_KEYS | F1_KEYS | EVIDENCE_KEYS | {"parsed"}
COUNT_KEYS = {"asked", "not_asked", "unreadable", "failed"}
COUNTS = Counts(asked=3, not_asked=1, unreadable=1, failed=0)
MISS = Miss(seed=1, id="q", question="Who?", expected="Ann", answer=None, read=("Bob", "Eve"), cause="hop 2")
SCORE = QuestionScore(
    score=CELL,
    f1=0.5,
    f1_low=0.25,
    f1_high=0.75,
    evidence_em=0.5,
    evidence_f1=0.5,
    evidence_f1_low=0.25,
    evidence_f1_high=0.75,
    evidence_precision=0.5,
    evidence_recall=1.0,
    parsed=1.0,
)
OF_MODEL = replace(SCORE, misses=(MISS,), baseline=0.5)
OF_ORACLE = replace(SCORE, ambiguous=1, causes={"not understood": 1}, misses=(replace(MISS, seed=None, read=None),))
OF_ENDPOINT = replace(SCORE, counts=COUNTS, misses=(Miss(question="Who?", expected="Ann", answer="Bob"),))
QUESTIONS = {"comparison": {"ood": OF_MODEL}}
EVALUATED = EvalResult(
    seeds=2,
    atomic=CELL,
    atomic_held_out=CELL,
    cells={"2": {"II": CELL}},
    floors={"2": {"II": Floor(majority=0.25, pair=0.5, head=0.0), "OO": Floor(majority=None, pair=None, head=None)}},
    comparison={"id": ComparisonScore(score=CELL, majority=0.5)},
    rules=(RuleScore(rule="grandfather", path=("father", "father"), examples=3, id=CELL, ood=CELL),),
    questions=QUESTIONS,
    parsed=1.0,
    per_relation=(RelationScores(relation="r", first_hop={"II": CELL}, last_hop={}, any_hop={"II": CELL}),),
    per_pair=(PairScore(relations=("r", "s"), score=CELL),),
    grok={"id_95": (GrokTime(seconds=1.5, steps=10, epochs=2.0), None)},
    train_seconds=(1.0, 2.0),
    conditions=MADE,
)
OF_FILE = FileResult(
    seeds=2,
    questions=QUESTIONS,
    parsed=1.0,
    file=QuestionFile(name="dev.json", sha256="0", questions=3, in_graph=2),
    conditions=MADE,
)
ENDPOINT = EndpointUse(
    model="m", base_url="http://x", open_book=True, counts=COUNTS, limit=None, usage={"requests": 3}, cost="3 requests"
)
ORACLE = BaselineResult(questions={"comparison": {"ood": OF_ORACLE}}, cells={"2": {"II": CELL}})
MAJORITY = BaselineResult(
    questions={"comparison": {"ood": BlindScore(score=CELL)}, "inference": {"id": SCORE}}, cells={}
)
ASKED = BaselineResult(endpoint=ENDPOINT, questions={"comparison": {"ood": OF_ENDPOINT}})
BASELINES = BaselinesResult(
    baselines={"oracle": ORACLE, "majority": MAJORITY, "llm": ASKED},
    model=ModelScores(seeds=2, questions=QUESTIONS, cells={"2": {"II": CELL}}),
    file=AskedFile(name="dev.json", sha256="0"),
    conditions=MADE,
)
ODD = OddAnswer(query=("a", "r", "s"), named=("b",), answer="c")
HEAT = (Patched(depth=1, position=1, restored=0.5),)
TRACE = Patching(
    corrupted=0,
    n=10,
    residual=HEAT,
    attention=HEAT,
    mlp=HEAT,
    heads=(Patched(depth=1, position=1, head=0, restored=0.5),),
)
FORMED = Formed(accuracy=1.0, bridge=(BridgeReading(depth=1, probability=0.5, rank=1.0),), restored=None)
FORMATION = Formation(seed=0, step=10, train=FORMED, id=FORMED)
CIRCUIT = CellCircuit(
    score=Faithfulness(
        n=9, right=8, right_and_named=7, named_and_wrong=1, bridge_named=0.875, right_for_wrong_reason=(ODD,)
    ),
    lens=(LensRow(depth=1, position=1, probability=(0.5, 0.0), rank=(1.0, 9.0)),),
    trace=(TRACE,),
    bridge=BridgePlace(depth=1, position=1),
    carried_over=CarriedOver(n=10, restored=0.5, answered=0.5),
    ablation=Ablation(n=10, bridge=0.0, second=1.0, second_leads_there=0.0),
)
NOTHING = replace(CIRCUIT, lens=(), trace=(), bridge=None, carried_over=None, ablation=None)
QUERY = QueryCircuit(
    text="a / r",
    seed=0,
    query=("a", "r"),
    expected=("b",),
    places=(PlaceReading(depth=1, position=1, token="r", top=(Candidate(entity="b", probability=1.0),)),),
    trace=(TRACE,),
)
EXPLAINED = Explanation(
    bridge_named=None,
    right_for_wrong_reason=(replace(ODD, seed=0),),
    asked="id",
    patching={"depth 1, position 1": 0.5},
    formation=(FORMATION,),
    seeds=(SeedCircuit(seed=0, id=CIRCUIT, ood=NOTHING, formation=(FORMATION,)),),
    queries=(QUERY,),
    conditions=MADE,
)

RECORDS: list[tuple[Record, set[str]]] = [
    (
        EVALUATED,
        {
            *(
                "seeds",
                "atomic",
                "atomic_held_out",
                "cells",
                "controls",
                "never_composed",
                "floors",
                "comparison",
                "rules",
            ),
            *("questions", "parsed"),
            *("per_relation", "per_pair", "grok", "train_seconds", *MADE_KEYS),
        },
    ),
    (OF_FILE, {"seeds", "questions", "parsed", "file", *MADE_KEYS}),
    (OF_FILE.file, {"name", "sha256", "questions", "in_graph"}),
    (EVALUATED.floors["2"]["II"], {"majority", "pair", "head"}),
    (EVALUATED.comparison["id"], CELL_KEYS | {"majority"}),
    (EVALUATED.rules[0], {"rule", "path", "examples", "id", "ood"}),
    (EVALUATED.per_relation[0], {"relation", "first_hop", "last_hop", "any_hop"}),
    (EVALUATED.per_pair[0], CELL_KEYS | {"relations"}),
    (SCORE, SCORE_KEYS),
    (OF_MODEL, SCORE_KEYS | {"misses", "baseline"}),
    (replace(OF_MODEL, baseline=None), SCORE_KEYS | {"misses"}),
    (OF_ORACLE, SCORE_KEYS | {"ambiguous", "causes", "misses"}),
    (OF_ENDPOINT, SCORE_KEYS | COUNT_KEYS | {"misses"}),
    (BlindScore(score=CELL), CELL_KEYS | {"f1", "evidence_f1"}),
    (MISS, {"seed", "id", "question", "expected", "answer", "read", "cause"}),
    (replace(MISS, seed=None, read=None), {"id", "question", "expected", "answer", "cause"}),
    (Miss(question="Who?", expected="Ann"), {"question", "expected", "answer"}),
    (BASELINES, {"baselines", "model", "file", *MADE_KEYS}),
    (replace(BASELINES, file=None, model=None), {"baselines", "model", *MADE_KEYS}),
    (ORACLE, {"questions", "cells"}),
    (MAJORITY, {"questions", "cells"}),
    (
        BaselineResult(atomic=CELL, atomic_held_out=CELL, cpu_seconds=1.5, questions={}, cells={"2": {"II": CELL}}),
        {"atomic", "atomic_held_out", "cpu_seconds", "questions", "cells"},
    ),
    (ASKED, {"model", "base_url", "open_book", "limit", "usage", "cost", "questions", *COUNT_KEYS}),
    (
        BaselineResult(endpoint=ENDPOINT, cells={"2": {"II": OF_ENDPOINT}}),
        {"model", "base_url", "open_book", "limit", "usage", "cost", "cells", *COUNT_KEYS},
    ),
    (BASELINES.model or SCORE, {"seeds", "questions", "cells"}),
    (
        EXPLAINED,
        {
            "bridge_named",
            "right_for_wrong_reason",
            "asked",
            "patching",
            "formation",
            "seeds",
            "queries",
            "measures",
            *MADE_KEYS,
        },
    ),
    (EXPLAINED.seeds[0], {"seed", "id", "ood", "formation"}),
    (CIRCUIT, {"score", "lens", "trace", "bridge", "carried_over", "ablation"}),
    (NOTHING, {"score", "lens", "trace", "bridge", "carried_over", "ablation"}),
    (
        CIRCUIT.score,
        {"n", "right", "right_and_named", "named_and_wrong", "bridge_named", "right_for_wrong_reason"},
    ),
    (ODD, {"query", "named", "answer"}),
    (replace(ODD, seed=0), {"seed", "query", "named", "answer"}),
    (CIRCUIT.lens[0], {"depth", "position", "probability", "rank"}),
    (TRACE, {"corrupted", "n", "residual", "attention", "mlp", "heads"}),
    (TRACE.residual[0], {"depth", "position", "restored"}),
    (TRACE.heads[0], {"depth", "position", "head", "restored"}),
    (CarriedOver(), {"n", "restored", "answered"}),
    (Ablation(), {"n", "bridge", "second", "second_leads_there"}),
    (FORMATION, {"seed", "step", "train", "id"}),
    (FORMED, {"accuracy", "bridge", "restored"}),
    (FORMED.bridge[0], {"depth", "probability", "rank"}),
    (QUERY, {"text", "seed", "query", "expected", "places", "trace"}),
    (QUERY.places[0], {"depth", "position", "token", "top"}),
    (QUERY.places[0].top[0], {"entity", "probability"}),
]


@pytest.mark.parametrize(("record", "keys"), RECORDS)
def test_a_record_has_its_keys_in_json_and_no_others(record: Record, keys: set[str]) -> None:
    assert record.to_dict().keys() == keys


@pytest.mark.parametrize("record", [record for record, _ in RECORDS])
def test_a_record_is_read_back_as_it_was_written(record: Record) -> None:
    written: dict[str, Any] = json.loads(json.dumps(record.to_dict()))
    assert type(record).from_dict(written) == record


def test_an_evaluation_of_an_older_version_is_read_and_has_no_floors() -> None:
    written = {key: value for key, value in EVALUATED.to_dict().items() if key != "floors"}
    assert EvalResult.from_dict(written) == replace(EVALUATED, floors={})


def test_a_floor_names_the_simplest_rule_that_reaches_it() -> None:
    floor = Floor(majority=0.25, pair=0.5, head=0.5)
    assert (floor.highest, floor.named) == (0.5, "the commonest end of the last two relations")
    nothing = Floor(majority=None, pair=None, head=None)
    assert (nothing.highest, nothing.named) == (None, "")


def test_the_floor_of_several_cells_counts_each_by_its_queries() -> None:
    one, other = Floor(majority=0.5, pair=0.25, head=0.0), Floor(majority=0.0, pair=1.0, head=0.0)
    empty = Floor(majority=None, pair=None, head=None)
    assert Floor.pooled([(one, 30), (other, 10), (empty, 0)]) == Floor(majority=0.375, pair=0.4375, head=0.0)
    assert Floor.pooled([(empty, 0)]) == empty
