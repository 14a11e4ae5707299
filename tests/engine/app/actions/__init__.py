"""The actions of the engine's tests: they write down when each attempt begins, ends and is told to stop."""
