"""Where another system updates an operation that is delegated to it, and how it proves that it may."""

from shared.contracts.headers import segment

SECRET_HEADER = "x-operation-secret"  # noqa: S105 - the header's name


def update_url(base: str, operation_id: str, api_version: str) -> str:
    """Where another system sends its updates. The secret is no part of it: URLs are logged."""
    return f"{base}/status/{segment(operation_id)}:update?api-version={api_version}"
