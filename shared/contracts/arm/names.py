"""Names in ARM requests: subscription, resource group, resource, location. Pure.

Azure Resource Manager RPC, "Common API Details": paths compare without case, and names are returned as given.
"""

import re
from collections.abc import Iterable, Mapping

from shared.actions.arm.resource import ArmResource
from shared.errors import RequestError
from shared.resources.model import ResourceKey

GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
GROUP = re.compile(r"[A-Za-z0-9._()\-]{0,89}[A-Za-z0-9_()\-]")
"""learn.microsoft.com, "Naming rules and restrictions for Azure resources": up to 90, no period last. ASCII here."""

_STORABLE = re.compile(r"[\x24-\x2e\x30-\x3e@-\[\]-~]{1,260}")
"""What a key of Azure Tables holds and sorts above `!`, whatever a type declares: no space, quote, / \\ # or ?."""

_LOCATION = re.compile(r"[A-Za-z0-9 ]{1,64}")


def resource_key(resource: ArmResource, route: Mapping[str, str]) -> ResourceKey:
    """The resource that the route names. Raises RequestError 400 for a name that cannot be one."""
    name = route["name"]
    if not resource.name_pattern.fullmatch(name) or not _STORABLE.fullmatch(name):
        message = f"A name of {resource.full_type} must match {resource.name_pattern.pattern}."
        raise RequestError(400, "InvalidResourceName", message, target="name")
    return ResourceKey(
        subscription=subscription(route),
        resource_group=resource_group(route),
        namespace=resource.namespace,
        type=resource.type,
        name=name,
    )


def subscription(route: Mapping[str, str]) -> str:
    text = route["subscriptionId"]
    if not GUID.fullmatch(text):
        raise RequestError(400, "InvalidSubscriptionId", "A subscription id is a GUID.", target="subscriptionId")
    return text


def resource_group(route: Mapping[str, str]) -> str:
    text = route["resourceGroupName"]
    if not GROUP.fullmatch(text):
        message = "A resource group's name has 1 to 90 letters, digits, and . _ - ( ), and ends in no period."
        raise RequestError(400, "InvalidResourceGroupName", message, target="resourceGroupName")
    return text


def location_name(text: str) -> str:
    """A location as it is compared: `West Europe` is `westeurope`."""
    return text.replace(" ", "").lower()


def check_location(text: str, allowed: Iterable[str] | None) -> None:
    """Raise RequestError 400 for what is no location, or not one of `allowed`."""
    if not _LOCATION.fullmatch(text) or not location_name(text):
        raise RequestError(400, "InvalidLocation", "A location is a word such as westeurope.", target="location")
    if allowed is not None and location_name(text) not in map(location_name, allowed):
        message = f"This type is not available there; it is in {', '.join(allowed)}."
        raise RequestError(400, "LocationNotAvailableForResourceType", message, target="location")
