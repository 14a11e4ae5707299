"""What the command `st` loads beside the description (SCHEMATHESIS_HOOKS)."""
