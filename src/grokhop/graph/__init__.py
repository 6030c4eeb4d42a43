"""A knowledge graph: its facts, its paths, queries over it, and which facts are held out of compositions."""
