"""The tests' own function app. Beside the sample's it has actions that fail and take long, and a timing of its own."""

from pathlib import Path

import actions
from tests.support.trial_app import compose

application, app = compose(actions, Path(__file__).with_name("host.json"))
