"""What lies in the store: every row, blob and file of the app, and what its task hub keeps, by table."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient

HUB = "ChaosTests"
_OWN = f"{HUB.lower()}0"
"""Before every name of a table or container of the app."""
_HUB_TABLES = ("Instances", "History")
_LOCAL_FILES = frozenset({"in-use-by", "tables.db", "tables.db-wal", "tables.db-shm"})
"""Of an embedded store, however empty it is."""

OF_THE_APP = {"operations": frozenset({"app/site", "app/schema"})}
"""Rows that belong to the app itself, by table."""

Remains = Mapping[str, frozenset[str]]
"""What is there, by table or container: `partition/key`, names of blobs, paths of files."""


def in_folder(data: Path) -> Remains:
    """Of an embedded store; its host may run."""
    found: dict[str, set[str]] = {}
    with closing(sqlite3.connect(f"file:{data / 'tables.db'}?mode=ro", uri=True)) as connection:
        for table, partition, key in connection.execute("SELECT tab, part, key FROM rows"):
            found.setdefault(table.removeprefix(_OWN), set()).add(f"{partition}/{key}")
    files = {str(path.relative_to(data)) for path in data.rglob("*") if path.is_file()}
    return {name: frozenset(keys) for name, keys in {**found, "files": files - _LOCAL_FILES}.items()}


def in_account(connection: str) -> Remains:
    """Of a storage account: the tables and containers of the app's namespace, and the task hub's own tables."""
    found: dict[str, frozenset[str]] = {}
    with TableServiceClient.from_connection_string(connection) as service:
        for table in [each.name for each in service.list_tables()]:
            if not table.lower().startswith(_OWN) and table not in {f"{HUB}{each}" for each in _HUB_TABLES}:
                continue
            rows = service.get_table_client(table).list_entities(select=["PartitionKey", "RowKey"])
            name = table.removeprefix(_OWN) if table.startswith(_OWN) else f"hub: {table.removeprefix(HUB)}"
            found[name] = frozenset(f"{row['PartitionKey']}/{row['RowKey']}" for row in rows)
    with BlobServiceClient.from_connection_string(connection) as service:
        for container in [each.name for each in service.list_containers() if each.name.startswith(_OWN)]:
            blobs = service.get_container_client(container).list_blob_names()
            found[f"blobs: {container.removeprefix(_OWN)}"] = frozenset(blobs)
    return found


def unexpected(remains: Remains) -> dict[str, list[str]]:
    """What should not be there any more."""
    own = {table: keys - OF_THE_APP.get(table, frozenset()) for table, keys in remains.items()}
    return {table: sorted(keys) for table, keys in own.items() if keys}
