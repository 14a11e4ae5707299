"""Library

Books are uploaded, read, placed on shelves and removed; shelves and presses are ARM resources.
"""

# Title and description of the app where it describes itself.
