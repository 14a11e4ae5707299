"""Tests of the sample, and of the framework by the sample's actions."""

from pathlib import Path

SAMPLE_APP = Path(__file__).with_name("app")
"""An app with the sample's actions, and those of the tests' own app beside them."""
