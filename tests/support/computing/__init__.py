"""Actions that compute in processes: what processes of the tests import."""
