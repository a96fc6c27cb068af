"""`python -m dtool` is `dtool`."""

import sys

from dtool.cli import main

sys.exit(main())
