"""See the circuit: what a model says on its way, what carries its answer, and how that came about."""

from grokhop.interpretability.explain import explain

__all__ = ["explain"]
