"""Text that packs about three to one, as books do."""

import random


def chapters(count: int, words: int) -> list[str]:
    """So many, of so many words each: seeded, so every run reads the same."""
    chance = random.Random(7)
    vocabulary = ["".join(chance.choices("etaoinshrdlu", k=chance.randint(2, 10))) for _ in range(20_000)]
    return [" ".join(chance.choices(vocabulary, k=words)) for _ in range(count)]
