"""An OData service, whose asynchronous requests are in the mixed load."""

from shared.actions import ODataService
from tests.support import odata_trials

trials = ODataService("Trials")
odata_trials.declare(trials)
