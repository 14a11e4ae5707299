"""Reading a CSV of books as a stream: what it yields, and that each refusal names its line."""

import csv
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions import catalog, files, shelves
from library.books import BookStore
from library.csv_books import COLUMNS, MAX_RECORD_CHARS, Batch, read_books
from library.export_store import ExportStore
from library.exporting import rendered
from library.models import Book
from library.report_store import ReportStore
from library.shelves import inventory_csv, inventory_id, read_inventory
from shared.actions import ActionFailed, Content
from shared.testing import FakeApp

SHELF = "/subscriptions/s/resourceGroups/g/providers/Contoso.Library/shelves/one"


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def batches(data: bytes | str, *, chunk: int = 4096, size: int = 100, **how: Any) -> list[Batch]:
    raw = data if isinstance(data, bytes) else data.encode()
    return [batch async for batch in read_books(pieces(raw, chunk), size=size, **how)]


async def books(data: bytes | str, **how: Any) -> list[Book]:
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
        (b"id;title;words\nb1;T;1.000\n", 2, "'words'"),
        (b'id,title,words\nb1,T,"1,000"\n', 2, "'words'"),
        (b"id,title,published\nb1,T,1998-05-17 noon\n", 2, "'published'"),
        (b"id,title,published\nb1,T,1998-05-17 :::\n", 2, "'published'"),
        (b"\x1f\x8b\x08\0\0\0\0\0", 1, "another archive; save the sheet as CSV"),
        ("id,title,words\nb1,T,٣\n".encode(), 2, "'words'"),
        (b"id,title,published\nb1,T,May 1998\n", 2, "'published'"),
        (b"id,title,creators\nb1,T," + b";".join([b"A"] * 26) + b"\n", 2, "'creators'"),
        (b"id,title\nb1," + b"T" * 501 + b"\n", 2, "'title'"),
        (b'id,title\nb1,"T"x\n', 2, "only a comma may follow a closing quote"),
        (b'id,title\nb0,T\nb1,"T\nb2,U\n', 3, "never closed"),
        (b"id,title,words\nb1,T\rb2,U\n", 2, "2 cells, but 3 columns"),
        (b"\xef\xbb\xbf", 1, "the file is empty"),
        (b"\r\n \t\r,,\r", 1, "the file is empty"),
        (b"id,title\rb1,A\r\nb2,\xe9\r", 3, "save the file as CSV in UTF-8"),
        (b"id,title,\nb1,T,x\n", 2, "3 cells"),
        (b"id,,title,\n", 1, "no column ''"),
        (b"id,title\nb1,T\xff\n", 2, "UTF-8"),
        (b"id,title\nb1,T\nb2,\xc3", 3, "UTF-8"),
        ("id,title\n".encode("utf-16-le"), 1, "there is no column 'i\\x00d\\x00'"),
        ("id,title\nb1,T\n".encode("utf-16") + b"\0", 3, "this is not UTF-16; save the file as CSV in UTF-8"),
        (b"PK\3\4\x14\0\6\0xl/workbook.xml", 1, "save the sheet as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", 1, "save the sheet as CSV"),
        (b"sep=|\nid|title\n", 1, "the separator is a comma, a semicolon or a tab"),
        (b"sep=;\nid,title\n", 2, "there is no column 'id,title'"),
        (b'id;title\nb1;"T"x\n', 2, "only a semicolon may follow a closing quote"),
        (b"ID,Title,TITLE\n", 1, "the column 'title' is there twice"),
        (b"id,title,words\nb1,T,1.5\n", 2, "'words' is no number"),
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


@pytest.mark.parametrize("chunk", [1, 2, 3, 1000])
@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r\n"])
async def test_line_ends(end: str, chunk: int) -> None:
    """A line ends with CR as well, as Excel for Mac writes it; a line end in quotes belongs to the cell."""
    text = f'id,title{end}b1,A{end}{end}b2,"B\rC\r\nD"{end}b3,E'
    assert [book.title for book in await books(text, chunk=chunk)] == ["A", "B\rC\r\nD", "E"]
    mixed = "id,title\rb1,A\nb2,B\r\nb3,C\r"
    assert [book.title for book in await books(mixed, chunk=chunk)] == ["A", "B", "C"]


LOADED = [("b1", 'A "B"; C', ["Ann", "Bob"], 5), ("b2", "D, E", [], 0)]


@pytest.mark.parametrize("chunk", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    "text",
    [
        'id;title;creators;words\r\nb1;"A ""B""; C";"Ann;Bob";5\r\nb2;D, E;;\r\n',
        'sep=;\r\nid;title;creators;words\r\nb1;"A ""B""; C";"Ann;Bob";5\r\nb2;D, E;;\r\n',
        '"sep=;"\r\n"id";"title";"creators";"words"\r\nb1;"A ""B""; C";"Ann;Bob";5\r\nb2;D, E;;\r\n',
        '\ufeffsep=,\nid,title,creators,words\nb1,"A ""B""; C",Ann;Bob,5\nb2,"D, E",,\n',
        'id\ttitle\tcreators\twords\nb1\tA "B"; C\tAnn;Bob\t5\nb2\tD, E\t\t\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be"])
async def test_separators(text: str, encoding: str, chunk: int) -> None:
    """Excel writes semicolons where the comma is the decimal sign, tabs in UTF-16, and `sep=` to tell itself."""
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    found = await books((mark + text).encode(encoding), chunk=chunk)
    assert [(book.id, book.title, book.creators, book.words) for book in found] == LOADED


@pytest.mark.parametrize("chunk", [1, 2, 1000])
async def test_quotes_inside_a_cell(chunk: int) -> None:
    """A quote that does not begin a cell is text (RFC 4180, section 2, rule 5, and every reader in use)."""
    text = 'id,title,publisher\nb1,5" disk,\nb2,6" and 7" disk,He said "no"\nb3, "A" B,"x\n""y"""\n'
    assert [(book.title, book.publisher) for book in await books(text, chunk=chunk)] == [
        ('5" disk', None), ('6" and 7" disk', 'He said "no"'), ('"A" B', 'x\n"y"'),
    ]  # fmt: skip


async def test_what_tools_add() -> None:
    """Names in another case, marks of UTF-8 of joined files, DOS's end of file, NULs, and the integers of pandas."""
    text = "\ufeff\ufeffID, Title ,SIZEBYTES,Words\nb1,A,7,1200.0\n\ufeff\nb2,B,,\n\0\0\n\x1a"
    assert [(book.id, book.words) for book in await books(text)] == [("b1", 1200), ("b2", 0)]


@pytest.mark.parametrize("chunk", [1, 1000])
async def test_joined_files(chunk: int) -> None:
    """Each file brings its mark and its line of names, which is no book, in whatever case; a mark in a cell is text."""
    one, two = "\ufeffid;Title;words\r\nb1;A;1\r\n", '\ufeff"ID";title;Words\r\n\ufeffb2;\ufeffB;2\r\n'
    found = await books(one + two + one.replace("b1", "id"), chunk=chunk)
    assert [(book.id, book.title) for book in found] == [("b1", "A"), ("b2", "\ufeffB"), ("id", "A")]


@pytest.mark.parametrize(
    ("cell", "read"),
    [
        ("1998-05-17 00:00:00", "1998-05-17"),
        ("1998-05-17T10:20:30.5Z", "1998-05-17"),
        ("1998-05-17T10:20:30+02:00", "1998-05-17"),
        ("1998-05-17 10:20", "1998-05-17"),
        ("1998-05-17 10:20:30 +0200", "1998-05-17"),
        ("1998.0", "1998"),
        ("1998.00", "1998"),
    ],
)
async def test_dates_of_databases(cell: str, read: str) -> None:
    """A time of day says nothing of a book, and data frames make a number of a year."""
    assert [book.published for book in await books(f"id,title,published\nb1,A,{cell}\n")] == [read]


@pytest.mark.parametrize(("cell", "read"), [("5,0", 5), ("5,00", 5), ("5.00", 5), ("1000,0000", 1000)])
async def test_decimal_marks(cell: str, read: int) -> None:
    """Whole numbers with decimals, as half of the world writes them and as the other."""
    assert [book.words for book in await books(f"id;title;words\nb1;A;{cell}\n")] == [read]


async def test_cleared_cells() -> None:
    """Lines and columns without anything in their cells, as Excel leaves them, are passed over wherever they are."""
    text = ',,,\nid,title,words,\nb1,A,1,\n,,,\n  , ,\t,\n,\n"","",,,,,,\n,,,\nb2,B,2,,,\nb3,C,,\n,,'
    assert [(book.id, book.words) for book in await books(text)] == [("b1", 1), ("b2", 2), ("b3", 0)]


@pytest.mark.parametrize("blank", ["\n", "\r", ",\n", '" "\r\n'])
async def test_blank_lines_are_bounded(blank: str) -> None:
    """What is passed over is bounded like what is read."""
    assert len(await books("id,title\n" + blank * 20 + "a,T\n", max_records=20)) == 1
    with pytest.raises(ActionFailed, match="Line 22: more than 20 lines have nothing in them"):
        await books("id,title\n" + blank * 30 + "a,T\n", max_records=20)


FORMULAS = ["=1+1", "+1", "-1", "@A1", "\tx", "\rx", "'=1", "''@", "'", "it's =1", " =1", "a=b"]


@pytest.mark.parametrize("text", FORMULAS)
async def test_formulas(text: str) -> None:
    """No text of an export is a formula to a spreadsheet, numbers are left alone, and a load reads what was there."""
    book = Book(id="b1", title=text.strip(" "), creators=["=A", "B"], publisher=f"{text} Ltd".strip(" "), words=5)
    for content in (rendered(book, "csv"), inventory_csv([book], neutralize=True)):
        names, cells = csv.reader(io.StringIO(content.decode(), newline=""))
        assert not [cell for cell in cells if cell[:1] in set("=+-@\t\r")]
        assert cells[names.index("words")] == "5"
        assert await books(content) == [book]


async def test_formulas_as_they_are() -> None:
    """With the switch off, text is written and read as it is."""
    book = Book(id="b1", title="=1+1", publisher="'=2")
    content = rendered(book, "csv", neutralize=False)
    assert b"b1,=1+1,,,,,'=2," in content
    assert await books(content, neutralized=False) == [book]


@pytest.mark.parametrize(("setting", "cell", "read"), [("true", "'=1", "=1"), ("false", "=1", "'=1")])
async def test_the_switch(setting: str, cell: str, read: str) -> None:
    """`CSV_NEUTRALIZE_FORMULAS` reaches each export, and the load."""
    shelf = {"id": SHELF, "name": "one", "type": "Contoso.Library/shelves", "location": "x", "properties": {}}
    async with FakeApp(settings={"CSV_NEUTRALIZE_FORMULAS": setting}) as app:
        books = BookStore(app.storage)
        await books.put(Book(id="b1", title="=1", creators=["=1"], shelf=SHELF), source="x")
        exported = await app.run(catalog.export, {"id": "b1", "format": "csv"})
        reported = await app.run(catalog.report, {"format": "csv"})
        await app.run(shelves.export_inventory, shelf)
        contents = [
            await ExportStore(app.storage).content(exported.id),
            await ReportStore(app.storage).content(reported.id),
            Content(await read_inventory(inventory_id(SHELF), app.storage) or b"", "text/csv"),
        ]
        started = await app.run(files.upload_start, {"file_name": "books.csv"})
        uploads = app.storage.container("uploads")
        await uploads.put(started.transaction_id, b"id,title\nb2,'=1\n", content_type="text/csv")
        await app.run(catalog.process_large_file, {"file_id": started.transaction_id})
        loaded = await books.get("b2")
    for content in contents:
        assert content is not None
        lines = csv.reader(io.StringIO(content.body.decode(), newline=""))
        assert {each for line in lines for each in line if "=" in each} == {cell}
    assert loaded is not None
    assert loaded.title == read


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12))
async def test_every_text_comes_back(text: str) -> None:
    """Whatever a title is, short of the space around it, its export gives it back."""
    book = Book(id="b1", title=f"{text.strip()}.".lstrip())
    assert await books(rendered(book, "csv")) == [book]


async def test_too_many() -> None:
    """A file holds so many books and no more."""
    assert len(await books("id,title\na,T\nb,T\n", max_records=2)) == 2
    with pytest.raises(ActionFailed, match="at most 2"):
        await books("id,title\na,T\nb,T\nc,T\n", max_records=2)


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)


@given(st.lists(CELL, max_size=20), st.integers(1, 50), st.sampled_from(["\n", "\r\n"]))
async def test_what_a_writer_writes(titles: list[str], chunk: int, end: str) -> None:
    """What a writer that neutralizes nothing writes of any titles comes back, wherever chunks end."""
    titles = [title for title in titles if title.strip()]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(["id", "title"])
    writer.writerows((f"b{n}", title) for n, title in enumerate(titles))
    found = await books(text.getvalue(), chunk=chunk, neutralized=False)
    assert [book.title for book in found] == [title.strip() for title in titles]


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
