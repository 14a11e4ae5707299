"""What editors and pyright know of declarations: right ones pass in strict mode, wrong names and types do not."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

RIGHT = """# pyright: strict
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import assert_type

from shared.actions import (
    RESOURCE,
    Action,
    ActionContext,
    ArmCombinedLroHeaders,
    ArmResource,
    ArmTrackedResource,
    Delegation,
    Model,
    ODataService,
    RequestContext,
    Retry,
    Stored,
    action,
    call,
    delegate_put,
    read,
    read_only,
)
from shared.storage import Insert, Row, Storage, row_pages, write_once, write_time


class Book(Model):
    id: str
    words: int | None = read_only()


class Properties(Model):
    note: str | None = None


Thing = ArmTrackedResource[Properties]
things = ArmResource("Contoso.A", "things", api_versions=["2026-01-01"], properties=Properties, locations=["here"])
presses = ArmResource("Contoso.A", "presses", api_versions=["2026-01-01"], properties=Properties)
service = ODataService("Numbers")


class Books:
    async def scan(self, *, after: str | None = None) -> AsyncIterator[Sequence[Stored]]:
        yield []

    async def get(self, key: str) -> Stored | None: ...


@action("a", post="a/{id}", exclusive="a/{id}", timeout="5m", retry=3, keep=timedelta(days=1), retry_after=2)
async def work(context: ActionContext, request: Book) -> None: ...


assert_type(work, Action)


@read("b", get="b")
async def look(context: RequestContext) -> Book: ...


@call("c", post="c")
async def answer(context: RequestContext) -> Book: ...


@things.create_or_replace(lro_headers=ArmCombinedLroHeaders(final_result=RESOURCE, retry_after=5), retry=Retry())
async def put(context: ActionContext, thing: Thing) -> Thing: ...


@things.action("do", timeout="1m", also_lock=lambda thing, request: ["other"])
async def do(context: ActionContext, thing: Thing) -> None: ...


@delegate_put(presses, deadline="2h", retry=2)
async def order(delegation: Delegation, thing: Thing) -> None: ...


books = service.entity_set("Books", Book, key="id", source=Books)


@service.action("Count", undoable=True, keep="7d", retry_after=2)
async def count(context: ActionContext) -> int: ...


@books.function("Words")
async def words(context: RequestContext, request: Book) -> int: ...


async def rows(storage: Storage) -> list[Row]:
    table = storage.table("books")
    await write_once(table, "p", [Insert("k", {"at": write_time(datetime.now(UTC))})])
    return [row async for page in row_pages(table, "p") for row in page]
"""

WRONG = """# pyright: strict
from shared.actions import ArmLroLocationHeader, ArmResource, Model, ODataService, Retry, action, delegate_put, read


class Properties(Model):
    note: str | None = None


things = ArmResource("Contoso.A", "things", api_versions=["2026-01-01"], properties=Properties)
service = ODataService("Numbers")
action("a", post="a", tiemout="5m")  # no parameter named "tiemout"
action("a", post="a", retry="3")  # "retry"
action("a", post=5)  # "post"
action("a", post="a", keep=5)  # "keep"
read("a")  # "get"
Retry(max_attempts="3")  # "max_attempts"
things.create_or_replace(tiemout="5m")  # no parameter named "tiemout"
things.create_or_update(retry="3")  # "retry"
things.update(retry_after=5)  # no parameter named "retry_after"
things.delete(lro_headers=ArmLroLocationHeader)  # "lro_headers"
things.action("do", keep=5)  # "keep"
things.action("do", also_lock="other")  # "also_lock"
delegate_put(things, deadline=5)  # "deadline"
delegate_put(things, kep="7d")  # no parameter named "kep"
service.action("Do", undoable="yes")  # "undoable"
service.action("Do", tiemout="5m")  # no parameter named "tiemout"
books = service.entity_set("Books", Properties, key=5, source=service)  # "key"
books.action("Do", retry="3")  # "retry"
books.collection_action("Do", kep="7d")  # no parameter named "kep"
books.function(5)  # "name"
ArmResource("Contoso.A", "others", api_versions=5, properties=Properties)  # "api_versions"
"""


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[int, str]]:
    """What pyright says of the two programs, by file and line."""
    folder = tmp_path_factory.mktemp("typed")
    (folder / "right.py").write_text(RIGHT)
    (folder / "wrong.py").write_text(WRONG)
    config = {"extraPaths": [str(ROOT)], "pythonVersion": "3.11", "include": ["."]}
    (folder / "pyrightconfig.json").write_text(json.dumps(config))
    line = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", "--project", str(folder)]
    answer = json.loads(subprocess.run(line, capture_output=True, text=True, check=False, timeout=110).stdout)
    found: dict[str, dict[int, str]] = {"right.py": {}, "wrong.py": {}}
    for problem in answer["generalDiagnostics"]:
        at = problem["range"]["start"]["line"] + 1
        lines = found[Path(problem["file"]).name]
        lines[at] = lines.get(at, "") + problem["message"]
    assert answer["summary"]["filesAnalyzed"] == 2
    return found


def test_right_declarations(reported: dict[str, dict[int, str]]) -> None:
    """Every name of a program that uses both facades has its type."""
    assert reported["right.py"] == {}


def test_wrong_declarations(reported: dict[str, dict[int, str]]) -> None:
    """Each wrong line is reported, by the name of its parameter; no other is."""
    expected = {
        number: line.partition("  # ")[2] for number, line in enumerate(WRONG.splitlines(), start=1) if "  # " in line
    }
    assert set(reported["wrong.py"]) == set(expected)
    for number, part in expected.items():
        assert re.search(re.escape(part), reported["wrong.py"][number], re.IGNORECASE), reported["wrong.py"][number]
