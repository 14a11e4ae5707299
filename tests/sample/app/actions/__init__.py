"""The sample's actions, and those of the tests' own app beside them: one app that has both.

`odata_trials.py` here stands for the module of that name there, for an app has one OData service.
"""

from pathlib import Path

from tests.sample import deaths
from tests.support import engine_refusals

_REPOSITORY = Path(__file__).parents[4]
__path__ += [str(_REPOSITORY / "actions"), str(_REPOSITORY / "tests" / "e2e" / "test_app" / "actions")]

engine_refusals.install()
deaths.install()
