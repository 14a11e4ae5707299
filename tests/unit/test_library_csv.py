"""Reading a CSV of books as a stream: what it yields, and that each refusal names its line."""

import csv
import io
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library import csv_books
from library.csv_books import COLUMNS, MAX_RECORD_CHARS, Batch, read_books
from library.models import Book
from shared.actions import ActionFailed


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def batches(data: bytes | str, *, chunk: int = 4096, size: int = 100) -> list[Batch]:
    raw = data if isinstance(data, bytes) else data.encode()
    return [batch async for batch in read_books(pieces(raw, chunk), size=size)]


async def books(data: bytes | str, **how: int) -> list[Book]:
    return [book for batch in await batches(data, **how) for book in batch.books]


async def test_all_columns() -> None:
    """Every column reaches the book; lists are separated by semicolons; an empty cell is no value."""
    found = await books(
        "words,id,title,creators,language,identifiers,published,publisher\n"
        "1200,b1,A Title, Ann ;;Bob,en,urn:1;urn:2,2019-05,House\n"
        ",b2,Other,,,,,\n"
    )
    assert [book.id for book in found] == ["b1", "b2"]
    one, two = found
    assert (one.creators, one.identifiers, one.published, one.words) == (
        ["Ann", "Bob"],
        ["urn:1", "urn:2"],
        "2019-05",
        1200,
    )
    assert two == Book(id="b2", title="Other")


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1000])
async def test_chunks_do_not_matter(chunk: int) -> None:
    """What falls between two chunks reads the same: characters, quotes, line ends; as do CRLF, a BOM, no last end."""
    text = '\ufeffid,title\r\nb1,"Ä ""quoted""\r\n😀 line"\r\n\r\nb2,last'
    assert [book.title for book in await books(text, chunk=chunk)] == ['Ä "quoted"\r\n😀 line', "last"]


async def test_batches() -> None:
    """Batches are full but for the last, and say how much of the file was read."""
    data = "id,title\n" + "".join(f"b{n},T\n" for n in range(250))
    found = await batches(data, size=100)
    assert [(len(batch.books), batch.records) for batch in found] == [(100, 100), (100, 200), (50, 250)]
    assert found[-1].bytes_read == len(data)


async def test_no_books() -> None:
    """A file of names alone is a file of no books."""
    assert await books("id,title\n\n") == []


@pytest.mark.parametrize(
    ("data", "line", "says"),
    [
        (b"", 1, "empty"),
        (b"\n\n", 1, "empty"),
        (b"id\n", 1, "'title' is missing"),
        (b"id,title,tilte\n", 1, "no column 'tilte'"),
        (b"id,title,id\n", 1, "twice"),
        (b"id,title\nb1\n", 2, "1 cells"),
        (b"id,title\nb1,T,x\n", 2, "3 cells"),
        (b"id,title\nb1,\n", 2, "'title' is empty"),
        (b"id,title\n,T\n", 2, "'id' is empty"),
        (b"id,title\nb 1,T\n", 2, "'id' does not fit"),
        (b'id,title\nb1,"T\n\nU"\nb/2,T\n', 5, "'id' does not fit"),
        (b"id,title,words\nb1,T,many\n", 2, "'words'"),
        (b"id,title,words\nb1,T,-1\n", 2, "'words'"),
        ("id,title,words\nb1,T,٣\n".encode(), 2, "'words'"),
        (b"id,title,published\nb1,T,May 1998\n", 2, "'published'"),
        (b"id,title,creators\nb1,T," + b";".join([b"A"] * 26) + b"\n", 2, "'creators'"),
        (b"id,title\nb1," + b"T" * 501 + b"\n", 2, "'title'"),
        (b'id,title\nb1,"T"x\n', 2, "expected after"),
        (b'id,title\nb0,T\nb1,"T\nb2,U\n', 3, "never closed"),
        (b"id,title\nb1,T\rb2,U\n", 2, "new-line"),
        (b"id,title\nb1,T\xff\n", 2, "UTF-8"),
        (b"id,title\nb1,T\nb2,\xc3", 3, "UTF-8"),
        ("id,title\n".encode("utf-16"), 1, "UTF-8"),
        (b"id,title\nb1," + b"T" * MAX_RECORD_CHARS + b"\n", 2, "characters"),
        (b'id,title\nb1,"' + b"\n" * MAX_RECORD_CHARS, 2, "characters"),
        (b"x" * 300_000, 1, "characters"),
    ],
)
@pytest.mark.parametrize("chunk", [37, 400_000])
async def test_refused(data: bytes, line: int, says: str, chunk: int) -> None:
    """What is no such CSV is refused with the line at which it shows, however it arrives."""
    with pytest.raises(ActionFailed) as caught:
        await books(data, chunk=chunk)
    assert (caught.value.code, caught.value.target) == ("InvalidCsv", "fileId")
    assert caught.value.message.startswith(f"Line {line}: "), caught.value.message
    assert says in caught.value.message


async def test_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file holds so many books and no more."""
    monkeypatch.setattr(csv_books, "MAX_RECORDS", 2)
    assert len(await books("id,title\na,T\nb,T\n")) == 2
    with pytest.raises(ActionFailed, match="at most 2"):
        await books("id,title\na,T\nb,T\nc,T\n")


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)


@given(st.lists(CELL, max_size=20), st.integers(1, 50), st.sampled_from(["\n", "\r\n"]))
async def test_what_a_writer_writes(titles: list[str], chunk: int, end: str) -> None:
    """What the csv module writes of any titles comes back, whatever is in them and wherever chunks end."""
    titles = [title for title in titles if title.strip()]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(["id", "title"])
    writer.writerows((f"b{n}", title) for n, title in enumerate(titles))
    assert [book.title for book in await books(text.getvalue(), chunk=chunk)] == [title.strip() for title in titles]


@given(st.binary(max_size=300), st.booleans(), st.integers(1, 60))
async def test_wild_bytes(data: bytes, headed: bool, chunk: int) -> None:
    """Whatever the bytes are, they are books or an InvalidCsv."""
    codes: set[str] = set()
    try:
        codes = {
            "" for book in await books((",".join(COLUMNS) + "\n").encode() * headed + data, chunk=chunk) if book.id
        }
    except ActionFailed as failure:
        codes = {failure.code}
    assert codes <= {"", "InvalidCsv"}
