"""It waits."""

import time

time.sleep(600)
