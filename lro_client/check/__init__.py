"""Whether a deployment of a data-plane app is right, as its callers see it. The command is `lro check`."""
