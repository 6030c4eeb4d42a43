"""The demo's result; the stages themselves are tested one by one."""

import json

from grokhop.pipeline import DemoResult
from tests.unit.runs.test_result_records import EVALUATED, EXPLAINED


def test_the_result_of_the_demo_holds_those_of_its_stages_and_is_read_back_as_it_was() -> None:
    result = DemoResult(evaluation=EVALUATED, explanation=EXPLAINED, report="run/report.html")
    written = json.loads(json.dumps(result.to_dict()))
    assert written == {
        "evaluation": EVALUATED.to_dict(),
        "explanation": EXPLAINED.to_dict(),
        "report": "run/report.html",
    }
    assert DemoResult.from_dict(written) == result
