"""grokhop turns a knowledge graph into a small transformer that answers multi-hop questions about it.

    from pathlib import Path

    import grokhop as gh

    graph = gh.load_graph(Path("runs/demo/graph"))
    print(gh.measure_phi(graph).verdict)
    model = gh.load(Path("runs/demo/run"))
    answer, cache = model.run_with_cache("Lakes of Ounianga / heritage site in / head of state")

Each name is a function of one stage, or what it is given; folders are of `pathlib.Path`. A module is imported when a
name of it is first used (PEP 562).
"""

from importlib import import_module
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grokhop.augmentation.augment import augment_folder as augment
    from grokhop.config import RunConfig, TaskConfig, preset
    from grokhop.core.errors import InputError
    from grokhop.evaluation.evaluate import evaluate
    from grokhop.graph.graph import Graph
    from grokhop.inference.ask import ask
    from grokhop.interpretability.explain import explain
    from grokhop.interpretability.loaded import load
    from grokhop.phi.report import measure as measure_phi
    from grokhop.reporting import report
    from grokhop.tasks.dataset import build_dataset
    from grokhop.training.train import train

    load_graph = Graph.read

__version__ = "0.1.0"
__all__ = [
    "InputError",
    "RunConfig",
    "TaskConfig",
    "ask",
    "augment",
    "build_dataset",
    "evaluate",
    "explain",
    "load",
    "load_graph",
    "measure_phi",
    "preset",
    "report",
    "train",
]

_HOMES = {
    "RunConfig": "grokhop.config:RunConfig",
    "TaskConfig": "grokhop.config:TaskConfig",
    "InputError": "grokhop.core.errors:InputError",
    "ask": "grokhop.inference.ask:ask",
    "augment": "grokhop.augmentation.augment:augment_folder",
    "build_dataset": "grokhop.tasks.dataset:build_dataset",
    "evaluate": "grokhop.evaluation.evaluate:evaluate",
    "explain": "grokhop.interpretability.explain:explain",
    "load": "grokhop.interpretability.loaded:load",
    "load_graph": "grokhop.graph.graph:Graph.read",
    "measure_phi": "grokhop.phi.report:measure",
    "preset": "grokhop.config:preset",
    "report": "grokhop.reporting:report",
    "train": "grokhop.training.train:train",
}


if not TYPE_CHECKING:  # who would take any name for one that there is

    def __getattr__(name: str) -> Any:
        """Import the home of a public name at its first use, and keep what was found.

        Raises:
            AttributeError: there is no such name.
        """
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module, inside = _HOMES[name].split(":")
        found = globals()[name] = attrgetter(inside)(import_module(module))
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
