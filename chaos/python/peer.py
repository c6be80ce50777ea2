"""A process of pypz-python 0.10.2 that runs a source or a sink, told by the same command line as `pypz-chaos operator`.

It notes what it did in the same ledger: lines of 48 bytes for what was handed to the client, of 80 bytes for what arrived.
"""

import argparse
import json
import os
import sys
import time
import zlib

from pypz.core.specs.operator import Operator
from pypz.core.specs.pipeline import Pipeline
from pypz.executors.commons import ExecutionMode
from pypz.executors.operator.executor import OperatorExecutor

FIELDS = [
    ("run", "string"), ("writer", "string"), ("epoch", "long"), ("sequence", "long"),
    ("payload", "string"), ("crc", "long"),
]
SCHEMA = json.dumps({
    "type": "record", "name": "Item", "fields": [{"name": name, "type": kind} for name, kind in FIELDS],
})


def arguments():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("--folder", "--name", "--location", "--only"):
        parser.add_argument(name, required=True)
    for name in ("--incarnation", "--records", "--batch", "--rate", "--record-bytes", "--sinks"):
        parser.add_argument(name, type=int, default=0)
    parser.add_argument("--keep", action="store_true")
    return parser.parse_known_args()[0]


OPTIONS = arguments()
if OPTIONS.location.startswith("kafka://"):
    from pypz.plugins.kafka_io.ports import KafkaChannelInputPort as InputPort
    from pypz.plugins.kafka_io.ports import KafkaChannelOutputPort as OutputPort
    LOCATION = OPTIONS.location[len("kafka://"):]
else:
    from pypz.plugins.rmq_io.ports import RMQChannelInputPort as InputPort
    from pypz.plugins.rmq_io.ports import RMQChannelOutputPort as OutputPort
    # Its client takes host and port, and is guest.
    LOCATION = OPTIONS.location.split("@")[-1].rstrip("/")


def checksum(item):
    text = "".join(item[name] + "\0" for name in ("run", "writer", "payload"))
    return zlib.crc32(f"{text}{item['epoch']},{item['sequence']}".encode())


def page(replica, kind):
    path = os.path.join(OPTIONS.folder, f"{replica}.{OPTIONS.incarnation}.{kind}")
    return open(path, "ab", buffering=0)


def began(replica):
    path = os.path.join(OPTIONS.folder, f"{replica}.{OPTIONS.incarnation}.began")
    if not os.path.exists(path):
        with open(path, "w") as mark:
            mark.write(str(int(time.time() * 1000)))


class Base(Operator):
    def _on_init(self): return True
    def _on_shutdown(self): return True
    def _on_interrupt(self, system_signal=None): pass
    def _on_error(self, source, exception): pass


class Source(Base):
    def __init__(self, name=None, *args, **kwargs):
        super().__init__(name, *args, **kwargs)
        self.output = OutputPort(schema=SCHEMA)

    def _on_init(self):
        self.next, self.page = 0, page("a@0", "acknowledged")
        return True

    def _on_running(self):
        end = min(self.next + OPTIONS.batch, OPTIONS.records)
        items = []
        for sequence in range(self.next, end):
            item = {"run": OPTIONS.name, "writer": "a@0", "epoch": OPTIONS.incarnation, "sequence": sequence,
                    "payload": "x" * OPTIONS.record_bytes}
            item["crc"] = checksum(item)
            items.append(item)
        self.output.send(items)
        self.page.write(f"{self.next:20} {end:20}".ljust(47).encode() + b"\n")
        began("a@0")
        self.next = end
        if OPTIONS.rate:
            time.sleep(len(items) / OPTIONS.rate)
        return self.next >= OPTIONS.records


class Sink(Base):
    def __init__(self, name=None, *args, **kwargs):
        super().__init__(name, *args, **kwargs)
        self.input = InputPort(schema=SCHEMA)

    def _on_init(self):
        self.count, self.page = 0, page(OPTIONS.only, "arrived")
        return True

    def _on_running(self):
        lines = b""
        for item in self.input.retrieve() or []:
            state = "W" if item["run"] == OPTIONS.name else "F"
            state = state if checksum(item) == item["crc"] else "B"
            line = (f"{0:5} {self.count:12} {item['writer']:>16} {item['epoch']:5} {item['sequence']:12} "
                    f"{-1:5} {0:5} {state}")
            lines += line.ljust(79).encode() + b"\n"
            self.count += 1
        if lines:
            self.page.write(lines)
            began(OPTIONS.only)
        return None


class Peer(Pipeline):
    def __init__(self, name=None, *args, **kwargs):
        super().__init__(name, *args, **kwargs)
        self.a = Source()
        self.sink = Sink()
        self.sink.input.connect(self.a.output)


if __name__ == "__main__":
    pipeline = Peer(OPTIONS.name)
    pipeline.set_parameter(">>channelLocation", LOCATION)
    if OPTIONS.sinks > 1:
        pipeline.sink.set_parameter("replicationFactor", OPTIONS.sinks - 1)
    name, replica = OPTIONS.only.split("@")
    operator = {"a": pipeline.a, "sink": pipeline.sink}[name]
    operator = operator.get_replica(int(replica) - 1) if int(replica) else operator
    mode = ExecutionMode.WithoutResourceDeletion if OPTIONS.keep else ExecutionMode.Standard
    sys.exit(OperatorExecutor(operator).execute(mode))
