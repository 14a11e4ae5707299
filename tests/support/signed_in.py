"""What App Service authentication adds to the requests of somebody who has signed in."""

import base64
import json


def principal(*roles: str, name: str = "") -> str:
    """`X-MS-CLIENT-PRINCIPAL` as Microsoft Entra's sign-in has it."""
    claims = [{"typ": "name", "val": name}, *({"typ": "roles", "val": role} for role in roles)]
    said = {"auth_typ": "aad", "claims": claims, "name_typ": "name", "role_typ": "roles"}
    return base64.b64encode(json.dumps(said).encode()).decode()
