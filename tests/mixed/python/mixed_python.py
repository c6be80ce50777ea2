"""Operators of genuine pypz-python for the mixed tests: sources, passes and sinks of three kinds of records."""

import os
import time

from pypz.core.commons.parameters import OptionalParameter
from pypz.core.specs.operator import Operator

if os.environ.get("MIXED_TRANSPORT") == "amqp":
    from pypz.plugins.rmq_io.ports import RMQChannelInputPort as Input
    from pypz.plugins.rmq_io.ports import RMQChannelOutputPort as Output
else:
    from pypz.plugins.kafka_io.ports import KafkaChannelInputPort as Input
    from pypz.plugins.kafka_io.ports import KafkaChannelOutputPort as Output

TEXT = '"string"'
NESTED = """{"type": "record", "name": "Nested", "fields": [
  {"name": "number", "type": "long"},
  {"name": "inner", "type": {"type": "record", "name": "Inner", "fields": [
    {"name": "name", "type": "string"},
    {"name": "weight", "type": "double"}]}},
  {"name": "note", "type": ["null", "string"]}]}"""
LISTED = """{"type": "record", "name": "Listed", "fields": [
  {"name": "number", "type": "long"},
  {"name": "squares", "type": {"type": "array", "items": "long"}},
  {"name": "words", "type": {"type": "array", "items": "string"}}]}"""


def text(n):
    return f"{n}: größer als {n - 1} ☃"


def nested(n):
    inner = {"name": f"inner {n}", "weight": n / 8}
    return {"number": n, "inner": inner, "note": None if n % 3 == 0 else f"note {n}"}


def listed(n):
    squares = [i * i for i in range(n % 7)]
    return {"number": n, "squares": squares, "words": [f"word {n}"] * (n % 3)}


def number(record):
    return record["number"] if isinstance(record, dict) else int(record.split(":")[0])


class Base(Operator):
    def _on_init(self):
        return True

    def _on_shutdown(self):
        return True

    def _on_interrupt(self, system_signal=None):
        pass

    def _on_error(self, source, exception):
        pass


class Source(Base):
    """Sends so many records; from `pauseAfter` on it waits until the file `goOn` is
    there. With `workMs` each record is as much work. It fails behind `failAfter`."""

    record_count = OptionalParameter(int, alt_name="recordCount")
    pause_after = OptionalParameter(int, alt_name="pauseAfter")
    fail_after = OptionalParameter(int, alt_name="failAfter")
    go_on = OptionalParameter(str, alt_name="goOn")
    work_ms = OptionalParameter(int, alt_name="workMs")

    def __init__(self, name=None, *args, **kwargs):
        super().__init__(name, *args, **kwargs)
        self.output = Output(schema=self.SCHEMA)
        self.record_count = 0
        self.pause_after = -1
        self.fail_after = -1
        self.go_on = ""
        self.work_ms = 0
        self.sent = 0

    def _on_running(self):
        if self.sent == self.fail_after:
            raise ValueError("the source is broken")
        if self.sent >= self.record_count:
            return True
        if self.sent == self.pause_after:
            if not os.path.exists(self.go_on):
                return False
            self.pause_after = -1
        time.sleep(self.work_ms / 1000)
        until = min(self.record_count, self.sent + (1 if self.work_ms else 50))
        if self.pause_after > self.sent:
            until = min(until, self.pause_after)
        first = self.get_group_index() * 1_000_000
        self.output.send([self.make(first + n) for n in range(self.sent, until)])
        self.sent = until
        return self.sent >= self.record_count


class Pass(Base):
    """Sends on what it gets, after a look at every byte of it."""

    def __init__(self, name=None, *args, **kwargs):
        super().__init__(name, *args, **kwargs)
        self.input = Input(schema=self.SCHEMA)
        self.output = Output(schema=self.SCHEMA)

    def _on_running(self):
        records = list(self.input.retrieve() or [])
        for record in records:
            assert record == self.make(number(record)), record
        if records:
            self.output.send(records)


class Sink(Base):
    """Writes the number of each record to a file of its own, after a look at every byte of it."""

    GROUP_MODE = False
    ledger = OptionalParameter(str)

    def __init__(self, name=None, *args, **kwargs):
        super().__init__(name, *args, **kwargs)
        self.input = Input(schema=self.SCHEMA, group_mode=self.GROUP_MODE)
        self.ledger = ""

    def _on_running(self):
        for record in self.input.retrieve() or []:
            n = number(record)
            right = record == self.make(n)
            with open(f"{self.ledger}.{self.get_group_index()}", "a") as file:
                file.write(f"{n}\n" if right else f"wrong {record}\n")


class Step(Base):
    """Sends its records part by part, each when the readers have acknowledged the one before, and looks whether they have it."""

    record_count = OptionalParameter(int, alt_name="recordCount")
    part = OptionalParameter(int)
    ledger = OptionalParameter(str)

    def __init__(self, name=None, *args, **kwargs):
        super().__init__(name, *args, **kwargs)
        self.output = Output(schema=self.SCHEMA)
        self.record_count = 0
        self.part = 1
        self.ledger = ""
        self.sent = 0

    def _on_running(self):
        if self.sent > 0:
            if not all(channel.is_all_connected_input_channels_acknowledged() for channel in self.output._channel_writers):
                time.sleep(0.05)
                return False
            arrived = 0
            for replica in range(8):
                if os.path.exists(f"{self.ledger}.{replica}"):
                    with open(f"{self.ledger}.{replica}") as file:
                        arrived += len(file.readlines())
            assert arrived == self.sent, f"{self.sent} records are acknowledged, {arrived} are written"
        if self.sent >= self.record_count:
            return True
        until = min(self.record_count, self.sent + self.part)
        self.output.send([self.make(n) for n in range(self.sent, until)])
        self.sent = until
        return False


class Confirm(Sink):
    """A sink that acknowledges what it has written."""

    def _on_running(self):
        super()._on_running()
        self.input._channel_reader.acknowledge_input()
        time.sleep(0.05)


def kind(base, name, schema, make):
    return type(base.__name__ + name, (base,), {"SCHEMA": schema, "make": staticmethod(make), "__module__": __name__})


SourceText, PassText, SinkText = (kind(base, "Text", TEXT, text) for base in (Source, Pass, Sink))
SourceNested, PassNested, SinkNested = (kind(base, "Nested", NESTED, nested) for base in (Source, Pass, Sink))
SourceListed, PassListed, SinkListed = (kind(base, "Listed", LISTED, listed) for base in (Source, Pass, Sink))


StepText, ConfirmText = kind(Step, "Text", TEXT, text), kind(Confirm, "Text", TEXT, text)


class SinkAllText(SinkText):
    """Reads all that is sent, whatever the others of its group read."""

    GROUP_MODE = True
