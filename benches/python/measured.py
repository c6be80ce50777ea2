"""Two operators of genuine pypz-python, and what runs one of them: measured.py FILE OPERATOR.

The sink writes when its first and its last record came, in seconds, to a file.
"""

import os
import sys
import threading
import time

import yaml
from pypz.core.commons.parameters import OptionalParameter
from pypz.core.specs.dtos import PipelineInstanceDTO
from pypz.core.specs.operator import Operator
from pypz.core.specs.pipeline import Pipeline
from pypz.core.specs.utils import Internals
from pypz.executors.operator.executor import OperatorExecutor

if os.environ["MEASURED"] == "amqp":
    from pypz.plugins.rmq_io.ports import RMQChannelInputPort as Input
    from pypz.plugins.rmq_io.ports import RMQChannelOutputPort as Output
    from pypz.plugins.rmq_io.utils import MessageProducer

    publish, lock = MessageProducer.publish, threading.Lock()

    def locked(*args, **kwargs):
        # Unlocked, two threads on one connection of py-amqp hang half of the starts.
        with lock:
            return publish(*args, **kwargs)

    MessageProducer.publish = locked
else:
    from pypz.plugins.kafka_io.ports import KafkaChannelInputPort as Input
    from pypz.plugins.kafka_io.ports import KafkaChannelOutputPort as Output

TEXT = '"string"'


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


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        pipeline = Pipeline.create_from_dto(PipelineInstanceDTO(**yaml.safe_load(file)))
    operator = Internals(pipeline).nested_instances[sys.argv[2]]
    sys.exit(OperatorExecutor(operator).execute())
