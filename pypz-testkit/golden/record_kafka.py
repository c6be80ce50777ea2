"""Records what genuine pypz-python 0.10.2 puts on Kafka: BROKER OUTPUT.

Runs a pipeline `golden` of one source with three records and one sink (`tests/mixed/python/mixed_python.py`), and writes every record of
its three topics to OUTPUT as JSON. Run it with `tests/mixed/python` on the PYTHONPATH; no pipeline `golden` may be on the broker.
"""

import json
import sys
import threading
import time

from kafka import KafkaConsumer, TopicPartition
from mixed_python import SinkNested, SourceNested
from pypz.core.specs.pipeline import Pipeline
from pypz.executors.operator.executor import OperatorExecutor

TOPICS = ["golden.r.input", "golden.r.input.input.state", "golden.r.input.output.state"]


class Golden(Pipeline):
    def __init__(self, name=None, *args, **kwargs):
        super().__init__(name, *args, **kwargs)
        self.w = SourceNested()
        self.r = SinkNested()
        self.r.input.connect(self.w.output)


def text(value):
    return None if value is None else value.decode()


if __name__ == "__main__":
    broker, output = sys.argv[1:]
    pipeline = Golden("golden")
    pipeline.set_parameter(">>channelLocation", broker)
    pipeline.w.set_parameter("recordCount", 3)
    pipeline.r.set_parameter("ledger", output + ".ledger")
    codes = []
    runs = [
        threading.Thread(target=lambda each=each: codes.append(OperatorExecutor(each, handle_interrupts=False).execute()))
        for each in (pipeline.r, pipeline.w)
    ]
    for run in runs:
        run.start()
    consumer = KafkaConsumer(bootstrap_servers=broker, auto_offset_reset="earliest", enable_auto_commit=False)
    while not set(TOPICS) <= consumer.topics():
        time.sleep(0.1)
    consumer.assign([TopicPartition(topic, 0) for topic in TOPICS])
    records = []
    closed = set()
    while len(closed) < 2:
        for found in consumer.poll(200).values():
            for record in found:
                is_status = record.topic.endswith(".state")
                value = json.loads(record.value) if is_status else record.value.hex()
                if is_status and value["status"] == "Closed":
                    closed.add(record.topic)
                records.append({"topic": record.topic, "partition": record.partition, "key": text(record.key), "value": value})
    consumer.close()
    for run in runs:
        run.join()
    assert codes == [0, 0], codes
    with open(output, "w") as file:
        json.dump(sorted(records, key=lambda record: record["topic"]), file, indent=1)
        file.write("\n")
