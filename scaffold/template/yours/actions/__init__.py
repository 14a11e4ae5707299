"""Greetings

An app of long-running actions.
"""

# Title and description of the app where it describes itself: openapi.json and the page at /docs.
