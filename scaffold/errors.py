"""The one error of this package: its text is one line for the terminal, which says what to do."""


class ScaffoldError(Exception):
    """The app cannot be made or upgraded, and nothing was changed."""
