"""`python -m esri_http`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
