"""``python -m torch_compare`` is ``gradient-oracle``; Ctrl-C ends it with status 130, while it loads and after."""

import os
import signal
import sys
from types import FrameType

INTERRUPTED = 130


def _stop(number: int, frame: FrameType | None) -> None:
    """End at once: while modules load there is nothing to put in order, and an exception would show their insides."""
    os.write(2, b"gradient-oracle: stopped\n")
    os._exit(INTERRUPTED)


def main() -> int:
    """Run the command line and return its exit status."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored, as behind nohup or in a script's &
        from .commands import cli  # noqa: PLC0415

        return cli.main()
    signal.signal(signal.SIGINT, _stop)
    from .commands import cli  # noqa: PLC0415

    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return cli.main()
    except KeyboardInterrupt:  # between the lines of main that catch it
        _stop(signal.SIGINT, None)
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # the status is decided; a hanging end can still be stopped


if __name__ == "__main__":
    sys.exit(main())
