"""Fixtures for the whole suite."""

from tests.azurite import azurite
from tests.stores import container, storage, store, table

__all__ = ["azurite", "container", "storage", "store", "table"]
