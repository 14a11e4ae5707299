"""Counting words in running text, by a rule that can be stated.

- A word is a run of letters and digits of any script, with combining marks, soft hyphens and joiners inside it;
  apostrophes (' and U+2019) between letters belong to it ("don't" is one). A hyphen separates ("well-known" is two).
- A Han character, Hiragana or Katakana counts as a word each: these scripts write no spaces. Hangul does.
- Thai, Lao, Khmer and Burmese write no spaces either but are counted as runs, which is too few: splitting them
  takes a dictionary.
"""

import re

_EACH = (
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff66-\uff9d\U00020000-\U0003fffd"
)
# Marks that Python's \w leaves out (categories Mn and Mc of the scripts in use), soft hyphen and zero-width joiners.
_INSIDE = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0711\u0730-\u074a\u07a6-\u07b0"
    "\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963\u0981-\u0983\u09bc-\u09cd\u09d7\u09e2\u09e3"
    "\u0a01-\u0a03\u0a3c-\u0a51\u0a70\u0a71\u0a75\u0a81-\u0a83\u0abc-\u0acd\u0ae2\u0ae3\u0b01-\u0b03\u0b3c-\u0b57"
    "\u0b82\u0bbe-\u0bcd\u0bd7\u0c00-\u0c04\u0c3c-\u0c56\u0c81-\u0c83\u0cbc-\u0cd6\u0d00-\u0d03\u0d3b-\u0d4d\u0d57"
    "\u0d81-\u0d83\u0dca-\u0ddf\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ecd\u0f18-\u0f84"
    "\u102b-\u103e\u1056-\u1059\u17b4-\u17d3\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
    "\u00ad\u200c\u200d"
)
_LETTERS = rf"[^\W_{_EACH}]+"
# Letters and what joins them are disjoint sets, so matching is linear: nothing to backtrack into.
# Compiled by `re` when first used: that takes milliseconds, which a cold start need not pay.
_WORD = rf"[{_EACH}]|{_LETTERS}(?:[{_INSIDE}'\u2019]+{_LETTERS})*"
_ASCII_WORD = r"[0-9A-Za-z]+(?:'+[0-9A-Za-z]+)*"
"""The same for text of ASCII alone, in half the time."""
_FLUSH = 16 * 1024  # characters handed to one call of the regular expression, which does not let go of the interpreter


def find_words(text: str) -> list[str]:
    """The words of `text`, which should be short, in their order."""
    return [match[0] for match in re.finditer(_WORD, text)]


def count_words(text: str) -> int:
    """Words in `text`, which should be short (see `WordCounter` for a stream)."""
    return len(re.findall(_ASCII_WORD if text.isascii() else _WORD, text))


class WordCounter:
    """Counts words of text that arrives in pieces, which may end within a word.

    A word longer than 16 KiB counts once for each 16 KiB. `kept` gets the text, in pieces that end with a word.
    """

    def __init__(self, kept: list[str] | None = None) -> None:
        self._kept = kept
        self._pieces: list[str] = []
        self._size = 0
        self._count = 0

    def add(self, text: str) -> None:
        for start in range(0, len(text), _FLUSH):
            piece = text[start : start + _FLUSH]
            self._pieces.append(piece)
            self._size += len(piece)
            if self._size > _FLUSH:
                whole = "".join(self._pieces)
                cut = max(whole.rfind(" "), whole.rfind("\n")) + 1 or len(whole)
                self._take(whole[:cut])
                self._pieces, self._size = [whole[cut:]], len(whole) - cut

    def total(self) -> int:
        """The words so far; ends the word under way."""
        self._take("".join(self._pieces))
        self._pieces, self._size = [], 0
        return self._count

    def _take(self, text: str) -> None:
        self._count += count_words(text)
        if self._kept is not None:
            self._kept.append(text)
