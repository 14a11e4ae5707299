"""The sample's modules as the app collects them."""

import actions
from shared.actions.registry import discover


def test_the_sample() -> None:
    """The sample's actions and reads are found, with the routes of the specification."""
    assert {(e.methods, e.route) for e in discover(actions).endpoints()} >= {
        (("POST",), "book/{id}:upload-start"),
        (("POST",), "book/{id}:upload-finish"),
        (("GET", "HEAD"), "book/{id}"),
        (("GET", "HEAD"), "book"),
    }
