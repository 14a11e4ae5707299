"""The ARM resources of the tests: one per header model."""

from tests.support.arm_things import async_things, both_things, location_things

__all__ = ["async_things", "both_things", "location_things"]
