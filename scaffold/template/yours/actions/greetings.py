"""Greetings: an action to start from. Change it, or remove it together with `tests/test_greetings.py`."""

import asyncio

from shared.actions import ActionContext, ActionFailed, Model, action


class Greeting(Model):
    """Whom to greet, and with which words."""

    id: str
    text: str


class Greeted(Model):
    """What was sent."""

    message: str


@action("greeting:send", post="greeting/{id}:send", timeout="1m", keep="1h")
async def send(context: ActionContext, request: Greeting) -> Greeted:
    """Send a greeting, a word at a time."""
    words = request.text.split()
    if not words:
        raise ActionFailed("NothingToSay", "Send at least one word.", target="text")
    for done, word in enumerate(words, start=1):
        context.report_progress(done=done, total=len(words), message=word)
        await asyncio.sleep(0)
    return Greeted(message=f"{' '.join(words)}, {request.id}!")
