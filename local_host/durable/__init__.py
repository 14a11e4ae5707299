"""Durable Functions for the local host: the SDK's JSON protocol over a task hub in memory, or over the extension."""
