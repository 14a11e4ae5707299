"""The functions of the app: each module makes those of one kind, from the endpoints that they serve.

An endpoint is asked for when a request has come: importing the app opens nothing, and a setting that cannot be read is
the answer to a request.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from blueprints.durable import Blueprint

if TYPE_CHECKING:
    from shared.composition import Application
    from shared.endpoints.admission import Admission


def build(application: "Application") -> "Iterator[Blueprint]":
    """Every blueprint of the application; those of a profile are loaded where something of it is declared."""
    from blueprints import (  # noqa: PLC0415 - a test may import one of them alone
        description,
        discovery,
        dispatcher,
        external,
        housekeeping,
        orchestrator,
        pauses,
        starter,
        status,
    )

    registry = application.registry

    def admission() -> "Admission":
        return application.admission

    yield starter.build(registry, lambda: application.data_plane, admission)
    yield orchestrator.build()
    yield dispatcher.build(lambda: application.runner)
    yield status.build(registry.exclusive_resources(), lambda: application.data_plane, admission)
    if registry.resources:
        from blueprints import arm  # noqa: PLC0415

        yield arm.build(registry, lambda: application.arm, application.arm_monitors, admission)
    if registry.odata is not None:
        from blueprints import odata  # noqa: PLC0415

        yield odata.build(registry.odata, lambda: application.odata)
    yield external.build(registry.calls.values(), lambda: application.calls, lambda: application.updates, admission)
    yield pauses.build(lambda: application.pause_switch, admission)
    yield housekeeping.build(application.settings_at_import.housekeeping_schedule, lambda: application.housekeeping)
    yield description.build(lambda: application.description, lambda: application.operations_page, admission)
    yield discovery.build(lambda: application.health, lambda: application.unknown)
