"""Runs one operator of a pipeline file in genuine pypz-python: FILE OPERATOR.

MIXED_CLOCK shifts its clock by so many seconds, MIXED_HEARTBEAT is the pause between two signs of life in ms,
MIXED_PATIENCE how long a peer may be silent, MIXED_BEATS a file for the counts that a writer has told.
"""

import os
import sys
import threading
import time

import yaml
from pypz.core.channels.base import ChannelBase
from pypz.core.channels.status import ChannelStatusMonitor
from pypz.core.commons import utils
from pypz.core.specs.dtos import PipelineInstanceDTO
from pypz.core.specs.pipeline import Pipeline
from pypz.core.specs.utils import Internals
from pypz.executors.operator.executor import OperatorExecutor


def shift_clock(seconds):
    real = time.time
    time.time = lambda: real() + seconds
    assert abs(utils.current_time_millis() / 1000 - real() - seconds) < 5


def slow_heartbeat(milliseconds):
    ChannelBase.DefaultStatusThreadIntervalInMs = milliseconds


def short_patience(milliseconds):
    ChannelStatusMonitor.ValidPatienceTimeInMs = milliseconds


def note_beats(path):
    """Writes the count of each sign of life to a file once it is sent."""
    send = ChannelBase.invoke_sync_send_status_message

    def noted(self, status, payload=None):
        send(self, status, payload)
        if payload and "sentRecordCount" in payload:
            with open(path, "a") as file:
                file.write(f"{payload['sentRecordCount']}\n")

    ChannelBase.invoke_sync_send_status_message = noted


def lock_publish():
    """pypz-python publishes from two threads on one connection of py-amqp, which hangs half of its starts."""
    from pypz.plugins.rmq_io.utils import MessageProducer

    publish, lock = MessageProducer.publish, threading.Lock()

    def locked(*args, **kwargs):
        with lock:
            return publish(*args, **kwargs)

    MessageProducer.publish = locked


if __name__ == "__main__":
    if "MIXED_CLOCK" in os.environ:
        shift_clock(float(os.environ["MIXED_CLOCK"]))
    if "MIXED_HEARTBEAT" in os.environ:
        slow_heartbeat(int(os.environ["MIXED_HEARTBEAT"]))
    if "MIXED_BEATS" in os.environ:
        note_beats(os.environ["MIXED_BEATS"])
    if "MIXED_PATIENCE" in os.environ:
        short_patience(int(os.environ["MIXED_PATIENCE"]))
    if os.environ.get("MIXED_TRANSPORT") == "amqp":
        lock_publish()
    with open(sys.argv[1]) as file:
        dto = PipelineInstanceDTO(**yaml.safe_load(file))
    pipeline = Pipeline.create_from_dto(dto)
    operator = Internals(pipeline).nested_instances[sys.argv[2]]
    executor = OperatorExecutor(operator)
    print("ready", file=sys.stderr, flush=True)
    sys.exit(executor.execute())
