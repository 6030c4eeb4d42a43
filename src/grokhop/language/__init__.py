"""Questions in words: names, dates, templates and grammar, linked to a graph and parsed into queries."""
