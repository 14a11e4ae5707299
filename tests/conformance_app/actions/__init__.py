"""Conformance

What the scenarios of `@azure-tools/azure-http-specs` start.
"""
