"""What `$metadata` says of a whole service and of its sets, as annotations of CSDL JSON.

OData CSDL JSON Representation 4.01; vocabularies Org.OData.Core.V1, Org.OData.Capabilities.V1.
"""

from collections.abc import Mapping
from typing import Any

from shared.actions.odata.service import EntitySet
from shared.contracts.odata.query.functions import FUNCTIONS

CORE = "Org.OData.Core.V1"
CAPABILITIES = "Org.OData.Capabilities.V1"
_PUBLISHED = "https://docs.oasis-open.org/odata/odata-vocabularies/v4.0/vocabularies"
VOCABULARIES: Mapping[str, str] = {name: f"{_PUBLISHED}/{name}" for name in (CORE, CAPABILITIES)}
"""Where they are published, without the suffix that tells XML from JSON."""

_FORMATS = [
    f"application/json;odata.metadata={metadata};IEEE754Compatible={compatible}"
    for metadata in ("minimal", "full", "none")
    for compatible in ("false", "true")
]

Annotations = Mapping[str, Any]
"""Values by the qualified names of their terms, with the sign `@` before them."""


def container_annotations() -> Annotations:
    """What holds for the whole service."""
    return {
        f"@{CORE}.ODataVersions": "4.0 4.01",
        f"@{CAPABILITIES}.AsynchronousRequestsSupported": True,
        f"@{CAPABILITIES}.BatchSupported": True,
        f"@{CAPABILITIES}.BatchContinueOnErrorSupported": True,
        f"@{CAPABILITIES}.BatchSupport": {
            "Supported": True,
            "ContinueOnErrorSupported": True,
            "ReferencesInRequestBodiesSupported": False,
            "ReferencesAcrossChangeSetsSupported": True,
            "EtagReferencesSupported": True,
            "RequestDependencyConditionsSupported": False,
            "SupportedFormats": ["multipart/mixed", "application/json"],
        },
        f"@{CAPABILITIES}.SupportedFormats": _FORMATS,
        f"@{CAPABILITIES}.ChangeTracking": {"Supported": False},
        f"@{CAPABILITIES}.CrossJoinSupported": False,
        f"@{CAPABILITIES}.KeyAsSegmentSupported": False,
        f"@{CAPABILITIES}.QuerySegmentSupported": False,
        f"@{CAPABILITIES}.FilterFunctions": sorted({*FUNCTIONS, "now"}),
    }


def set_annotations(entity_set: EntitySet) -> Annotations:
    """What a set does not do; what is not named here it does."""
    annotations: dict[str, Any] = {
        f"@{CAPABILITIES}.ExpandRestrictions": {"Expandable": False},
        f"@{CAPABILITIES}.SearchRestrictions": {"Searchable": entity_set.is_searchable},
    }
    if entity_set.is_deletable:
        # An empty collection: there are ETags, and it is not stated what they are made of.
        annotations[f"@{CORE}.OptimisticConcurrency"] = []
    if not entity_set.is_writable:
        annotations[f"@{CAPABILITIES}.InsertRestrictions"] = {"Insertable": False}
    annotations[f"@{CAPABILITIES}.UpdateRestrictions"] = {"Updatable": entity_set.is_writable, "Upsertable": False}
    if not entity_set.is_deletable:
        annotations[f"@{CAPABILITIES}.DeleteRestrictions"] = {"Deletable": False}
    return annotations
