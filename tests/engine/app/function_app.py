"""The function app of the engine's tests: the tests' own, with other actions."""

from pathlib import Path

import actions
from tests.support.trial_app import compose

application, app = compose(actions, Path(__file__).with_name("host.json"))
