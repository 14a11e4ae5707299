"""Work with steps, checkpoints and parks."""

from tests.support.long_work import work, work_in_a_thread

__all__ = ["work", "work_in_a_thread"]
