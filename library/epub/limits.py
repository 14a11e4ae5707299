"""How large a book may be: one record, so that a caller can tighten it and a test can reach each limit."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class EpubLimits:
    """Bounds on what is read. Sizes are bytes after unpacking and are counted as they are read, never believed.

    Memory stays below about three times the largest of `max_document_bytes` and `max_package_bytes`,
    plus the ZIP directory (about twenty times `max_directory_bytes` as Python objects).
    """

    max_directory_bytes: int = 2 * MIB
    """Central directory of the ZIP, checked before it is loaded."""
    max_entries: int = 10_000
    max_document_bytes: int = 16 * MIB
    """One chapter."""
    max_package_bytes: int = 4 * MIB
    """container.xml, encryption.xml and the package document, each."""
    max_cover_bytes: int = 16 * MIB
    max_total_bytes: int = 256 * MIB
    """Everything read from one book together."""
    max_ratio: int = 200
    """Unpacked to packed size of one entry. Text is below 20; deflate itself ends at 1032."""
    ratio_floor_bytes: int = MIB
    """`max_ratio` is applied to what an entry yields beyond this, since a short uniform file is harmless."""
    max_depth: int = 1_000
    """Nesting of elements."""
    max_looks: int = 100_000_000
    """End tags of one document, each times the depth of its surroundings: what HTML may cost where they close none."""
    max_elements: int = 1_000_000
    """Elements in one document."""
    max_attributes: int = 100_000
    """Attributes of one element, estimated from above where its tag is longer than 64 KiB."""
    max_manifest_items: int = 20_000
    max_chapters: int = 10_000
    max_value_chars: int = 1_000
    """One metadata value; longer ones are cut."""
    max_values: int = 100
    """Creators, and identifiers; further ones are left out."""
    max_warnings_per_code: int = 5
    """Warnings of one code that are listed; one more says how many were not."""
