"""The command line as a person and a program meet it: help, JSON, exit codes, and one line for each mistake."""

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from shutil import copytree

import pytest
from typer.testing import CliRunner

from grokhop.cli.main import app, main
from grokhop.core.artifacts import MANIFEST

TRIPLES = "".join(
    f"p{i}\tfather\tp{(3 * i + 1) % 40}\np{i}\tborn in\tcity{(7 * i) % 9}\np{i}\tspouse\tp{(11 * i + 5) % 40}\n"
    for i in range(40)
)


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "grokhop", *map(str, words)], capture_output=True, text=True, check=False
    )


def last_line(result: subprocess.CompletedProcess[str]) -> str:
    return result.stderr.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    (folder / "facts.tsv").write_text(TRIPLES)
    assert run("ingest", "triples", folder / "facts.tsv", "-o", folder / "graph").returncode == 0
    return folder / "graph"


def test_help_comes_without_torch_or_pyarrow() -> None:
    code = "import sys; sys.argv = ['grokhop', '--help']\nfrom grokhop.cli.main import main\n"
    code += "try:\n main()\nexcept SystemExit: pass\n"
    code += "print(sorted({'torch', 'pyarrow', 'plotly', 'scipy'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip().endswith("[]")


def test_measuring_and_reporting_need_no_torch() -> None:
    modules = "phi.report augmentation.augment tasks.composition datasets.ingest reporting cli.console"
    code = f"import sys, {', '.join(f'grokhop.{name}' for name in modules.split())}\n"
    code += "assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("words", [["--help"], ["ingest", "--help"], ["train", "--help"], ["phi", "--help"]])
def test_every_command_explains_itself(words: list[str]) -> None:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_the_version_is_told_and_that_of_the_package() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output == f"grokhop {metadata.version('grokhop')}\n"


@pytest.mark.parametrize("words", [[], ["train"], ["ingest", "triples"], ["bench", "phi"]])
def test_help_has_a_short_name_too(words: list[str]) -> None:
    short, long = (CliRunner().invoke(app, [*words, name]) for name in ("-h", "--help"))
    assert (short.exit_code, long.exit_code) == (0, 0)
    assert short.output == long.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_given_its_completion(shell: str) -> None:
    environment = {**os.environ, "_GROKHOP_COMPLETE": f"source_{shell}"}
    code = "from grokhop.cli.main import app; app(prog_name='grokhop')"
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert "_GROKHOP_COMPLETE" in result.stdout


def test_phi_as_json_is_one_object_and_nothing_else(graph: Path) -> None:
    result = run("phi", graph, "--json")
    measured = json.loads(result.stdout)
    keys = {"facts", "entities", "relations", "hops", "paths", "paths_no_return", "phi", "per_relation", "trainable"}
    assert keys <= set(measured)
    row_keys = {"relation", "facts", "first_hop_paths", "last_hop_paths", "paths", "phi", "branching", "passes"}
    assert row_keys <= set(measured["per_relation"][0])
    assert measured["facts"] == 120


def test_the_flow_from_facts_to_report_goes_through_the_command_line(graph: Path, tmp_path: Path) -> None:
    augmented, trained = tmp_path / "augmented", tmp_path / "run"
    report = json.loads(run("augment", graph, "--target-phi", "3", "-o", augmented, "--json").stdout)
    assert {"added", "by_source", "rejected", "lower_bound", "phi_before", "phi_after", "passes"} <= set(report)
    words: list[str | Path] = [
        "train",
        augmented,
        "--preset",
        "toy",
        "--budget",
        "20 steps",
        "--threads",
        "1",
        "-o",
        trained,
        "--json",
    ]
    trained_as_json = json.loads(run(*words).stdout)
    assert trained_as_json["seeds"][0]["steps"] == 20
    evaluation = json.loads(run("eval", trained, "--threads", "1", "--json").stdout)
    keys = {"seeds", "atomic", "cells", "comparison", "questions", "parsed", "grok", "train_seconds"}
    assert keys <= set(evaluation)
    assert set(evaluation["cells"]["2"]) == {"II", "IO", "OI", "OO"}
    written = json.loads(run("report", trained, "--json").stdout)
    assert Path(written["report"]).stat().st_size > 1_000_000


def test_people_get_tables_on_standard_output_and_progress_on_standard_error(graph: Path, tmp_path: Path) -> None:
    result = run("train", graph, "--preset", "toy", "--budget", "20 steps", "--threads", "1", "-o", tmp_path / "r")
    assert result.returncode == 0
    assert "seconds until" in result.stdout
    assert "step 20" in result.stderr


def test_a_run_that_was_stopped_is_resumed_by_name(graph: Path, tmp_path: Path) -> None:
    words: list[str | Path] = [
        "train",
        graph,
        "--preset",
        "toy",
        "--threads",
        "1",
        "-o",
        tmp_path / "r",
        "--budget",
        "20 steps",
    ]
    assert run(*words).returncode == 0
    again = run(*words)
    assert again.returncode == 2
    assert "exists" in last_line(again)
    assert run(*words, "--resume", "--seeds", "2").returncode == 0
    assert (tmp_path / "r" / "seed-1" / "model.safetensors").exists()


def newer(graph: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "newer"
    folder.mkdir()
    manifest = json.loads((graph / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, "schema_version": 99}))
    return folder


def test_a_folder_of_a_newer_schema_version_is_named_with_both_versions(graph: Path, tmp_path: Path) -> None:
    result = run("phi", newer(graph, tmp_path))
    assert result.returncode == 2
    assert "schema version 99" in last_line(result)


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("a\tb\n", ["ingest", "triples", "FILE", "-o", "OUT"], "column"),
        ("", ["ingest", "triples", "FILE", "-o", "OUT"], "empty"),
        ("not json", ["ingest", "2wiki", "FILE", "-o", "OUT"], "JSON"),
        (TRIPLES, ["ingest", "triples", "FILE", "-o", "OUT", "--holdout", "2"], "share"),
        ("a\tr\tb\n", ["ingest", "triples", "FILE", "-o", "OUT", "--holdout", "0.01"], "hold-out is empty"),
        (TRIPLES, ["phi", "FILE"], "not a grokhop graph"),
        (TRIPLES, ["train", "MISSING", "-o", "OUT"], "does not exist"),
        (TRIPLES, ["eval", "MISSING"], "does not exist"),
        (TRIPLES, ["eval", "MISSING", "--questions", "FILE"], "does not exist"),
        (TRIPLES, ["report", "MISSING"], "does not exist"),
    ],
)
def test_a_mistake_is_one_line_exit_code_two_and_nothing_written(
    tmp_path: Path, text: str, words: list[str], message: str
) -> None:
    (tmp_path / "facts.txt").write_text(text)
    names = {"FILE": tmp_path / "facts.txt", "OUT": tmp_path / "out", "MISSING": tmp_path / "missing"}
    result = run(*(names.get(word, word) for word in words))
    assert result.returncode == 2, result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert message in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["facts.txt"]


def test_a_graph_without_compositions_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "star.tsv").write_text("".join(f"p{i}\tborn in\tcity{i % 3}\n" for i in range(30)))
    run("ingest", "triples", tmp_path / "star.tsv", "-o", tmp_path / "graph")
    trained = run("train", tmp_path / "graph", "-o", tmp_path / "run")
    assert trained.returncode == 2
    assert "no compositions" in last_line(trained)
    augmented = run("augment", tmp_path / "graph", "-o", tmp_path / "more")
    assert augmented.returncode == 2
    assert "can be improved" in last_line(augmented)
    measured = json.loads(run("phi", tmp_path / "graph", "--json").stdout)
    assert measured["paths"] == 0
    assert measured["per_relation"][0]["never_bridge"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["graph", "star.tsv"]


def test_a_target_that_no_augmentation_can_reach_is_refused(graph: Path, tmp_path: Path) -> None:
    result = run("augment", graph, "--target-phi", "1e9", "-o", tmp_path / "more")
    assert result.returncode == 2
    assert "lower it" in last_line(result)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["sources", "holdout", "kind", "schema_version"])
def test_a_manifest_without_one_of_its_entries_is_called_damaged(graph: Path, tmp_path: Path, damage: str) -> None:
    copytree(graph, tmp_path / "graph")
    manifest = json.loads((graph / MANIFEST).read_text())
    del manifest[damage]
    (tmp_path / "graph" / MANIFEST).write_text(json.dumps(manifest))
    result = run("phi", tmp_path / "graph")
    assert result.returncode == 2
    assert "is damaged" in last_line(result)


def test_tables_that_were_swapped_are_called_damaged(graph: Path, tmp_path: Path) -> None:
    copytree(graph, tmp_path / "graph")
    (tmp_path / "graph" / "entities.parquet").write_bytes((graph / "relations.parquet").read_bytes())
    result = run("phi", tmp_path / "graph")
    assert result.returncode == 2
    assert "is damaged" in last_line(result)


@pytest.mark.parametrize("target", ["inf", "nan", "0", "-1"])
def test_a_target_that_is_no_number_above_zero_is_refused(graph: Path, tmp_path: Path, target: str) -> None:
    assert run("phi", graph, "--target", target).returncode == 2
    assert run("augment", graph, "--target-phi", target, "-o", tmp_path / "more").returncode == 2
    assert not list(tmp_path.iterdir())


def test_an_output_below_a_file_is_one_line(graph: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("augment", graph, "--target-phi", "1", "-o", tmp_path / "file" / "more")
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("budget", ["soon", "0s", "5 days", "-3m"])
def test_a_budget_that_is_none_is_refused(graph: Path, tmp_path: Path, budget: str) -> None:
    result = run("train", graph, "--budget", budget, "-o", tmp_path / "run")
    assert result.returncode == 2
    assert "write 90s, 5m" in last_line(result)


def test_an_interrupt_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("grokhop.cli.main.app", stop)
    with pytest.raises(SystemExit) as raised:
        main()
    assert raised.value.code == 130
    assert "--resume" in capsys.readouterr().err
