"""Blocks on their way to a blob of the embedded store: staged one by one, then joined. Blocking; no event loop.

    DATA_DIR/blobs/.staged/{sha256 of container and name}/{hex of the block id}

The rules are those of learn.microsoft.com "Put Block" and "Put Block List". As on Azure, the blocks of one blob belong
to the blob, not to an uploader. Unlike on Azure, blocks are forgotten once joined (a list cannot name committed ones)
and after a day instead of a week; or with the blob, when that is deleted.
"""

import shutil
from base64 import b64decode
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from shared.frozen import frozen
from shared.storage.blob_files import BlobFiles, BlobWriter, listed

MAX_BLOCKS = 50_000
MAX_BLOCK_ID_BYTES = 64


class BlockError(Exception):
    """The service's error code, with which such a block or list is refused (status 400)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@frozen
class StagedBlocks:
    """The uncommitted blocks of one blob."""

    files: BlobFiles
    directory: Path

    @classmethod
    def of(cls, files: BlobFiles, container: str, name: str) -> "StagedBlocks":
        """Raises StorageRefused for names no blob can have."""
        files.path(container, name)
        digest = sha256(f"{container}/{name}".encode()).hexdigest()
        return cls(files, files.data_dir / "blobs" / ".staged" / digest)

    def size(self, without: str = "") -> int:
        """Bytes staged, not counting the block that is about to be replaced."""
        skipped = _file_name(without) if without else ""
        return sum(path.stat().st_size for path in listed(self.directory) if path.name != skipped)

    def check_id(self, block_id: str) -> None:
        """Ids are base64 of at most 64 bytes, and of one length for all blocks of a blob."""
        name = _file_name(block_id)
        if any(len(path.name) != len(name) for path in listed(self.directory)):
            raise BlockError("InvalidBlobOrBlock", "All block ids of a blob must be of the same length.")

    def stage(self, block_id: str, received: Path) -> None:
        """Take over the file `received` as the block."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.files.replace(received, self.directory / _file_name(block_id))

    def join(self, block_ids: Sequence[str], writer: BlobWriter) -> None:
        """Write the blocks, in this order, to the blob in the making."""
        for block_id in block_ids:
            try:
                with (self.directory / _file_name(block_id)).open("rb") as block:
                    while chunk := block.read(1024 * 1024):
                        writer.write(chunk)
            except FileNotFoundError:
                raise BlockError("InvalidBlockList", "The list names a block that was not put.") from None

    def discard(self) -> None:
        """Forget them all: the blob was written."""
        shutil.rmtree(self.directory, ignore_errors=True)


def sweep(files: BlobFiles) -> None:
    """Remove blocks nobody has added to for a day."""
    for directory in listed(files.data_dir / "blobs" / ".staged"):
        with suppress(OSError):
            if files.is_abandoned(directory):
                shutil.rmtree(directory, ignore_errors=True)


def _file_name(block_id: str) -> str:
    try:
        raw = b64decode(block_id, validate=True)
    except ValueError:
        raw = b""
    if not 1 <= len(raw) <= MAX_BLOCK_ID_BYTES:
        raise BlockError("InvalidQueryParameterValue", "A block id is the base64 form of 1 to 64 bytes.")
    return raw.hex()
