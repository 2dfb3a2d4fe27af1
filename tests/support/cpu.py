"""CPU time of a piece of work, told so that a slow or busy machine does not make it long."""

from __future__ import annotations

import time
from collections.abc import Callable

COUNTED = 1_000_000
USUAL_S = 0.06
"""CPU seconds in which an everyday machine counts so far."""


def usual_seconds(action: Callable[[], object]) -> float:
    """CPU seconds that `action` takes, as an everyday machine would have needed them.

    The yardstick is counted before and after it, on the same core and under the same load; the slower one
    counts. Use it to see that something ends early instead of never: it is no measurement (that is bench/).
    """
    before = _yardstick()
    began = time.process_time()
    action()
    spent = time.process_time() - began
    return spent * USUAL_S / max(before, _yardstick())


def _yardstick() -> float:
    began = time.process_time()
    number = 0
    while number < COUNTED:
        number += 1
    return time.process_time() - began
