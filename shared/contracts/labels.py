"""Labels, given at a start to find its operation by: `Operation-Labels: team-a, batch:42`."""

import re
from collections.abc import Mapping

from shared.errors import RequestError

HEADER = "Operation-Labels"
MAX_LABELS = 5
LABEL_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._:/=@+-]{0,63}"

_LABEL = re.compile(LABEL_PATTERN)


def labels(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Those of a request, each once, in its order; raises RequestError 400 InvalidLabels for what are none."""
    text = headers.get(HEADER.lower(), "")
    found = tuple(dict.fromkeys(each.strip() for each in text.split(",") if each.strip()))
    if len(found) > MAX_LABELS or not all(map(_LABEL.fullmatch, found)):
        message = f"{HEADER} has at most {MAX_LABELS} labels with commas between them; each is {LABEL_PATTERN}."
        raise RequestError(400, "InvalidLabels", message, target=HEADER)
    return found
