"""Two operators of genuine pypz-python, which `run.py` of the mixed tests runs.

The sink writes when its first and its last record came, in seconds, to a file.
"""

import time

from mixed_python import TEXT, Base, Input, Output
from pypz.core.commons.parameters import OptionalParameter


class Source(Base):
    records = OptionalParameter(int)
    size = OptionalParameter(int)

    def __init__(self, name=None, *args, **kwargs):
        super().__init__(name, *args, **kwargs)
        self.output = Output(schema=TEXT)
        self.records = 0
        self.size = 0
        self.sent = 0

    def _on_running(self):
        batch = min(100, self.records - self.sent)
        self.output.send(["7" * self.size] * batch)
        self.sent += batch
        return self.sent >= self.records


class Sink(Base):
    records = OptionalParameter(int)
    times = OptionalParameter(str)

    def __init__(self, name=None, *args, **kwargs):
        super().__init__(name, *args, **kwargs)
        self.input = Input(schema=TEXT)
        self.records = 0
        self.times = ""
        self.taken = 0
        self.first = None

    def _on_running(self):
        taken = len(list(self.input.retrieve() or []))
        if taken == 0:
            return None
        now = time.monotonic()
        self.first = self.first or now
        self.taken += taken
        if self.taken == self.records:
            with open(self.times, "w") as file:
                file.write(f"{self.first} {now}\n")
        return None
