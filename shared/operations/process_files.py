"""Files of a handler in a process: their bytes go to the app, which stores them."""

from collections.abc import Callable
from functools import partial
from typing import Any

from shared.actions.files import File, FileUploads, Upload, is_bytes, not_bytes
from shared.model.operation import Payload
from shared.operations.files import written
from shared.operations.handler_threads import in_own_thread
from shared.operations.process_frames import PART
from shared.operations.process_link import RunLink
from shared.operations.results import no_file


class ProcessFiles(FileUploads):
    """What `context.result_file` writes to, and what a handler returns."""

    def __init__(self, link: RunLink) -> None:
        self._link = link

    async def begin(self, file: File) -> Upload:
        begun = self._link.call("begin_file", file_name=file.file_name, content_type=file.content_type)
        return _Upload(self._link, begun.head["file"])

    async def keep(self, value: Any, *, check: Callable[[], object]) -> None:
        """Have the app take the file that a handler has returned for its result.

        Raises ResultRefused for what is no file, and as `ResultFiles.store`.
        """
        if not isinstance(value, File):
            raise no_file(value)
        # A thread that hangs ends with the process.
        read = partial(in_own_thread, name="content of a file")
        stored = value.stored or await written(value, self, check=check, read=read)
        self._link.call("return_file", blob=stored.blob)


class _Upload(Upload):
    def __init__(self, link: RunLink, number: int) -> None:
        self._link = link
        self._number = number
        self._stored: Payload | None = None

    @property
    def stored(self) -> Payload | None:
        return self._stored

    async def write(self, data: bytes) -> None:
        if not is_bytes(data):
            raise not_bytes(data)
        with memoryview(data) as given, given.cast("B") as view:
            for at in range(0, len(view), PART):
                self._link.call("write_file", bytes(view[at : at + PART]), file=self._number)

    async def finish(self) -> None:
        self._stored = Payload(**self._link.call("finish_file", file=self._number).head["stored"])

    async def discard(self) -> None:
        self._stored = None
        self._link.call("discard_file", file=self._number)
