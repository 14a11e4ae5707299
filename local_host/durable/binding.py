"""What a durableClient binding hands to a function. No I/O.

Source: the durable extension's HttpApiHandler. The reader is
`azure/durable_functions/models/DurableOrchestrationBindings.py`.
"""

import json

PREFIX = "/runtime/webhooks/durabletask"
"""Path of the task hub's HTTP API."""

_ID = "INSTANCEID"


def durable_client(base_url: str, task_hub: str) -> str:
    """The binding's JSON. `base_url`: scheme and host of this host, without a slash at the end."""
    base = f"{base_url}{PREFIX}"
    return json.dumps(
        {
            "taskHubName": task_hub,
            "connectionName": None,
            "baseUrl": base,
            "rpcBaseUrl": f"{base}/",
            "httpBaseUrl": None,
            "requiredQueryStringParameters": "",
            "creationUrls": {
                "createNewInstancePostUri": f"{base}/orchestrators/{{functionName}}[/{{instanceId}}]",
                "createAndWaitOnNewInstancePostUri": (
                    f"{base}/orchestrators/{{functionName}}[/{{instanceId}}]"
                    "?timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}"
                ),
            },
            "managementUrls": management_urls(base_url, _ID, task_hub),
        }
    )


def management_urls(base_url: str, instance_id: str, task_hub: str) -> dict[str, str]:
    """URLs that show, steer and purge one instance."""
    instance = f"{base_url}{PREFIX}/instances/{instance_id}"
    scope = f"taskHub={task_hub}&connection=Storage"
    return {
        "id": instance_id,
        "statusQueryGetUri": f"{instance}?{scope}",
        "sendEventPostUri": f"{instance}/raiseEvent/{{eventName}}?{scope}",
        "terminatePostUri": f"{instance}/terminate?reason={{text}}&{scope}",
        "rewindPostUri": f"{instance}/rewind?reason={{text}}&{scope}",
        "purgeHistoryDeleteUri": f"{instance}?{scope}",
        "restartPostUri": f"{instance}/restart?{scope}",
        "suspendPostUri": f"{instance}/suspend?reason={{text}}&{scope}",
        "resumePostUri": f"{instance}/resume?reason={{text}}&{scope}",
    }
