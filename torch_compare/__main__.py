"""``python -m torch_compare`` is ``gradient-oracle``."""

import sys

from .commands.cli import main

if __name__ == "__main__":
    sys.exit(main())
