"""The app described as OpenAPI 3.1, generated from the declarations and the pydantic models.

`document.describe` puts together what one module per profile says: `dataplane`, `monitors`, `arm`, `odata`, `app`.
Each offers `types()`, the Python types that it describes, and `operations(scope)`, its HTTP operations in the order of
a reader.

Nothing is imported here: a cold start does not pay for what the first reader of the description needs.
"""

from collections.abc import Mapping

VERSIONS: Mapping[str, str] = {"3.1": "3.1.1", "3.0": "3.0.3"}
"""What can be asked for, and the version that the document then says it has."""
