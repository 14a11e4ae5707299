"""An app of your own from this checkout, and a newer version of the framework in it (docs/own-app.md).

Standard library only: it runs before anything is installed. It is no part of an app: a newer checkout brings its own.
"""
