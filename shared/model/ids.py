"""Names of operations and where their rows live.

Keys derive from (owner, id) alone, so a poll is one point read, and somebody else's operation is simply another key.
"""

import re
import uuid
from functools import cached_property, lru_cache
from hashlib import sha256

from shared.frozen import frozen

PARTITIONS = tuple("0123456789abcdef")
"""The 16 partitions: the first hex digit of a hash, so that load spreads and a list reads 16 ordered ranges."""

ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
"""What an operation's id and a resource's id look like; no `:` because a colon introduces an action's verb."""

_ID = re.compile(ID_PATTERN)


def is_valid_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def new_id() -> str:
    """A random operation id: a UUID, version 4."""
    return str(uuid.uuid4())


def new_run_id() -> str:
    return uuid.uuid4().hex


@frozen(slots=False)
class Locator:
    """Where one operation's rows are. Its text form is all that crosses the engine."""

    owner_hash: str
    id: str

    @staticmethod
    @lru_cache(maxsize=1024)
    def of(owner: str, id: str) -> "Locator":
        """The same one for those who ask often: its partition is computed once."""
        return Locator(sha256(owner.encode()).hexdigest()[:16], id)

    @classmethod
    def parse(cls, text: str) -> "Locator":
        """Inverse of `str()`. Raises ValueError."""
        owner_hash, _, id = text.partition("!")
        if not re.fullmatch("[0-9a-f]{16}", owner_hash) or not is_valid_id(id):
            raise ValueError(f"not an operation's locator: {text!r}")
        return cls(owner_hash, id)

    def __str__(self) -> str:
        return f"{self.owner_hash}!{self.id}"

    @cached_property
    def partition(self) -> str:
        return sha256(str(self).encode()).hexdigest()[0]

    @property
    def record_key(self) -> str:
        return f"o!{self}"

    @property
    def active_key(self) -> str:
        return f"a!{self}"

    @property
    def parked_key(self) -> str:
        return f"p!{self}"
