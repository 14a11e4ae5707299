"""The example action. docs/testing-actions.md has more: cancel, time-outs, storage, retries."""

import pytest

from actions.greetings import Greeted, send
from shared.actions import ActionFailed
from shared.testing import FakeApp


async def test_a_greeting_is_sent() -> None:
    """The words and the name make the message, and every word is reported."""
    async with FakeApp() as app:
        run = app.run(send, {"id": "world", "text": "Good morning"})
        assert await run == Greeted(message="Good morning, world!")
        assert [progress.message for progress in run.progress] == ["Good", "morning"]


async def test_a_greeting_without_words_fails() -> None:
    """There has to be something to say."""
    async with FakeApp() as app:
        with pytest.raises(ActionFailed, match="NothingToSay"):
            await app.run(send, {"id": "world", "text": " "})
