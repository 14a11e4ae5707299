"""What the engine's program is given as its environment. No I/O: mappings in, a mapping out.

The Functions host hands its settings for the extension on under another name; a program without that host is given
that other name.
"""

from collections.abc import Mapping

_PLATFORM = "azurefunctionsjobhost__extensions__durabletask__"
_QUIET = {"Logging__LogLevel__Default": "Warning"}
"""Its web server would print every request."""
_PROGRAM = "AzureWebJobs__extensions__DurableTask__"


def engine_environment(environment: Mapping[str, str], *, host_json: str | None, url: str) -> dict[str, str]:
    """`environment` with the extension's settings under the names that the program reads.

    `host_json`: path of the app's host.json, if it has one. `url`: where this host takes the engine's calls.
    """
    own = {"PY_HOST": url} | ({"HOST_JSON": host_json} if host_json else {})
    return {**_QUIET, **environment, **translated(environment), **own}


def translated(environment: Mapping[str, str]) -> dict[str, str]:
    """`AzureFunctionsJobHost__extensions__durableTask__X` as `AzureWebJobs__extensions__DurableTask__X`; case-free."""
    return {
        _PROGRAM + name[len(_PLATFORM) :]: value
        for name, value in environment.items()
        if name.lower().startswith(_PLATFORM)
    }
