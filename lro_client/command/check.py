"""`lro check`: is a deployment right?"""

from typing import Annotated

import typer

from lro_client.check.client import CheckClient
from lro_client.check.findings import Finding, Outcome
from lro_client.check.trial import Trial
from lro_client.command.options import Access, ApiVersion, Manner, Output, OutputOption, flat, method_of, payload
from lro_client.command.output import plain, print_json
from lro_client.command.running import Exit, begun
from lro_client.command.settings import located
from lro_client.command.targets import with_client
from lro_client.errors import InvalidRequest
from lro_client.pipelines import VERSION

CHECK_SECONDS = 120.0


@flat
def check(
    context: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="The address that callers use, with the route prefix.")],
    *,
    action: Annotated[
        str | None, typer.Option("--action", metavar="ROUTE", help="An action to try out, twice: greeting/ann:send.")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--input", "-d", metavar="JSON|@FILE|-", help="The action's input; default {}.")
    ] = None,
    method: Annotated[str, typer.Option("--method", metavar="METHOD", help="The action's method.")] = "POST",
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="It is meant that callers need no credential.")
    ] = False,
    output: OutputOption = Output.TEXT,
    api_version: ApiVersion = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0, metavar="SECONDS", help="For all of it.")
    ] = CHECK_SECONDS,
    access: Access,
) -> None:
    """Check a deployment: is it reached, closed to strangers, and can an operation be followed from start to end?

    Each problem comes with the setting or the document that mends it. Exits 0 where all is right, 1 where there are
    problems, 2 on usage, 4 when it is stopped. What it starts it deletes.
    """
    base = located(url)
    trial = _trial(action, data, method)
    run = begun(context, Manner(output, timeout))
    options = access.options(base) | {"endpoint": base, "api_version": api_version}

    def work(client: CheckClient) -> Exit:
        findings = client.check(
            trial,
            has_credential="credential" in options,
            anonymous=anonymous,
            report=_show if output is Output.TEXT else _ignore,
            timeout=run.left,
            cancellation=run.token,
        )
        problems = sum(finding.outcome is Outcome.PROBLEM for finding in findings)
        if output is Output.JSON:
            found = [finding.json() for finding in findings]
            print_json({"url": base, "right": not problems, "clientVersion": VERSION, "findings": found})
        else:
            print(f"{problems or 'no'} problem{'' if problems == 1 else 's'}; lro {VERSION}", flush=True)
        return Exit.FAILED if problems else Exit.SUCCEEDED

    with_client(CheckClient, run, work, options)


def _trial(action: str | None, data: str | None, method: str) -> Trial | None:
    if action is None:
        if data is not None:
            raise typer.BadParameter("--input is the input of --action")
        return None
    try:
        verb = method_of(method)
    except InvalidRequest as error:
        raise typer.BadParameter(error.message) from None
    return Trial(action, verb, None if verb == "DELETE" else payload(data or "{}", None)[0])


def _show(finding: Finding) -> None:
    outcome = finding.outcome.value
    word = outcome.upper() if finding.outcome is Outcome.PROBLEM else outcome
    print(f"{word:8} {finding.check:15} {plain(finding.message)}", flush=True)
    if finding.remedy is not None:
        print(f"{'':24} mend: {plain(finding.remedy.text)} ({finding.remedy.document})", flush=True)


def _ignore(finding: Finding) -> None:
    """JSON is printed at the end."""
