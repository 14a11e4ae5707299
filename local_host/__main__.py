"""`python -m local_host`."""

import sys

from local_host.cli import main

sys.exit(main())
