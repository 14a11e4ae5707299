"""A package of actions that cannot be imported."""
