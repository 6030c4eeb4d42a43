"""Loggers: each evaluation reaches the sink that is asked for, seed by seed."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from grokhop.config import preset
from grokhop.core.errors import InputError
from grokhop.runs.run import Run
from grokhop.training.loggers import loggers, scalars
from grokhop.training.train import train
from tests.settings import ran, with_


def logged(graph: Path, out: Path, name: str) -> Run:
    settings = with_(preset("toy", changes=["model.d_model=16", "model.n_heads=2"]), evaluate_every=3, batch_size=32)
    return train(graph, out, ran(settings, budget="6 steps", seeds=2), callbacks=loggers([name], out))


@pytest.mark.parametrize("name", ["trackio", "wandb"])
def test_a_service_gets_a_run_for_each_seed(
    name: str, mini_graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service is a stub with the three functions that both libraries have."""
    said: list[tuple[str, Any]] = []
    service = ModuleType(name)
    service.init = lambda **how: said.append(("init", how))  # type: ignore[attr-defined]
    service.log = lambda values, step: said.append(("log", (step, values)))  # type: ignore[attr-defined]
    service.finish = lambda: said.append(("finish", None))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, name, service)
    run = logged(mini_graph, tmp_path / "run", name)
    assert [what for what, _ in said] == ["init", "log", "log", "finish"] * 2
    assert [how["name"] for what, how in said if what == "init"] == ["run-seed-0", "run-seed-1"]
    assert said[0][1]["config"]["model"]["d_model"] == 16
    step, values = said[2][1]
    assert step == run.summary(0).steps == 6
    assert values["train"] == run.summary(0).validation["train"]
    assert {"loss", "cells/2/II", "rows_per_second"} <= values.keys()


def test_tensorboard_gets_every_number(mini_graph: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="pip install 'grokhop[log]'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = logged(mini_graph, tmp_path / "run", "tensorboard")
    events = EventAccumulator(str(run.path / "tensorboard" / "seed-1"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [3, 6]
    assert events.Scalars("train")[-1].value == pytest.approx(run.summary(1).validation["train"])


def test_what_was_not_asked_is_left_out_of_the_numbers(mini_graph: Path, tmp_path: Path) -> None:
    from grokhop.runs.metrics import read_looks

    record = read_looks(logged(mini_graph, tmp_path / "run", "tensorboard").seed_folder(0))[-1]
    assert record.compared is None and "compared" not in scalars(record)


def test_a_logger_that_is_not_there_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(InputError, match="pip install wandb"):
        loggers(["wandb"], tmp_path)
    with pytest.raises(InputError, match=r"no logger.*did you mean tensorboard"):
        loggers(["tensorbord"], tmp_path)
