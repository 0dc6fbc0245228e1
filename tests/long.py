"""Whether the long enumerations run: `UPDATER_LONG_TESTS=1`."""

from __future__ import annotations

import os

# Taken out of the environment: the services that tests start read every UPDATER_ variable as a setting.
LONG = os.environ.pop("UPDATER_LONG_TESTS", "") == "1"
