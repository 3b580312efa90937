"""`python -m aiface_export` is the `aiface-export` command."""

import sys

from .cli import main

sys.exit(main())
