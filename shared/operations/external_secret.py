"""The secret with which another system updates one operation. Pure but for its randomness, which is the caller's.

    lroext_ + base64url(8 bytes of the owner's hash, 32 random bytes)

A record's key derives from owner and id, and the system outside knows the id only, from the URL.
So the secret carries the owner's part of the key: finding the record stays one point read, and nothing beside the
secret has to be sent or kept. The fixed beginning is for scanners that look for secrets in code and logs.
"""

import base64
import hmac
import re
from hashlib import sha256

from shared.model.ids import Locator

PREFIX = "lroext_"
RANDOM_BYTES = 32

_TOKEN = re.compile(rf"{PREFIX}([A-Za-z0-9_-]{{54}})")
_KEPT = 5
_NO_HASH = "0" * 64
"""Compared with where there is no record, so that the work is the same."""


def make(locator: Locator, randomness: bytes) -> str:
    """The secret of the operation at `locator`, from 32 random bytes."""
    if len(randomness) != RANDOM_BYTES:
        raise ValueError(f"a secret takes {RANDOM_BYTES} random bytes, not {len(randomness)}")
    return PREFIX + base64.urlsafe_b64encode(bytes.fromhex(locator.owner_hash) + randomness).decode().rstrip("=")


def locate(secret: str, operation_id: str) -> Locator | None:
    """Where the operation is that `secret` belongs to, if it is the secret of this one; None for what is no secret."""
    found = _TOKEN.fullmatch(secret)
    if found is None:
        return None
    content = base64.urlsafe_b64decode(found[1] + "==")
    return Locator(content[:8].hex(), operation_id)


def fingerprint(secret: str) -> str:
    """What is stored of a secret. Plain SHA-256: there is nothing to guess in 256 random bits, so no salt or stretching
    would add anything (NIST SP 800-63B, section 5.1.2.2, "look-up secrets" of at least 112 bits)."""
    return sha256(secret.encode()).hexdigest()


def added(stored: str, secret: str) -> str:
    """`stored` with the fingerprint of one more secret: those of the last tries to delegate the work stay good."""
    return " ".join([*stored.split(), fingerprint(secret)][-_KEPT:])


def matches(secret: str, stored: str) -> bool:
    """Whether one of the `stored` is the fingerprint of `secret`, in a time that does not tell how much of it fits."""
    found = [hmac.compare_digest(fingerprint(secret), each) for each in (stored or _NO_HASH).split()]
    return any(found)
