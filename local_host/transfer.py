"""`python -m local_host.transfer export|import FOLDER`: all that an app has stored, into a folder and back.

It moves an app to another storage account, to another namespace, or from SQLite to Azure. The settings name the store,
as they do for the app, which must not run meanwhile. Rows and blobs are copied as they are; what was under way goes on
at its new place, where housekeeping starts it again.

    manifest.json              what there is, written last: without it the folder is not whole
    tables/{name}.jsonl        {"partition", "key", "values"}, a row a line
    containers/{name}.jsonl    {"name", "contentType", "size", "sha256", "file"}, a blob a line
    containers/{name}/{file}   its bytes
"""

# ruff: noqa: ASYNC240 - a command of its own: nobody else is on its loop

import argparse
import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from local_host.errors import PackageError
from local_host.run import default_environment
from local_host.settings_file import merged, parse_local_settings
from shared.errors import SettingsError, StorageError
from shared.model.operation import SCHEMA_VERSION
from shared.settings import Settings
from shared.storage.factory import open_inventory
from shared.storage.ports import Delete, Inventory, Row, Upsert

FORMAT = 1
_SITE = ("operations", "app", "site")
"""The row that says which site has the namespace. The new one takes it for itself."""
_MARK = "transfer"
"""The row of an import under way, beside that of the site."""
_ROWS = 50
_BYTES = 1024 * 1024
"""Of one transaction, at the most; a row alone may have as many."""
_NAME = re.compile(r"[a-z]{3,31}")
_CHUNK = 4 * 1024 * 1024
_Json = dict[str, Any]


async def export(store: Inventory, folder: Path) -> _Json:
    """Write all to a new folder; returns the manifest. Raises PackageError where there is something already."""
    if folder.exists() and any(folder.iterdir()):
        raise PackageError(f"{folder} is not empty: name a new folder")
    found: _Json = {"format": FORMAT, "schema": SCHEMA_VERSION, "tables": {}, "containers": {}}
    for kind in ("tables", "containers"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    async for name in store.tables():
        found["tables"][name] = await _export_table(store, name, folder / "tables" / f"{name}.jsonl")
    async for name in store.containers():
        found["containers"][name] = await _export_container(store, name, folder / "containers")
    (folder / "manifest.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return found


async def _export_table(store: Inventory, name: str, path: Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        async for row in store.rows(name):
            if (name, row.partition, row.key) != _SITE:
                line = {"partition": row.partition, "key": row.key, "values": dict(row.values)}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                count += 1
    return count


async def _export_container(store: Inventory, name: str, folder: Path) -> int:
    """Files are named by numbers: names of blobs may be too long for a file, or differ by case alone."""
    count = 0
    (folder / name).mkdir(exist_ok=True)
    with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as index:
        async for blob in store.blobs(name):
            async with store.container(name).open(blob) as reader:
                if reader is None:
                    continue
                count += 1
                digest = sha256()
                with (folder / name / str(count)).open("wb") as file:
                    async for chunk in reader.chunks():
                        digest.update(chunk)
                        file.write(chunk)
                line = {"name": blob, "contentType": reader.info.content_type, "size": reader.info.size,
                        "sha256": digest.hexdigest(), "file": str(count)}  # fmt: skip
            index.write(json.dumps(line) + "\n")
    return count


async def load(store: Inventory, folder: Path) -> _Json:
    """Write a folder's rows and blobs into a store that has no operations; returns the manifest. One that was cut off
    may be begun again: the rows are written to the same places.

    Raises PackageError: the folder is not whole or was changed, or the store has operations.
    """
    manifest = _manifest(folder)
    digest = sha256((folder / "manifest.json").read_bytes()).hexdigest()
    await _require_empty(store, digest)
    mark = store.table(_SITE[0])
    await mark.write(_SITE[1], [Upsert(_MARK, {"manifest": digest})])
    for name, count in manifest["containers"].items():
        blobs = list(_lines(folder / "containers" / f"{name}.jsonl", count))
        for blob in blobs:
            # It is a path, and may be anybody's.
            if not blob["file"].isdigit():
                raise PackageError(f"{folder} names a file that no export has: {blob['file'][:80]!r}")
            await _load_blob(store, name, folder / "containers" / name / blob["file"], blob)
    for name, count in manifest["tables"].items():
        await _load_table(store, name, _lines(folder / "tables" / f"{name}.jsonl", count))
    await mark.write(_SITE[1], [Delete(_MARK)])
    return manifest


async def _load_table(store: Inventory, name: str, lines: Iterator[_Json]) -> None:
    table, partition, size = store.table(name), "", 0
    waiting: list[Upsert] = []
    for line in lines:
        length = len(json.dumps(line))
        if waiting and (line["partition"] != partition or len(waiting) == _ROWS or size + length > _BYTES):
            await table.write(partition, waiting)
            waiting, size = [], 0
        partition = str(line["partition"])
        waiting.append(Upsert(str(line["key"]), line["values"]))
        size += length
    if waiting:
        await table.write(partition, waiting)


async def _load_blob(store: Inventory, container: str, path: Path, blob: _Json) -> None:
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != blob["sha256"]:
        raise PackageError(f"{path} is not what was exported: its SHA-256 is another")
    await store.container(container).put(blob["name"], _chunks(path), content_type=blob["contentType"])


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


async def _require_empty(store: Inventory, digest: str) -> None:
    found: Row | None = await store.table(_SITE[0]).read(_SITE[1], _MARK)
    if found is not None and found.values.get("manifest") == digest:
        return
    async for name in store.tables():
        async for row in store.rows(name):
            if name != _SITE[0] or row.partition != _SITE[1]:
                raise PackageError(f"the store has rows already, in the table {name}: name an empty one")


def _manifest(folder: Path) -> _Json:
    try:
        found = cast("_Json", json.loads((folder / "manifest.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        raise PackageError(f"{folder} has no manifest.json that can be read: it is no whole export") from None
    form = (found.get("format"), found.get("schema"))
    if form != (FORMAT, SCHEMA_VERSION):
        raise PackageError(f"{folder} has format and schema {form}; this version reads {(FORMAT, SCHEMA_VERSION)}")
    if not all(_NAME.fullmatch(name) for kind in ("tables", "containers") for name in found[kind]):
        raise PackageError(f"{folder} names a table or container that no app has")
    return found


def _lines(path: Path, count: int) -> Iterator[_Json]:
    """The lines of a file, which are as many as the manifest says."""
    seen = 0
    with path.open(encoding="utf-8") as file:
        for line in file:
            seen += 1
            try:
                yield json.loads(line)
            except ValueError:
                raise PackageError(f"{path} cannot be read at line {seen}: it is not whole") from None
    if seen != count:
        raise PackageError(f"{path} has {seen} lines, and the manifest says {count}")


def settings_of(app_root: Path, store: str | None = None) -> Settings:
    """The app's own, from environment, local.settings.json and host.json. Raises SettingsError."""
    local = app_root / "local.settings.json"
    values = parse_local_settings(local.read_text(encoding="utf-8-sig")).values if local.is_file() else {}
    environment = {**os.environ, **merged(os.environ, values)}
    environment |= merged(environment, default_environment("http://localhost:7071"))
    environment["DATA_DIR"] = str(app_root / environment.get("DATA_DIR", ".data"))
    # As the local host: it keeps its records in SQLite unless it is told otherwise.
    environment["OPERATIONS_STORE"] = store or environment.get("OPERATIONS_STORE") or "sqlite"
    return Settings.read(environment, app_root / "host.json")


async def _done(command: str, folder: Path, settings: Settings) -> _Json:
    # To open a store makes it: a slip in the path would look like an app without operations.
    if command == "export" and settings.store == "sqlite" and not (Path(settings.data_dir) / "tables.db").is_file():
        raise PackageError(f"there is no store in DATA_DIR '{settings.data_dir}': name the folder of the app's records")
    store = open_inventory(settings)
    try:
        return await (export if command == "export" else load)(store, folder)
    finally:
        await store.aclose()


def main(arguments: Sequence[str] | None = None) -> int:
    """Move; returns the exit code: 0, or 1 with one line of reason."""
    parser = argparse.ArgumentParser(prog="python -m local_host.transfer", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("command", choices=("export", "import"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--store", choices=("sqlite", "tables"), help="which store (env OPERATIONS_STORE, else sqlite)")
    parser.add_argument("--app-root", type=Path, default=Path(), help="folder of host.json (default: here)")
    flags = parser.parse_args(arguments)
    try:
        settings = settings_of(flags.app_root.resolve(), flags.store)
        found = asyncio.run(_done(flags.command, flags.folder, settings))
    except (PackageError, SettingsError, StorageError, OSError) as error:
        print(f"transfer: {error}", file=sys.stderr)
        return 1
    rows, blobs = sum(found["tables"].values()), sum(found["containers"].values())
    print(f"{flags.command}ed {rows} rows of {len(found['tables'])} tables and {blobs} blobs of the namespace "
          f"{settings.namespace}")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
