"""grokhop turns a knowledge graph into a small transformer that answers multi-hop questions about it."""

__version__ = "0.1.0"
