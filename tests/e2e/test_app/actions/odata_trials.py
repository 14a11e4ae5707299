"""The OData service of the tests' own app: the trials, and a set of notes that lives as long as the process."""

from collections.abc import AsyncIterator, Sequence
from itertools import count

from pydantic import Field

from shared.actions import Context, Model, ODataService, RequestError
from shared.actions.odata.entities import ChangeRefused, Create, EntityChange, Remove, Stored
from tests.support import odata_trials


class Note(Model):
    id: str = Field(min_length=1, max_length=60)
    text: str = ""


class NoteStore:
    """Notes by their key. A write happens in one turn of the event loop, so nobody sees half of it."""

    max_changes = 100

    def __init__(self) -> None:
        self._notes: dict[str, Stored] = {}
        self._versions = count(1)
        self._written: dict[str, Sequence[Stored | None]] = {}

    async def scan(self, *, after: str | None = None) -> AsyncIterator[Sequence[Stored]]:
        yield [self._notes[key] for key in sorted(self._notes) if after is None or key > after]

    async def get(self, key: str) -> Stored | None:
        return self._notes.get(key)

    async def write(self, changes: Sequence[EntityChange], *, by: str = "") -> Sequence[Stored | None]:
        if by in self._written:
            return self._written[by]
        notes, written = dict(self._notes), list[Stored | None]()
        for index, change in enumerate(changes):
            try:
                written.append(self._apply(notes, change))
            except RequestError as error:
                raise ChangeRefused(error, index) from None
        self._notes = notes
        if by:
            self._written[by] = written
        return written

    def _apply(self, notes: dict[str, Stored], change: EntityChange) -> Stored | None:
        if isinstance(change, Create):
            entity = Note.model_validate(change.entity)
            key = entity.id
            if key in notes:
                raise RequestError(409, "EntityAlreadyExists", "There is such a note.", target=key)
        else:
            key, old = change.key, notes.get(change.key)
            if old is None:
                raise RequestError(404, "ResourceNotFound", "There is no such note.", target=key)
            if change.if_match is not None and old.etag not in change.if_match:
                raise RequestError(412, "ConditionNotMet", "The note has changed.", target=key)
            if isinstance(change, Remove):
                del notes[key]
                return None
            entity = old.entity.model_copy(update=dict(change.values))
        notes[key] = Stored(entity, str(next(self._versions)))
        return notes[key]


NOTES = NoteStore()


def all_notes(context: Context) -> NoteStore:
    return NOTES


trials = ODataService("Trials")
notes = trials.writable_entity_set("Notes", Note, key="id", source=all_notes)
odata_trials.declare(trials)
