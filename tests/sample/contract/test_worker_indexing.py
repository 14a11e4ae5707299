"""The real worker's indexer loads the app. It lives in the Functions host's Python worker, packaged for 3.13 and newer
as azure-functions-runtime; `make` installs it on older Pythons too, where it works all the same."""

import importlib.util
import os
import re
from typing import Any

import pytest

from shared.contracts.functions import FALLBACK
from tests.sample.app_functions import functions, http_triggers
from tests.sample.worker_indexing import RUNTIME, index


@pytest.fixture(scope="module")
def indexed() -> dict[str, Any]:
    """Function infos by name, made as the worker makes them."""
    if importlib.util.find_spec(RUNTIME) is None:
        if os.environ.get("CI"):
            pytest.fail(f"{RUNTIME} is not installed; `make test` installs it")
        pytest.skip(f"{RUNTIME} is not installed; `make test` installs it")
    return index(functions())


EXPECTED = {
    "book_count_words",
    "book_delete",
    "book_id_operation",
    "book_import",
    "book_import_cancel",
    "book_import_delete",
    "book_import_status",
    "book_put",
    "book_get",
    "book_list",
    "book_upload_finish",
    "book_upload_start",
    "docs",
    "docs_file",
    "operations",
    "operations_file",
    "files_upload_start",
    "health",
    "housekeeping",
    "openapi",
    "longRunningActionOrchestrator",
    "longRunningActions",
    "status",
    "status_cancel",
    "status_retry",
    "pauses",
    "pauses_pause",
    "pauses_resume",
    "status_delete",
    "status_list",
    "status_result",
    "status_update",
    "presses_take_work_order",
    "inventory_get",
    "Contoso_Library_operationResults",
    "Contoso_Library_operationStatuses",
    "Contoso_Library_operationStatuses_cancel",
    "Contoso_Library_shelves_delete",
    "Contoso_Library_shelves_exportInventory_action",
    "Contoso_Library_shelves_get",
    "Contoso_Library_shelves_list",
    "Contoso_Library_shelves_listAll",
    "Contoso_Library_shelves_restart_action",
    "Contoso_Library_shelves_startMigration_action",
    "Contoso_Library_shelves_update",
    "Contoso_Library_shelves_write",
    "Contoso_Library_presses_write",
    "Contoso_Library_presses_listAll",
    "Contoso_Library_presses_list",
    "Contoso_Library_presses_get",
    "Contoso_Library_presses_delete",
    "export_content",
    "odata",
    "odata_Books",
    "odata_Books_Export",
    "odata_Books_ProcessLargeFile",
    "odata_Books_Summary",
    "odata_Books_Summary_call",
    "odata_Books_count",
    "odata_Books_entity",
    "odata_GenerateReport",
    "odata_Library_GenerateReport",
    "odata_Reports",
    "odata_Reports_count",
    "odata_Reports_entity",
    "odata_async",
    "odata_async_cancellation",
    "odata_batch",
    "odata_metadata",
    "report_content",
    "search_index_operation",
    "search_index_rebuild",
    FALLBACK,
}


def test_the_worker_finds_every_function(indexed: dict[str, Any]) -> None:
    """The worker accepts every signature and finds the functions under the names that are on the wire."""
    assert set(indexed) == EXPECTED


def test_names_and_routes_are_unique() -> None:
    """No two functions share a name, or a method and a route: the SDK would let the latter pass."""
    names = [f.get_function_name().lower() for f in functions()]
    assert len(names) == len(set(names))
    taken = [(method, t.route.lower()) for t in http_triggers() for method in (t.methods or ("*",))]
    assert len(taken) == len(set(taken))


def test_the_fallback_sorts_last() -> None:
    """The host tries functions in the order of their names, so the catch-all must have the last one."""
    assert max(f.get_function_name().lower() for f in functions()) == FALLBACK


def test_http_functions_ask_for_a_key_but_these() -> None:
    """Health, pages and the update with a secret are anonymous; all else asks for a key unless a setting says so."""
    levels = {f.get_function_name(): f.get_trigger().auth_level.name for f in functions() if _is_http(f)}
    pages = ("docs", "docs_file", "operations", "operations_file")
    assert {levels.pop(name) for name in ("health", *pages, "status_update")} == {"ANONYMOUS"}
    assert set(levels.values()) == {"FUNCTION"}


def test_monitors_can_start_an_operation_again() -> None:
    """Beside what starts operations, every monitor that is read has the engine; lists and cancels need none."""
    having = {f.get_function_name() for f in functions() if any(b.type == "durableClient" for b in f.get_bindings())}
    monitors = {
        "status", "status_result", "book_id_operation", "book_import_status", "odata_async", "odata_async_cancellation",
        "Contoso_Library_operationStatuses", "Contoso_Library_operationResults",
    }  # fmt: skip
    assert monitors <= having
    assert not having & {"status_list", "status_cancel", "openapi", "odata_metadata", "Contoso_Library_shelves_list"}


def test_the_timer_keeps_to_its_schedule() -> None:
    """Every two minutes, and not at every start of an instance: the platform starts them whenever it likes."""
    (timer,) = [f.get_trigger() for f in functions() if f.get_function_name() == "housekeeping"]
    assert (timer.schedule, bool(timer.run_on_startup)) == ("0 */2 * * * *", False)


def test_routes_have_no_constraints_and_no_leading_slash() -> None:
    """Plain `{name}` parameters only: ids are checked by the app, which can say what is wrong with one."""
    for trigger in http_triggers():
        assert not re.search(r"\{[^}]*:", trigger.route)
        assert not trigger.route.startswith("/")


def _is_http(function: Any) -> bool:
    return function.get_trigger().type == "httpTrigger"
