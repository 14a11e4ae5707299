"""Runs the function app of this repository without Azure Functions Core Tools: `python -m local_host`."""
