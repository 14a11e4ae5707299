"""The functions that every app has, by the names and routes that callers and logs know them by."""

from shared.actions.routes import READ, Endpoint
from shared.engine.port import ACTIVITY, ORCHESTRATOR

HEALTH = Endpoint("health", READ, "health", "blueprints.discovery")
OPENAPI = Endpoint("openapi", READ, "openapi.json", "blueprints.description")
DOCS = Endpoint("docs", READ, "docs", "blueprints.description")
DOCS_FILE = Endpoint("docs_file", READ, "docs/{file}", "blueprints.description")
OPERATIONS = Endpoint("operations", READ, "operations", "blueprints.description")
OPERATIONS_FILE = Endpoint("operations_file", READ, "operations/{file}", "blueprints.description")
PAUSES = Endpoint("pauses", READ, "pauses", "blueprints.pauses")
PAUSE = Endpoint("pauses_pause", ("POST",), "pauses:pause", "blueprints.pauses")
RESUME = Endpoint("pauses_resume", ("POST",), "pauses:resume", "blueprints.pauses")
STATUS = Endpoint("status", READ, "status/{operation_id}", "blueprints.status")
STATUS_CANCEL = Endpoint("status_cancel", ("POST",), f"{STATUS.route}:cancel", "blueprints.status")
STATUS_DELETE = Endpoint("status_delete", ("DELETE",), STATUS.route, "blueprints.status")
STATUS_LIST = Endpoint("status_list", READ, "status", "blueprints.status")
STATUS_RESULT = Endpoint("status_result", READ, f"{STATUS.route}/result", "blueprints.status")
STATUS_RETRY = Endpoint("status_retry", ("POST",), f"{STATUS.route}:retry", "blueprints.status")
STATUS_UPDATE = Endpoint("status_update", ("POST",), f"{STATUS.route}:update", "blueprints.external")

BUILT_IN = (
    HEALTH,
    OPENAPI,
    DOCS,
    DOCS_FILE,
    OPERATIONS,
    OPERATIONS_FILE,
    PAUSES,
    PAUSE,
    RESUME,
    STATUS,
    STATUS_CANCEL,
    STATUS_DELETE,
    STATUS_LIST,
    STATUS_RESULT,
    STATUS_RETRY,
    STATUS_UPDATE,
)

FALLBACK = "zz_unknown_route"
"""The function that takes what no other does; the host tries functions in the order of their names."""

HOUSEKEEPING = "housekeeping"

OTHER_FUNCTIONS = (
    Endpoint(HOUSEKEEPING, (), "", "blueprints.housekeeping"),
    Endpoint(ACTIVITY, (), "", "blueprints.dispatcher"),
    Endpoint(ORCHESTRATOR, (), "", "blueprints.orchestrator"),
)
"""What is not reached by HTTP takes names nevertheless."""
