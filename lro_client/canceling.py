"""How an operation is canceled, by profile. Without I/O.

Data plane: `POST {monitor}:cancel` (Considerations for Service Design, "Controlling a long-running operation"). ARM has
no verb for it; providers that cancel take `POST {operationStatuses}/cancel`. OData: `DELETE {monitor}` (OData 4.01
Protocol, 11.6).
"""

from dataclasses import replace

from lro_client.errors import CancelRefused
from lro_client.messages import Answer, Headers, Request
from lro_client.model import Profile, Reading, Source, Status, Track
from lro_client.polling import read
from lro_client.reasons import error_of
from lro_client.urls import append_to_path, normalized, resolve, with_api_version


def cancel_request(track: Track, url: str | None = None) -> Request:
    """The request that asks for the end of the operation. `url` overrides where it is sent, as a POST.

    Raises:
        CancelRefused: the contract has no way to cancel what is watched like this.
    """
    if url is not None:
        target = with_api_version(resolve(track.poll_url, url), track.start_url)
    elif track.profile is Profile.ODATA:
        is_under_way = track.source is Source.CANCELLATION
        return Request("DELETE", (is_under_way and track.location_url) or track.poll_url)
    elif track.source is Source.OPERATION_LOCATION:
        target = append_to_path(track.poll_url, ":cancel")
    elif track.source is Source.AZURE_ASYNC_OPERATION:
        target = append_to_path(track.poll_url, "/cancel")
    else:
        # A monitor that is known by its URL alone does not show that it is OData's.
        odata = ", or Profile.ODATA if the service is OData's" if track.profile is Profile.AUTO else ""
        raise CancelRefused(
            "There is no agreed way to cancel an operation that is watched like this; "
            f"name the URL that does it{odata}.",
            monitor_url=track.monitor_url,
        )
    return Request("POST", target)


def after_cancel(reading: Reading, answer: Answer) -> Reading:
    """What the answer to that request says.

    Raises:
        CancelRefused: the service does not cancel it (404, 405, 409 and other errors).
    """
    track = reading.track
    if not 200 <= answer.status_code < 300:
        error = error_of(answer)
        raise CancelRefused(
            f"The service does not cancel this operation: {answer.status_code}{f' {error}' if error else ''}.",
            monitor_url=track.monitor_url,
            answer=answer,
        )
    if track.profile is Profile.ODATA:
        return _after_delete(track, answer)
    body = answer.object()
    is_monitor = track.source in (Source.OPERATION_LOCATION, Source.AZURE_ASYNC_OPERATION)
    if is_monitor and body is not None and isinstance(body.get("status"), str):
        # Its headers and its URL are those of the cancel, not of the monitor.
        return read(track, Answer(answer.method, track.poll_url, 200, Headers(), answer.body))
    return Reading(track, Status.CANCELING, body=reading.body)


def _after_delete(track: Track, answer: Answer) -> Reading:
    """202 means that it is being canceled, and another Location tells of the cancel; other 2xx, that it has been."""
    track = replace(track, cancel_requested=True)
    if answer.status_code != 202:
        return Reading(track, Status.CANCELED)
    back = track.location_url if track.source is Source.CANCELLATION else track.poll_url
    if found := answer.headers.get("location"):
        url = resolve(answer.url, found)
        if back is None or normalized(url) != normalized(back):
            track = replace(track, source=Source.CANCELLATION, poll_url=url, location_url=back)
    return Reading(track, Status.CANCELING)
