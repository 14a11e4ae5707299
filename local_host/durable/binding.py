"""What a durableClient binding hands to a function. No I/O.

Source: the durable extension's HttpApiHandler. The reader is
`azure/durable_functions/models/DurableOrchestrationBindings.py`.
"""

import json

PREFIX = "/runtime/webhooks/durabletask"
"""Path of the task hub's HTTP API."""

_ID = "INSTANCEID"


def durable_client(base_url: str, task_hub: str, rpc_base_url: str | None = None) -> str:
    """The binding's JSON. `base_url`: scheme and host of this host, without a slash at the end.

    `rpc_base_url`: where the SDK's client sends its calls, with a slash at the end; this host's own API by default.
    """
    base = f"{base_url}{PREFIX}"
    return json.dumps(
        {
            "taskHubName": task_hub,
            "connectionName": None,
            "baseUrl": base,
            "rpcBaseUrl": rpc_base_url or f"{base}/",
            "httpBaseUrl": None,
            "requiredQueryStringParameters": "",
            "creationUrls": {"createNewInstancePostUri": f"{base}/orchestrators/{{functionName}}[/{{instanceId}}]"},
            "managementUrls": management_urls(base_url, _ID, task_hub),
        }
    )


def management_urls(base_url: str, instance_id: str, task_hub: str) -> dict[str, str]:
    """URLs that show, end and purge one instance: those of the real host's list that this one serves."""
    instance = f"{base_url}{PREFIX}/instances/{instance_id}"
    scope = f"taskHub={task_hub}&connection=Storage"
    return {
        "id": instance_id,
        "statusQueryGetUri": f"{instance}?{scope}",
        "terminatePostUri": f"{instance}/terminate?reason={{text}}&{scope}",
        "purgeHistoryDeleteUri": f"{instance}?{scope}",
    }
