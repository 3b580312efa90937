"""`python -m aiface_runtime`, where the `aiface` script is not on the path."""

import sys

from .cli import main

sys.exit(main())
