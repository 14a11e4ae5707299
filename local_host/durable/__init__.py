"""Durable Functions for the local host: the SDK's JSON protocol over durabletask's in-memory backend."""
