"""A package of actions whose import does not end."""
