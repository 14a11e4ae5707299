"""Names of tables and containers, as they are in the account or folder: a namespace's own. Pure.

    {namespace}0{name}        longrunningactions0operations

A name is letters only, so the last `0` parts the two: no two namespaces, whatever the names, give one name. The tables
of the Durable extension are a hub's name and a word (`LongRunningActionsHistory`). A hub may end in `0`, or in `0` and
letters, so no name here ends in such a word. Its containers and queues have a hyphen, which no name here has.
"""

import re
from hashlib import sha256

from shared.errors import StorageRefused

_NAME = re.compile(r"[a-z]{3,31}")
_EXTENSION_WORDS = ("history", "instances", "partitions")
"""Of Azure/durabletask, `AzureStorageOrchestrationServiceSettings`: the tables of a hub on Azure Storage."""
_LONGEST = 30
"""Characters of a namespace that are kept as they are: with the longest name they are a table's 63, or less."""


def stored_name(namespace: str, name: str) -> str:
    """The table or container called `name` of a namespace, which is letters and digits, a letter first.

    A long namespace is cut, and 64 bits of its SHA-256 follow; that makes it longer than any which is kept. Raises
    StorageRefused.
    """
    if not _NAME.fullmatch(name):
        raise StorageRefused(f"{name!r} is no name for a table or container: 3 to 31 of a-z")
    if name.endswith(_EXTENSION_WORDS):
        words = ", ".join(_EXTENSION_WORDS)
        raise StorageRefused(f"{name!r} ends as tables of the Durable extension do ({words}): take another name")
    return f"{_own(namespace)}0{name}"


def own_name(namespace: str, stored: str) -> str | None:
    """What a table or container is called in its namespace; None where it is of another one, or nobody's of ours."""
    own, _, name = stored.lower().rpartition("0")
    return name if own == _own(namespace) and _NAME.fullmatch(name) else None


def _own(namespace: str) -> str:
    own = namespace.lower()
    return own if len(own) <= _LONGEST else own[:15] + sha256(own.encode()).hexdigest()[:16]
