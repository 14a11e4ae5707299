"""`azure/core/lro/standard` and `azure/core/lro/rpc`: a PUT, a DELETE, an action on a resource, an action without."""

from typing import Literal

from actions._gates import pass_through

from shared.actions import Accepted, ActionContext, Model, RequestContext, RequestError, action, read

USER = "azure/core/lro/standard/users/{name}"
USERS: dict[str, str] = {}


class User(Model):
    name: str
    role: str


class UserRef(Model):
    name: str


class Export(Model):
    name: str
    format: Literal["json"]


class Exported(Model):
    name: str
    resource_uri: str


class Prompt(Model):
    prompt: str


class Generation(Model):
    data: str


@action("user:put", put=USER, exclusive=USER)
async def put_user(context: ActionContext, user: User) -> User:
    await pass_through(context.operation_id)
    USERS[user.name] = user.role
    return user


@put_user.accepted
def user_to_be(user: User) -> Accepted:
    return Accepted(created=user.name not in USERS, resource=user)


@action("user:delete", delete=USER, exclusive=USER)
async def delete_user(context: ActionContext, user: UserRef) -> None:
    await pass_through(context.operation_id)
    USERS.pop(user.name, None)


@delete_user.precondition
def user_is_there(user: UserRef) -> None:
    if user.name not in USERS:
        raise RequestError(404, "UserNotFound", "There is no such user.", target=user.name)


@action("user:export", post=USER + ":export", exclusive=USER)
async def export_user(context: ActionContext, request: Export) -> Exported:
    await pass_through(context.operation_id)
    return Exported(name=request.name, resource_uri=f"/users/{request.name}")


@read("user:get", get=USER)
async def get_user(context: RequestContext, user: UserRef) -> User:
    if user.name not in USERS:
        raise RequestError(404, "UserNotFound", "There is no such user.", target=user.name)
    return User(name=user.name, role=USERS[user.name])


@action("generation:submit", post="azure/core/lro/rpc/generations:submit")
async def submit(context: ActionContext, request: Prompt) -> Generation:
    await pass_through(context.operation_id)
    return Generation(data=f"{request.prompt} data")
