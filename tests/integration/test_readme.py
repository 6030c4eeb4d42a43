"""The README says what is there: every file of the tree, and commands that work as they are written."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from grokhop.cli.main import app
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
SOURCE = ROOT / "src" / "grokhop"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_tree_in_the_readme_is_the_tree_of_the_source() -> None:
    tree = next(block for block in blocks("text") if block.startswith("src/grokhop/"))
    named = {line.split()[0] for line in tree.splitlines()[1:] if line.startswith("  ")}
    there = {p.name + ("/" if p.is_dir() else "") for p in SOURCE.iterdir() if not p.name.startswith("__")}
    assert named == there


def test_every_line_of_the_tree_says_what_the_file_is_for_in_a_few_words() -> None:
    tree = next(block for block in blocks("text") if block.startswith("src/grokhop/"))
    assert all(2 <= len(line.split()) - 1 <= 8 for line in tree.splitlines()[1:] if line.startswith("  "))


def test_the_commands_for_an_own_graph_work_as_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the budget is made smaller than it is written, so that the test is short."""
    monkeypatch.chdir(tmp_path)
    facts = [f"p{i}\t{r}\tp{(n * i + n) % 40}" for i in range(40) for n, r in ((3, "father"), (7, "spouse"))]
    facts += [f"p{i}\tborn in\tcity{i % 7}" for i in range(40)]
    Path("facts.tsv").write_text("\n".join(facts) + "\n")
    commands = next(block for block in blocks("sh") if "facts.tsv" in block)
    for line in commands.splitlines():
        words = shlex.split(line.replace("5m", "'30 steps'").replace("--seeds 3", "--seeds 1"), comments=True)
        result = CliRunner().invoke(app, words[1:])
        assert result.exit_code == 0, (line, result.output, result.exception)
    assert Path("run/report.html").exists()


def test_the_python_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), {})
    assert "All 22 relations" in capsys.readouterr().out


def test_the_files_that_the_readme_links_to_are_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert [link for link in links if not link.startswith("https://") and not (ROOT / link).exists()] == []
