"""Facts added to a graph until its relations pass: planned, proposed by sources, validated, never held-out ones."""
