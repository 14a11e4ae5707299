"""Reads an EPUB with ebooklib and lxml, plainly: title, creators, chapters with their first heading, and words.

A line with a path on standard input is answered by one with the words and the milliseconds of CPU.
"""

import re
import sys
import time
import warnings

import ebooklib
from ebooklib import epub
from lxml import html

_WORD = re.compile(r"\w+")


def read(path: str) -> int:
    """The words of the book."""
    book = epub.read_epub(path, options={"ignore_ncx": True})
    book.get_metadata("DC", "title")
    book.get_metadata("DC", "creator")
    words = 0
    for item in book.get_items_of_type(ebooklib.ITEM_DOCUMENT):
        tree = html.fromstring(item.get_content())
        tree.findtext(".//h1")
        body = tree.find("body") if tree.tag == "html" else tree
        words += len(_WORD.findall(" ".join(tree.itertext() if body is None else body.itertext())))
    return words


warnings.simplefilter("ignore")
for line in sys.stdin:
    began = time.process_time()
    counted = read(line.strip())
    print(counted, (time.process_time() - began) * 1000, flush=True)
