"""The Python API: what `import grokhop` gives, that it comes lazily, and that it is typed.

The functions `typed_...` are never called: mypy checks what they say of the types.
"""

import ast
import inspect
import json
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, assert_type

import pytest

import grokhop as gh
from grokhop.config import RunConfig
from grokhop.graph.graph import Graph
from grokhop.inference.ask import ask
from grokhop.interpretability.loaded import LoadedModel, ModelAnswer
from grokhop.interpretability.named_cache import NamedCache
from grokhop.phi.report import PhiReport
from grokhop.runs.run import Run
from grokhop.tasks.dataset import TaskDataset
from grokhop.training.train import train
from tests.conftest import ROOT

VERBS = [
    "ask",
    "augment",
    "build_dataset",
    "evaluate",
    "explain",
    "load",
    "load_graph",
    "measure_phi",
    "report",
    "train",
]
HEAVY = {"torch", "numpy", "pyarrow", "scipy", "duckdb", "rapidfuzz"}


def loaded_by(code: str) -> set[str]:
    """The modules that a fresh interpreter has after some code."""
    code = f"import json, sys\nbefore = set(sys.modules)\n{code}\nprint(json.dumps(sorted(set(sys.modules) - before)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(found.stdout))


def test_importing_the_package_imports_nothing_else_of_it_and_nothing_heavy() -> None:
    modules = loaded_by("import grokhop; dir(grokhop); grokhop.__version__")
    assert {name for name in modules if name.startswith("grokhop")} == {"grokhop"}
    assert not modules & HEAVY


@pytest.mark.parametrize("name", ["InputError", "RunConfig", "TaskConfig", "preset"])
def test_settings_and_errors_come_without_anything_heavy(name: str) -> None:
    assert not loaded_by(f"from grokhop import {name}") & HEAVY


@pytest.mark.parametrize("verb", ["load_graph", "measure_phi", "report"])
def test_verbs_that_need_no_torch_come_without_it(verb: str) -> None:
    assert "torch" not in loaded_by(f"import grokhop; grokhop.{verb}")


def test_every_verb_is_there_and_listed() -> None:
    assert set(VERBS) <= set(gh.__all__) <= set(dir(gh))
    assert all(callable(getattr(gh, name)) for name in gh.__all__)


def test_verbs_are_the_functions_of_the_stages() -> None:
    assert gh.train is train
    assert gh.ask is ask
    assert gh.load_graph is Graph.read


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_says_its_types_and_what_it_does(verb: str) -> None:
    function: Callable[..., Any] = getattr(gh, verb)
    signature = inspect.signature(function)
    kinds = [*(p.annotation for p in signature.parameters.values()), signature.return_annotation]
    assert inspect.Signature.empty not in kinds
    assert "Raises:" in (inspect.getdoc(function) or "")


def test_what_type_checkers_are_told_is_what_is_imported() -> None:
    tree = ast.parse((ROOT / "src" / "grokhop" / "__init__.py").read_text())
    told = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in told.body if isinstance(node, ast.ImportFrom)]
    said = {a.asname or a.name: f"{node.module}:{a.name}" for node in imports for a in node.names}
    said |= {ast.unparse(n.targets[0]): ast.unparse(n.value) for n in told.body if isinstance(n, ast.Assign)}
    assert said.pop("load_graph") == "Graph.read"
    assert said.pop("Graph") == "grokhop.graph.graph:Graph"
    assert {**said, "load_graph": "grokhop.graph.graph:Graph.read"} == gh._HOMES
    assert set(gh._HOMES) == set(gh.__all__)


def test_no_verb_has_the_name_of_a_package_which_would_take_its_place() -> None:
    assert not {module.name for module in pkgutil.iter_modules(gh.__path__)} & set(gh.__all__)


def test_verbs_stay_when_all_packages_are_imported() -> None:
    packages = [module.name for module in pkgutil.iter_modules(gh.__path__) if module.ispkg]
    everything = "import grokhop, " + ", ".join(f"grokhop.{name}" for name in packages)
    code = f"{everything}\nassert all(callable(getattr(grokhop, name)) for name in grokhop.__all__)"
    assert "grokhop.training" in loaded_by(code)


def test_another_name_is_refused_as_in_any_module() -> None:
    with pytest.raises(AttributeError, match="module 'grokhop' has no attribute 'trian'"):
        gh.trian  # type: ignore[attr-defined] # noqa: B018


def test_a_graph_is_read_measured_and_composed(mini_graph: Path) -> None:
    graph = gh.load_graph(mini_graph)
    assert gh.measure_phi(graph, hops=2, target=6.25).whole.facts == len(graph) == 80
    assert len(gh.build_dataset(graph, gh.preset("loop").task).rows)
    with pytest.raises(gh.InputError, match="does not exist"):
        gh.load_graph(mini_graph / "nothing")


def typed_verbs(path: Path, graph: Graph, settings: RunConfig) -> None:
    assert_type(gh.load_graph(path), Graph)
    assert_type(gh.measure_phi(graph, hops=3, target=3.6), PhiReport)
    assert_type(gh.build_dataset(graph, settings.task), TaskDataset)
    assert_type(gh.preset("loop"), RunConfig)
    assert_type(gh.train(path, path, settings), Run)
    assert_type(gh.report(path), Path)
    assert_type(gh.load(path, seed=1), LoadedModel)


def typed_loaded(model: LoadedModel) -> None:
    assert_type(model.answer(["a / r"]), list[ModelAnswer])
    assert_type(model.run_with_cache("a / r"), tuple[ModelAnswer, NamedCache])
