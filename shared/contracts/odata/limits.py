"""Limits of OData requests, apart from the readers that hold them: the description names them without those."""

DEFAULT_PAGE = 100
"""Entities of a page, where neither `$top` nor a preference says how many."""

MAX_LENGTH = 4000
"""Characters of one expression."""

MAX_URL = 8192
"""Characters of the URL of a request in a batch."""

MAX_REQUESTS = 1000
"""Of a batch, those of its groups included."""

REQUEST_ID = r"[A-Za-z0-9._~-]{1,128}"
"""The rule `request-id` of the OData ABNF, with a limit."""
