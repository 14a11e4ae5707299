"""The trials, as actions of the sample's OData service."""

from actions.catalog import library
from tests.support import odata_trials

odata_trials.declare(library)
