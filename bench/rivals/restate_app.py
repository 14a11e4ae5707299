"""What Restate needs to run a handler that does nothing. Its own packages run it, and its server takes the requests."""

# pyright: basic, reportMissingImports=false
import restate

service = restate.Service("rival")


@service.handler()
async def nothing(context: restate.Context, order: dict) -> str:
    return "SUCCESS"


api = restate.app([service])
