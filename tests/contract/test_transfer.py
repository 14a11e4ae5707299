"""`python -m local_host.transfer`: all that an app has stored moves to another store, and is the same there."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local_host import transfer
from local_host.errors import PackageError
from local_host.transfer import export, load
from shared.settings import Settings
from shared.storage.factory import open_inventory
from shared.storage.namespace import own_name, stored_name
from shared.storage.ports import Inventory, Upsert
from tests.support.azurite import Accounts
from tests.support.host import ROOT, LocalHost, timed
from tests.support.lro import begin, ended, monitor, run, running

VALUES: dict[str, Any] = {"text": "é\u2028\x7f '\"", "whole": 2**40, "real": 1.0, "flag": True, "empty": ""}
LARGE = bytes(range(256)) * 20_000


def of_store(kind: str, folder: Path, connection: str, namespace: str = "Moved") -> Settings:
    store = {"OPERATIONS_STORE": "sqlite", "DATA_DIR": str(folder)} if kind == "sqlite" else {}
    return Settings.read({"OPERATIONS_STORAGE": connection, "OPERATIONS_NAMESPACE": namespace, **store})


@pytest.fixture(params=[("sqlite", "tables"), ("tables", "sqlite")], ids=" to ".join)
async def stores(
    request: pytest.FixtureRequest, tmp_path: Path, accounts: Accounts
) -> AsyncIterator[tuple[Inventory, Inventory]]:
    """A store with something in it, and an empty one of the other kind."""
    one, other = request.param
    source = open_inventory(of_store(one, tmp_path / "one", accounts.fresh()))
    target = open_inventory(of_store(other, tmp_path / "other", accounts.fresh(), "Elsewhere"))
    await fill(source)
    yield source, target
    await source.aclose()
    await target.aclose()


async def fill(store: Inventory) -> None:
    operations = store.table("operations")
    await operations.write("app", [Upsert("site", {"site": "old"}), Upsert("schema", {"version": 9})])
    await operations.write("a", [Upsert(f"o!{n:04}", VALUES | {"n": n}) for n in range(80)])
    await operations.write("b", [Upsert("o!1", {"large": "x" * 30_000})])
    await store.table("books").write("emma", [Upsert("row", VALUES)])
    await store.container("operations").put("Run/result-1", LARGE, content_type="application/json")
    await store.container("operations").put("run/result-1", b"small", content_type="text/plain; charset=utf-8")
    await store.container("uploads").put("empty", b"", content_type="application/epub+zip")


async def everything(store: Inventory) -> dict[str, Any]:
    found: dict[str, Any] = {}
    async for table in store.tables():
        async for row in store.rows(table):
            found[f"{table} {row.partition} {row.key}"] = dict(row.values)
    async for container in store.containers():
        async for name in store.blobs(container):
            async with store.container(container).open(name) as reader:
                assert reader is not None
                content = b"".join([chunk async for chunk in reader.chunks()])
            found[f"{container}/{name}"] = (reader.info.content_type, content)
    return found


async def test_there_is_the_same(stores: tuple[Inventory, Inventory], tmp_path: Path) -> None:
    """Every row with its types, every blob with its bytes and its type; but not the row that says whose the namespace
    is. A namespace beside it is neither read nor written."""
    source, target = stores
    manifest = await export(source, tmp_path / "out")
    assert manifest["tables"] == {"books": 1, "operations": 82}
    assert manifest["containers"] == {"operations": 2, "uploads": 1}
    await load(target, tmp_path / "out")
    moved, was = await everything(target), await everything(source)
    assert was.pop("operations app site") == {"site": "old"}
    assert moved == was
    assert type(moved["books emma row"]["real"]) is float
    with pytest.raises(PackageError, match="not empty"):
        await export(source, tmp_path / "out")


async def test_what_is_there_is_not_overwritten(stores: tuple[Inventory, Inventory], tmp_path: Path) -> None:
    """An import into a store with operations is refused; one that was cut off is begun again, and goes on."""
    source, target = stores
    await export(source, tmp_path / "out")
    broken = tmp_path / "out" / "tables" / "operations.jsonl"
    whole = broken.read_text(encoding="utf-8")
    broken.write_text(whole[: whole.rindex('{"partition"')], encoding="utf-8")
    with pytest.raises(PackageError, match="81 lines, and the manifest says 82"):
        await load(target, tmp_path / "out")
    broken.write_text(whole, encoding="utf-8")
    await load(target, tmp_path / "out")
    with pytest.raises(PackageError, match="has rows already"):
        await load(target, tmp_path / "out")


@pytest.mark.parametrize(
    ("path", "old", "new", "reason"),
    [
        ("manifest.json", '"format": 1', '"format": 2', "format"),
        ("manifest.json", '"books"', '"../etc"', "no app has"),
        ("manifest.json", "{", "", "no whole export"),
        ("tables/books.jsonl", "}}", "", "cannot be read at line 1"),
        ("containers/uploads.jsonl", '"file": "1"', '"file": "../../../etc/passwd"', "no export has"),
        ("containers/operations/1", "", "x", "SHA-256"),
    ],
    ids=["format", "name", "cut", "line", "path", "bytes"],
)
async def test_folders_that_are_refused(tmp_path: Path, path: str, old: str, new: str, reason: str) -> None:
    """A folder that was harmed, or made by somebody else, is refused before a row is written."""
    source = open_inventory(of_store("sqlite", tmp_path / "one", ""))
    target = open_inventory(of_store("sqlite", tmp_path / "other", ""))
    try:
        await fill(source)
        await export(source, tmp_path / "out")
        file = tmp_path / "out" / path
        text = file.read_bytes().decode("latin-1")
        file.write_bytes(text.replace(old, new, 1).encode("latin-1"))
        with pytest.raises(PackageError, match=reason):
            await load(target, tmp_path / "out")
        assert not [table async for table in target.tables() if table != "operations"]
    finally:
        await source.aclose()
        await target.aclose()


def test_names_of_other_namespaces() -> None:
    """A stored name is read back in its own namespace, and is nobody's in another."""
    for namespace in ("Moved", "a" * 50, "hub0", "x0books"):
        assert own_name(namespace, stored_name(namespace, "books")) == "books"
        assert own_name("Other", stored_name(namespace, "books")) is None
    assert own_name("Moved", "moved0history1") is None


def moved(command: str, folder: Path, **environment: str) -> str:
    kept = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-m", "local_host.transfer", command, str(folder)]
    done = subprocess.run(line, cwd=ROOT, env=kept | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_operations_go_on_at_the_new_place(tmp_path: Path, app_root: Path, accounts: Accounts) -> None:
    """From SQLite to a storage account, by the command: what had ended is there with its result, and what ran when the
    host was killed is started again and ends."""
    connection = accounts.fresh()
    brief = timed(lease=2, heartbeat=0.5)
    with (
        LocalHost(tmp_path / "old", app_root=app_root, environment=brief) as old,
        httpx.Client(base_url=old.url) as client,
    ):
        done = run(client, "/trial/c1:large", {"size": 40_000})
        runs = begin(client, "/trial/c1:wait", {"seconds": 3})["id"]
        running(client, runs)
        old.kill()
    said = moved("export", tmp_path / "out", DATA_DIR=str(tmp_path / "old" / "data"))
    assert said.startswith("exported ")
    target = {"OPERATIONS_STORE": "tables", "OPERATIONS_STORAGE": connection}
    assert moved("import", tmp_path / "out", **target).startswith("imported ")
    environment = {"AzureWebJobsStorage": connection, **brief}
    new = LocalHost(tmp_path / "new", store="azurite", app_root=app_root, environment=environment, engine="")
    with new, httpx.Client(base_url=new.url) as client:
        assert monitor(client, done["id"])["result"] == done["result"]
        assert ended(client, runs)["status"] == "Succeeded"


def test_a_folder_without_a_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A slip in DATA_DIR is told, and makes neither a store nor an empty export."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "nothing"))
    assert transfer.main(["export", str(tmp_path / "out"), "--store", "sqlite"]) == 1
    assert capsys.readouterr().err.startswith(f"transfer: there is no store in DATA_DIR '{tmp_path / 'nothing'}': ")
    assert list(tmp_path.iterdir()) == []


def test_an_app_that_runs(tmp_path: Path) -> None:
    """One line says who uses the folder, and nothing is exported."""
    store = open_inventory(of_store("sqlite", tmp_path / "data", ""))
    try:
        line = [sys.executable, "-m", "local_host.transfer", "export", str(tmp_path / "out")]
        kept = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DATA_DIR": str(tmp_path / "data")}
        done = subprocess.run(line, cwd=ROOT, env=kept, capture_output=True, text=True, check=False)
    finally:
        asyncio.run(store.aclose())
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert str(os.getpid()) in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_module_says_the_form(tmp_path: Path) -> None:
    """What the module's text says of the files is what is written."""

    async def written() -> None:
        store = open_inventory(of_store("sqlite", tmp_path / "data", ""))
        try:
            await fill(store)
            await export(store, tmp_path / "out")
        finally:
            await store.aclose()

    asyncio.run(written())
    text = str(transfer.__doc__)
    for path in ("tables/books.jsonl", "containers/uploads.jsonl"):
        fields = json.loads((tmp_path / "out" / path).read_text(encoding="utf-8").split("\n")[0])
        assert "{" + ", ".join(f'"{name}"' for name in fields) + "}" in text
