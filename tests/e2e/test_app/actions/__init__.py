"""The actions of the tests' own app: all that the framework's tests call over HTTP, and nothing of the sample."""

from tests.support import engine_refusals

engine_refusals.install()
