"""The secret of an operation that is delegated: what it leads to, and how it is compared."""

import hmac
from pathlib import Path
from typing import Any

import pytest

from shared.errors import RequestError
from shared.model.ids import Locator
from shared.model.timing import Timing
from shared.model.updates import Succeeded
from shared.operations import external_secret
from shared.operations.external import ExternalOperations
from shared.operations.records import OperationRecords
from shared.storage.ports import Storage
from tests.support.clock import ManualClock
from tests.support.parts import Faults, FaultyStorage, nothing, sqlite

HERE = Locator.of("aad:alice", "op-1")
SECRET = external_secret.make(HERE, bytes(range(32)))


def test_a_secret_leads_to_its_record() -> None:
    """A secret carries its owner's part of the key, whatever the owner is called; the id comes from the URL."""
    for owner in ("", "aad:alice", "ü" * 200):
        locator = Locator.of(owner, "op-1")
        assert external_secret.locate(external_secret.make(locator, bytes(32)), "op-1") == locator


def test_a_secret_is_256_random_bits() -> None:
    """The random part is 32 bytes and no fewer; two secrets of one operation have only their beginning in common."""
    with pytest.raises(ValueError, match="32 random bytes"):
        external_secret.make(HERE, bytes(31))
    assert external_secret.make(HERE, b"\xff" * 32) != external_secret.make(HERE, bytes(32))
    assert SECRET.startswith(external_secret.PREFIX)


@pytest.mark.parametrize(
    "text", ["", "x", SECRET[:-1], SECRET + "A", SECRET[7:], SECRET.upper(), f" {SECRET}", f"{SECRET}\n", "é" * 61]
)
def test_what_is_no_secret(text: str) -> None:
    """What is not exactly of the secret's form leads nowhere, and storage is not asked."""
    assert external_secret.locate(text, "op-1") is None


def test_the_whole_text_counts() -> None:
    """A change of any one character makes another secret, so nothing that decodes alike is taken for it."""
    stored = external_secret.fingerprint(SECRET)
    assert external_secret.matches(SECRET, stored)
    for at in range(len(SECRET)):
        other = SECRET[:at] + ("A" if SECRET[at] != "A" else "B") + SECRET[at + 1 :]
        assert not external_secret.matches(other, stored)
    assert not external_secret.matches(SECRET, "")
    assert not external_secret.matches("", "")


def external_operations(storage: Storage) -> ExternalOperations:
    time: dict[str, Any] = {"clock": ManualClock(), "timing": Timing()}
    return ExternalOperations(OperationRecords(storage, **time), **time, after_end=nothing)


async def test_compared_in_constant_time_whatever_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Right, wrong, and without a record: each is one point read and one `compare_digest` of two full hashes."""
    compared: list[tuple[int, int]] = []

    def spy(a: Any, b: Any) -> bool:
        compared.append((len(a), len(b)))
        return compare(a, b)

    compare = hmac.compare_digest
    monkeypatch.setattr(external_secret.hmac, "compare_digest", spy)
    async with sqlite(tmp_path) as inner:
        storage = FaultyStorage(inner, Faults())
        external = external_operations(storage)
        created = await external.create(kind="k", owner="aad:alice", operation_id="op-1")
        attempts = [
            ("op-1", created.secret, True),
            ("op-1", SECRET, False),
            ("op-2", created.secret, False),
            ("op-1", external_secret.make(Locator.of("aad:bob", "op-1"), bytes(32)), False),
        ]
        for id, secret, right in attempts:
            compared.clear()
            storage.faults.reads = 0
            if right:
                assert await external.authorize(id, secret) == created.operation
            else:
                with pytest.raises(RequestError) as caught:
                    await external.authorize(id, secret)
                assert (caught.value.status, caught.value.code) == (404, "OperationNotFound")
            assert compared == [(64, 64)]
            assert storage.faults.reads == 1
        # What is no secret at all is refused the same way, without a read.
        storage.faults.reads = 0
        for id, secret in (("op-1", ""), ("a:b", created.secret)):
            with pytest.raises(RequestError):
                await external.authorize(id, secret)
        assert storage.faults.reads == 0


async def test_a_secret_opens_one_operation(tmp_path: Path) -> None:
    """The secret of one operation does not update another one of the same owner, nor one of a handler's."""
    async with sqlite(tmp_path) as storage:
        external = external_operations(storage)
        one = await external.create(kind="k", owner="")
        other = await external.create(kind="k", owner="")
        with pytest.raises(RequestError):
            await external.authorize(other.operation.id, one.secret)
        await external.update("", one.operation.id, Succeeded())
        assert (await external.authorize(one.operation.id, one.secret)).status.is_terminal


async def test_no_repr_shows_a_secret(tmp_path: Path) -> None:
    """Whoever logs what `create` returned logs no secret."""
    async with sqlite(tmp_path) as storage:
        external = external_operations(storage)
        created = await external.create(kind="k", owner="")
        assert created.secret not in f"{created} {created!r} {created.operation!r}"
