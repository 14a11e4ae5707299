"""A file on this machine that is there whole or not at all."""

import os
from errno import EEXIST
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import BinaryIO, Self

from lro_client.downloads import local_name


class SavedFile:
    """Where a download goes: a path, or a folder, in which it has its own name and replaces nothing.

    The parts lie beside it until it is whole. Raises OSError: FileExistsError for one that a folder has already.
    """

    def __init__(self, path: str | os.PathLike[str], name: str) -> None:
        target = Path(path)
        is_folder = target.is_dir()
        self.path = target / local_name(name) if is_folder else target
        if is_folder and os.path.lexists(self.path):
            raise FileExistsError(EEXIST, "a file is there already; name it to replace it", str(self.path))
        self._file: BinaryIO | None = None
        self._part = self.path

    def write(self, data: bytes) -> None:
        assert self._file is not None, "in its `with` block"
        self._file.write(data)

    def __enter__(self) -> Self:
        self._part = self.path.with_name(f".{token_hex(8)}.part")
        self._file = self._part.open("xb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None, "it was entered"
        try:
            self._file.close()
            if kind is None:
                os.replace(self._part, self.path)
        finally:
            self._part.unlink(missing_ok=True)
