"""`python -m sweeptui`."""

from __future__ import annotations

import sys

from sweeptui.cli import main

if __name__ == "__main__":
    sys.exit(main())
