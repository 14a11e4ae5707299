"""Running actions in a test: in memory, without HTTP, host or engine. Public; docs/testing-actions.md shows all of it.

    async with FakeApp() as app:
        run = app.run(send, {"id": "world", "text": "Hello"})
        assert (await run).message == "Hello, world!"
        assert run.progress[-1].done == 1

A run is one attempt. Its contexts are real ones: storage, locks, ARM resources and delegated operations are the app's
own code over a store that is thrown away, with the limits of the real one. Time stands still unless the test moves it.
"""

from shared.testing.app import FakeApp
from shared.testing.clock import FakeClock
from shared.testing.run import ReturnedFile, Run

__all__ = ["FakeApp", "FakeClock", "ReturnedFile", "Run"]
