"""Where facts come from: one module for each source, each with a `read` that returns a `Graph`."""
