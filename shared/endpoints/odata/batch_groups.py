"""Which groups of a batch can be done: writes of one entity set, in one transaction. Checked before any work."""

import json
from collections.abc import Collection, Sequence
from typing import Any, cast

from shared.actions.context import RequestContext
from shared.actions.odata.entities import EntityStore
from shared.actions.odata.routes import ROOT
from shared.actions.odata.service import EntitySet, ODataService
from shared.contracts.odata.batch.change_sets import Write, check_change_set
from shared.contracts.odata.batch.parts import Batch, BatchRequest
from shared.contracts.odata.batch.references import entity_reference, relative_url
from shared.contracts.odata.targets import Kind, Target, resolve
from shared.errors import RequestError

_WITHOUT_A_SET = 100
"""The limit that is named for a group which is refused anyway, for it writes no entity set."""


def check_groups(
    service: ODataService, batch: Batch, context: RequestContext, *, root: str, also: Collection[str]
) -> None:
    """Raises RequestError 400 that names the limit, for a group that cannot be one transaction."""
    groups = _Groups(service, batch, context, root, also)
    for unit in batch.units:
        if unit[0].group is not None:
            groups.check(unit)


class _Groups:
    """The groups of one batch, and what its requests are for: None where that is nothing here."""

    def __init__(
        self, service: ODataService, batch: Batch, context: RequestContext, root: str, also: Collection[str]
    ) -> None:
        self._service = service
        self._context = context
        self._root = root
        self._also = also
        self._by_id: dict[str, BatchRequest] = {}
        self._targets: dict[str, Target | None] = {}
        for request in batch.requests:
            self._targets[request.id] = self._target(request)
            self._by_id[request.id] = request

    def check(self, unit: Sequence[BatchRequest]) -> None:
        first = self._targets[unit[0].id]
        limit = _WITHOUT_A_SET
        if first is not None and first.entity_set is not None and first.entity_set.is_deletable:
            limit = cast(EntityStore, first.entity_set.source(self._context)).max_changes
        check_change_set(unit, self._write, max_changes=limit)

    def _write(self, request: BatchRequest) -> Write | None:
        target = self._targets[request.id]
        if target is None or target.entity_set is None or request.method not in target.allow:
            return None
        if target.kind is Kind.SET:
            return Write(target.entity_set.name, _posted_key(request, target.entity_set))
        return Write(target.entity_set.name, target.key) if target.kind is Kind.ENTITY else None

    def _target(self, request: BatchRequest) -> Target | None:
        """What a request is for, by what those before it are for; a key that only its answer will tell is None."""
        relative = relative_url(request.url, self._root, self._also)
        reference = entity_reference(relative)
        if reference is None:
            try:
                return resolve(self._service, f"{ROOT}/{relative.partition('?')[0]}")
            except RequestError:
                return None
        name, rest = reference
        referred, target = self._by_id[name], self._targets[name]
        if target is None or rest.partition("?")[0]:
            return None
        if target.kind is not Kind.SET or referred.method != "POST":
            return target
        if referred.group is not None and referred.group == request.group:
            message = f"Request {request.id!r} refers to ${name}, which the same group makes; each entity once only."
            raise RequestError(400, "InvalidChangeSet", message, target=request.id)
        return Target(kind=Kind.ENTITY, allow=("PATCH", "DELETE"), entity_set=target.entity_set, key=None)


def _posted_key(request: BatchRequest, entity_set: EntitySet) -> str | None:
    """The key in the body of a POST; None where it cannot be read, which the write itself will say."""
    try:
        body: Any = json.loads(request.body)
    except (ValueError, RecursionError):
        return None
    key = body.get(entity_set.key.name) if isinstance(body, dict) else None
    return key if isinstance(key, str) else None
