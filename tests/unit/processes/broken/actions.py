"""It raises."""

raise RuntimeError("broken on purpose")
