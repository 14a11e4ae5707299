"""Health: what is wrong by its code, bounded, and looked at once for all who ask."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from shared.actions.registry import Registry
from shared.composition import Application
from shared.contracts.http import Request, Response
from shared.endpoints.health import Health
from shared.errors import SettingsError, StorageUnavailable
from shared.model.timing import Timing
from shared.operations.pauses import Pause
from shared.settings import Settings
from tests.support.clock import ManualClock
from tests.support.parts import Faults, FaultyStorage, sqlite

ASKED = Request(method="GET", url="http://127.0.0.1:7071/health", headers={}, route={}, query={}, body=b"")
TIMING = Timing()


async def nothing_paused() -> tuple[Pause, ...]:
    return ()


def health(clock: ManualClock, *checks: Callable[[], Awaitable[object]]) -> Health:
    return Health(checks, nothing_paused, clock=clock, timing=TIMING)


def told(response: Response) -> tuple[int, dict[str, object]]:
    return response.status, json.loads(response.body)


async def fine() -> None: ...


async def no_storage() -> None:
    raise StorageUnavailable("nobody at account.table.example")


async def wrong_setting() -> None:
    raise SettingsError("SOME_SETTING is wrong")


async def mistake() -> None:
    raise KeyError("secret")


async def hangs() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("checks", "problems"),
    [
        ([no_storage], ["StorageUnavailable"]),
        ([wrong_setting, fine], ["InvalidConfiguration"]),
        ([mistake], ["InternalError"]),
        ([wrong_setting, no_storage, no_storage], ["InvalidConfiguration", "StorageUnavailable"]),
    ],
)
async def test_what_is_wrong(
    checks: list[Callable[[], Awaitable[object]]], problems: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """503 with the codes; the sentences, which may name what is nobody's business, are in the log."""
    response = await health(ManualClock(), *checks).answer(ASKED)
    assert told(response) == (503, {"status": "Unhealthy", "problems": problems})
    assert int(response.headers["Retry-After"]) > 0
    assert all(code in caplog.text for code in problems)
    assert (wrong_setting in checks) == ("SOME_SETTING is wrong" in caplog.text)


async def test_one_look_for_all_who_ask() -> None:
    """However many ask, the checks are done once in some seconds; then they are done again."""
    clock, looks = ManualClock(), 0

    async def counted() -> None:
        nonlocal looks
        looks += 1
        await asyncio.sleep(0)

    one = health(clock, counted)
    assert {response.status for response in await asyncio.gather(*(one.answer(ASKED) for _ in range(20)))} == {200}
    assert looks == 1
    clock.pass_by(seconds=TIMING.health_kept - 0.1)
    await one.answer(ASKED)
    assert looks == 1
    clock.pass_by(seconds=0.2)
    await one.answer(ASKED)
    assert looks == 2


async def test_a_check_that_hangs() -> None:
    """Storage that takes a request and never answers is unhealthy in time; who goes away spoils nobody's answer."""
    clock = ManualClock()
    one = health(clock, hangs)
    gone, waiting = (asyncio.create_task(one.answer(ASKED)) for _ in range(2))
    await clock.run_for(seconds=TIMING.health_within / 2)
    gone.cancel()
    await clock.run_for(seconds=TIMING.health_within)
    assert told(await waiting) == (503, {"status": "Unhealthy", "problems": ["StorageUnavailable"]})


async def test_the_store_of_the_app(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The app's own store is asked: gone it is unhealthy, back it is healthy, and each change is one line."""
    caplog.set_level(logging.INFO)
    clock = ManualClock()
    async with sqlite(tmp_path, clock) as inner:
        storage = FaultyStorage(inner, Faults(down=True))
        settings = Settings.read({"OPERATIONS_STORE": "sqlite", "DATA_DIR": str(tmp_path)})
        application = Application(Registry(), settings=settings, storage=storage, clock=clock)
        for _ in range(3):
            assert (await application.health.answer(ASKED)).status == 503
            clock.pass_by(seconds=TIMING.health_kept)
        storage.faults.down = False
        assert told(await application.health.answer(ASKED)) == (200, {"status": "Healthy"})
    lines = [record.getMessage() for record in caplog.records if record.name == "shared.endpoints.health"]
    assert [line.partition(":")[2].split(":")[0].strip() for line in lines] == ["StorageUnavailable", "healthy again"]


async def test_settings_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app that cannot be configured is unhealthy, and its log names the setting."""
    monkeypatch.setenv("MAX_BODY_BYTES", "big")
    response = await Application(Registry(), clock=ManualClock()).health.answer(ASKED)
    assert told(response) == (503, {"status": "Unhealthy", "problems": ["InvalidConfiguration"]})


async def test_callers_that_nobody_checks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where principals are to be trusted and the platform does not check them, the app is unhealthy, and says why."""
    local = {"OPERATIONS_STORE": "sqlite", "DATA_DIR": str(tmp_path), "TRUST_PLATFORM_AUTH": "true"}
    for enabled, expected in (("false", ["InvalidConfiguration"]), ("True", None)):
        async with sqlite(tmp_path) as storage:
            settings = Settings.read({**local, "WEBSITE_AUTH_ENABLED": enabled})
            application = Application(Registry(), settings=settings, storage=storage, clock=ManualClock())
            assert told(await application.health.answer(ASKED))[1].get("problems") == expected
    assert "TRUST_PLATFORM_AUTH is true" in caplog.text
