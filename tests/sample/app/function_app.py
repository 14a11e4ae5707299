"""The sample's function app as its tests run it: with actions of the tests' own, and their timing."""

from pathlib import Path

import actions
from tests.support.trial_app import compose

application, app = compose(actions, Path(__file__).with_name("host.json"))
