"""Frames of the channel, and lines of the streams, whatever is in them."""

import ast
import asyncio
import json
import struct
import sys
from pathlib import Path

import pytest

from shared.operations import process_frames, process_main
from shared.operations.process_errors import HandlerRaised, describe, error_of
from shared.operations.process_frames import MAX_HEAD, Channel, ChannelEnded, FrameError, head_of, read_frame
from shared.operations.process_output import OutputLines
from shared.system_clock import SystemClock
from tests.support.clock import ManualClock
from tests.support.sources import syntax_tree


def reader_of(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


async def test_a_frame() -> None:
    """Any JSON object, texts that are no UTF-8 among it, and any bytes beside it."""
    head = {"kind": "x", "text": "\ud800é\n"}
    reader = reader_of((head_of(head, b"\0\n") + b"\0\n") * 2)
    for _ in range(2):
        assert await read_frame(reader, limit=2) == (head, b"\0\n")
    with pytest.raises(ChannelEnded):
        await read_frame(reader, limit=2)


@pytest.mark.parametrize(
    "data",
    [
        head_of({"kind": "x"}, b"xxx") + b"xxx",
        struct.pack(">IQ", MAX_HEAD + 1, 0),
        struct.pack(">IQ", 2**32 - 1, 2**64 - 1),
        struct.pack(">IQ", 2, 0) + b"[]",
        struct.pack(">IQ", 2, 0) + b"{x",
    ],
    ids=["content", "head", "both", "no object", "no JSON"],
)
async def test_what_is_no_frame(data: bytes) -> None:
    """It is refused before anything of that size is kept."""
    with pytest.raises(FrameError):
        await read_frame(reader_of(data), limit=2)


def test_too_large_a_frame_is_not_sent() -> None:
    """A handler that calls with it has the error, and the channel is as it was."""
    import socket

    ours, theirs = socket.socketpair()
    with ours, theirs:
        with pytest.raises(ValueError, match="more than 262144 bytes"):
            Channel(ours).send({"text": "x" * MAX_HEAD})
        Channel(ours).send({"text": "x"}, b"y")
        assert Channel(theirs).receive() == ({"text": "x"}, b"y")


@pytest.mark.parametrize("module", [process_main, process_frames])
def test_what_is_known_before_the_first_frame(module: object) -> None:
    """Where other modules are is only said by that: before it the standard library is imported alone."""
    tree = syntax_tree(Path(str(vars(module)["__file__"])).read_text(encoding="utf-8"))
    names = [
        alias.name if isinstance(node, ast.Import) else str(node.module)
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    others = {name for name in names if name.partition(".")[0] not in sys.stdlib_module_names}
    assert others <= {"shared.operations.process_frames"}


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"a\nb\n", ["a", "b"]),
        (b"a\r\n\n  \n\nb", ["a", "b"]),
        (b"a\n" + b"\0m\n" + b"b\n", ["a"]),
        (b"a" + b"\0m\nb", ["a"]),
        (b"\xff\xfe\n", ["��"]),
        (b"x" * 20_000 + b"\ny\n\0m\n", ["x" * 8192, "x" * 8192, "x" * (20_000 - 2 * 8192), "y"]),
    ],
)
async def test_lines(data: bytes, lines: list[str]) -> None:
    """Up to the mark, or the end: without what is blank, whatever the encoding, in pieces where they are long."""
    for clock in (SystemClock(), ManualClock()):
        found: list[str] = []
        output = OutputLines(reader_of(data), "\0m", clock)
        await output.until_mark(found.append)
        assert found == lines


async def test_lines_of_the_next_run() -> None:
    """They begin after the mark."""
    found: list[str] = []
    output = OutputLines(reader_of(b"a\n\0m\nb\n\0m\n"), "\0m", SystemClock())
    await output.until_mark(lambda line: None)
    await output.until_mark(found.append)
    assert found == ["b"]


def test_errors_of_any_size() -> None:
    """What an exception says is cut to fit, and one whose text raises is named all the same."""

    class Odd(Exception):
        def __str__(self) -> str:
            raise ValueError

    for error in (ValueError("\U0001f600" * 100_000), Odd(), ExceptionGroup("g", [Odd()])):
        described = describe(error)
        assert len(json.dumps(described)) < MAX_HEAD
        again = error_of(described)
        assert isinstance(again, HandlerRaised)
        assert again.type_name == type(error).__name__
