"""An ARM resource, whose operations are in the mixed load."""

from tests.support.arm_things import async_things

__all__ = ["async_things"]
