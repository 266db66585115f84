# SPDX-License-Identifier: Apache-2.0
"""How a program of the analysis is run from a shell."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable


def run(main: Callable[[list[str]], int]) -> None:
    """End the process with the status that `main` gives for its arguments; without a word, as other tools do,
    where nobody reads its output any more (`show RUN | head`)."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main(sys.argv[1:]))
