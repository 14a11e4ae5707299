"""Start, watch, cancel and fetch long-running operations of any Azure data-plane, ARM or OData 4 service.

    from lro_client import DataPlaneClient

    with DataPlaneClient("https://contoso.example", credential) as client:
        operation = client.start("POST", "book/moby-dick:upload-finish", json={"transactionId": "..."}, result=Book)
        for snapshot in operation:
            print(snapshot.status, snapshot.percent, snapshot.message)
        print(operation.value.title)

How it is built, from the inside out; nothing in a row knows a row below it:

    messages, reasons, urls,        values, why something failed, and what may be followed, and when
      pacing
    monitors, locations, polling,   the rules: from an answer to what it says and what is asked next
      odata_answers, odata_batch,
      canceling
    tokens, values                  what another process resumes from; results in the type asked for
    clock                           where time comes from
    steps, exchange, tracker,       what is to be done, as generators that yield Send and Sleep
      starting, downloads
    sync_sender, async_sender,      who does it: azure-core pipelines over requests and aiohttp
      connections, requests_transport,
      proxies
    saving                          files on this machine
    operation, client,              what you use
      dataplane, arm, odata
    command                         the command `lro`

The rules have no I/O. The blocking and the asynchronous classes run the same steps; they differ in send and sleep.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lro_client.arm import ArmClient, AsyncArmClient
    from lro_client.cancellation import CancellationToken
    from lro_client.client import AsyncLroClient, LroClient
    from lro_client.dataplane import AsyncDataPlaneClient, DataPlaneClient
    from lro_client.downloads import RemoteFile
    from lro_client.errors import (
        AnswerTooLarge,
        CancelRefused,
        CredentialUnavailable,
        ForeignToken,
        InvalidRequest,
        LroError,
        MonitorGone,
        NotFinished,
        OperationCanceled,
        OperationFailed,
        ResultMismatch,
        ServiceUnreachable,
        StartRefused,
        StoppedWaiting,
        TamperedToken,
        TokenError,
        UnexpectedAnswer,
        UnknownTokenVersion,
        UnsafeUrl,
        WaitCanceled,
    )
    from lro_client.messages import Answer
    from lro_client.model import FinalState, Limits, Profile, Snapshot, Status
    from lro_client.odata import AsyncODataClient, AsyncODataOperation, ODataClient, ODataOperation
    from lro_client.odata_batch import Batch, BatchResponse, BatchResult
    from lro_client.odata_state import CallResult, ODataStatus
    from lro_client.operation import AsyncOperation, Operation
    from lro_client.pacing import Pace, Retries
    from lro_client.reasons import ErrorDetail

_HOMES = {
    "arm": ("ArmClient", "AsyncArmClient"),
    "cancellation": ("CancellationToken",),
    "client": ("AsyncLroClient", "LroClient"),
    "dataplane": ("AsyncDataPlaneClient", "DataPlaneClient"),
    "downloads": ("RemoteFile",),
    "messages": ("Answer",),
    "model": ("FinalState", "Limits", "Profile", "Snapshot", "Status"),
    "odata": ("AsyncODataClient", "AsyncODataOperation", "ODataClient", "ODataOperation"),
    "odata_batch": ("Batch", "BatchResponse", "BatchResult"),
    "odata_state": ("CallResult", "ODataStatus"),
    "operation": ("AsyncOperation", "Operation"),
    "pacing": ("Pace", "Retries"),
    "reasons": ("ErrorDetail",),
}
"""The errors apart: every other public name is one."""

_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Answer",
    "AnswerTooLarge",
    "ArmClient",
    "AsyncArmClient",
    "AsyncDataPlaneClient",
    "AsyncLroClient",
    "AsyncODataClient",
    "AsyncODataOperation",
    "AsyncOperation",
    "Batch",
    "BatchResponse",
    "BatchResult",
    "CallResult",
    "CancelRefused",
    "CancellationToken",
    "CredentialUnavailable",
    "DataPlaneClient",
    "ErrorDetail",
    "FinalState",
    "ForeignToken",
    "InvalidRequest",
    "Limits",
    "LroClient",
    "LroError",
    "MonitorGone",
    "NotFinished",
    "ODataClient",
    "ODataOperation",
    "ODataStatus",
    "Operation",
    "OperationCanceled",
    "OperationFailed",
    "Pace",
    "Profile",
    "RemoteFile",
    "ResultMismatch",
    "Retries",
    "ServiceUnreachable",
    "Snapshot",
    "StartRefused",
    "Status",
    "StoppedWaiting",
    "TamperedToken",
    "TokenError",
    "UnexpectedAnswer",
    "UnknownTokenVersion",
    "UnsafeUrl",
    "WaitCanceled",
]


def __getattr__(name: str) -> Any:
    """What is used is imported, and nothing else: azure-core alone takes a tenth of a second."""
    from importlib import import_module  # noqa: PLC0415

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_MODULES.get(name, 'errors')}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
