"""Library

Books are uploaded, read, placed on shelves and removed; shelves and presses are ARM resources, the catalog is an OData
service.
"""

# Title and description of the app where it describes itself.
