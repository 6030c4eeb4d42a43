"""Settings out of a file for every command: `--config FILE`, options after it, the nearest name for a wrong one."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from grokhop.cli.main import app
from grokhop.config import described
from grokhop.runs.run import Run

TINY = """
preset: toy
phi: {target: 1.5, hops: 3}
ingest: {}
model: {d_model: 16, n_heads: 2}
train: {batch_size: 32, evaluate_every: 3}
resources: {budget: 6 steps, seeds: 2, threads: 1}
"""


def cli(*words: Any) -> Any:
    return CliRunner().invoke(app, list(map(str, words)))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "all.yaml"
    path.write_text(TINY)
    return path


def all_commands() -> list[list[str]]:
    found: list[list[str]] = []

    def walk(command: Any, words: list[str]) -> None:
        if not hasattr(command, "commands"):
            found.append(words)
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, [*words, name])

    walk(typer.main.get_command(app), [])
    return found


@pytest.mark.parametrize("words", all_commands(), ids=" ".join)
def test_every_command_takes_a_file_of_settings(words: list[str]) -> None:
    result = cli(*words, "--help")
    assert result.exit_code == 0
    assert "--config" in result.output


@pytest.mark.parametrize("name", ["train", "sweep", "demo", "reproduce"])
def test_the_help_of_a_training_explains_every_setting_with_its_default(name: str) -> None:
    output = cli(name, "--help").output
    for one in described():
        if not one.name.startswith("augment."):
            assert one.name in output
            assert one.meaning.split()[0] in output


def test_a_section_of_a_command_sets_options_that_are_left_out(mini_graph: Path, config: Path) -> None:
    measured = json.loads(cli("phi", mini_graph, "--config", config, "--json").stdout)
    assert (measured["hops"], measured["target"]) == (3, 1.5)
    measured = json.loads(cli("phi", mini_graph, "--config", config, "--hops", 2, "--json").stdout)
    assert (measured["hops"], measured["target"]) == (2, 1.5)


def test_a_training_takes_the_preset_then_the_file_then_its_options(
    mini_graph: Path, config: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    result = cli("train", mini_graph, "-o", out, "--config", config, "--seeds", 1, "--set", "train.batch_size=24")
    assert result.exit_code == 0, result.output
    settings = Run.read(out).settings
    assert (settings.preset, settings.schedule.cooldown_steps) == ("toy", 50)
    assert (settings.model.d_model, settings.train.evaluate_every, settings.resources.budget) == (16, 3, "6 steps")
    assert (settings.resources.seeds, settings.train.batch_size) == (1, 24)
    again = cli("train", mini_graph, "-o", tmp_path / "again", "--config", out / "config.yaml")
    assert again.exit_code == 0, again.output
    assert Run.read(tmp_path / "again").settings == settings
    resumed = cli("train", mini_graph, "-o", out, "--config", out / "config.yaml", "--seeds", 2, "--resume")
    assert resumed.exit_code == 0, resumed.exception
    assert Run.read(out).finished_seeds() == [0, 1]
    assert Run.read(out).settings.resources.seeds == 2


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("trian: {}", "'trian' is no section (did you mean train?)"),
        ("train: {batch_sise: 3}", "train.batch_sise is no setting (did you mean train.batch_size?)"),
        ("train: 7", "train must hold settings"),
        ("resources: {device: tpu}", "resources.device must be one of"),
        ("preset: lop", "there is no preset 'lop'"),
        ("resources: {budget: soon}", "is no budget"),
    ],
)
def test_what_is_wrong_in_a_file_is_refused_in_one_line(
    text: str, complaint: str, mini_graph: Path, tmp_path: Path
) -> None:
    (tmp_path / "c.yaml").write_text(text)
    result = cli("train", mini_graph, "-o", tmp_path / "run", "--config", tmp_path / "c.yaml")
    assert complaint in str(result.exception)
    assert "\n" not in str(result.exception)
    assert not (tmp_path / "run").exists()


def test_a_sweep_takes_settings_and_resources_of_a_file(mini_graph: Path, config: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    result = cli("sweep", mini_graph, "-o", out, "--phi", 2, "--seeds", 1, "--jobs", 1, "--config", config)
    assert result.exit_code == 0, result.exception
    settings = Run.read(out / "toy" / "phi-2").settings
    assert (settings.model.d_model, settings.train.batch_size, settings.resources.seeds) == (16, 32, 1)
    assert settings.resources.budget == "6 steps"


def test_what_a_file_says_of_resources_counts_for_every_command(mini_graph: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("resources: {device: cuda}")
    run = cli("train", mini_graph, "-o", tmp_path / "run", "--preset", "toy", "--budget", "2 steps")
    assert run.exit_code == 0, run.exception
    result = cli("eval", tmp_path / "run", "--config", tmp_path / "c.yaml")
    assert "--device cuda" in str(result.exception)


def test_a_preset_and_the_settings_of_another_in_a_file_are_refused_together(mini_graph: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("preset: loop\nmodel: {architecture: loop}")
    result = cli("train", mini_graph, "-o", tmp_path / "run", "--preset", "paper", "--config", tmp_path / "c.yaml")
    assert "leave one out" in str(result.exception)


def test_seeds_that_trained_for_different_times_are_not_put_together(mini_graph: Path, tmp_path: Path) -> None:
    words = ["train", mini_graph, "-o", tmp_path / "run", "--preset", "toy", "--budget"]
    assert cli(*words, "3 steps").exit_code == 0
    result = cli(*words, "6 steps", "--seeds", 2, "--resume")
    assert "have ended within 3 steps" in str(result.exception)
    assert cli(*words, "3 steps", "--seeds", 2, "--resume").exit_code == 0


def test_a_batch_without_room_for_facts_is_refused(mini_graph: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = cli("train", mini_graph, "-o", out, "--preset", "loop", "--set", "train.batch_size=2")
    assert "has no room" in str(result.exception)
    assert not out.exists()


def test_a_wrong_option_of_a_command_in_a_file_is_answered_with_the_nearest(mini_graph: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("phi: {taget: 3}")
    result = cli("phi", mini_graph, "--config", tmp_path / "c.yaml")
    assert "phi has no option 'taget' (did you mean target?)" in str(result.exception)


def test_a_wrong_option_is_answered_with_the_nearest(mini_graph: Path) -> None:
    result = cli("phi", mini_graph, "--taget", 3)
    assert result.exit_code == 2
    assert "--target" in result.output


def test_a_device_that_is_not_there_is_refused_before_any_work(mini_graph: Path, tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    result = cli("train", mini_graph, "-o", tmp_path / "run", "--device", "cuda")
    assert "--device cuda: torch finds no such device here: choose auto or cpu" in str(result.exception)
    assert not (tmp_path / "run").exists()
