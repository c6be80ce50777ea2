"""Puts a process of pypz-python's clock wrong: `time.time` is off by the minutes in the file that CHAOS_CLOCK names.

libfaketime does it for programs of C and Rust; under it Python 3.11's waits fail or never end, because they are told by another
clock than they wait for. pypz-python asks nothing but `time.time` for the time of day.
"""

import os
import time

_genuine = time.time


def _wrong():
    try:
        with open(os.environ["CHAOS_CLOCK"]) as file:
            return _genuine() + 60 * int(file.read().strip().rstrip("m"))
    except (OSError, KeyError, ValueError):
        return _genuine()


time.time = _wrong
