"""Records what genuine pypz-python 0.10.2 puts on RabbitMQ: HOST:PORT OUTPUT.

Runs a pipeline `golden` of one source with three records and one sink (`tests/mixed/python/mixed_python.py`), and writes to OUTPUT as
JSON what the two ask of the broker: each method with its arguments, a question that is asked again and again once. Run it with
`tests/mixed/python` on the PYTHONPATH and MIXED_TRANSPORT=amqp; no pipeline `golden` may be on the broker.
"""

import inspect
import json
import sys
import threading

from amqp import Channel
from mixed_python import SinkNested, SourceNested
from pypz.core.specs.pipeline import Pipeline
from pypz.executors.operator.executor import OperatorExecutor
from run import lock_publish

METHODS = ["basic_consume", "basic_publish", "basic_qos", "exchange_declare", "queue_bind", "queue_declare"]

calls, asked, lock = [], set(), threading.Lock()


class Golden(Pipeline):
    def __init__(self, name=None, *args, **kwargs):
        super().__init__(name, *args, **kwargs)
        self.w = SourceNested()
        self.r = SinkNested()
        self.r.input.connect(self.w.output)


def described(method, given):
    """The arguments of a call without those that are a matter of the client library."""
    arguments = {name: value for name, value in given.items() if name not in ("self", "callback", "timeout", "msg")}
    if method != "basic_publish":
        return arguments
    message = given["msg"]
    body = message.body
    is_text = isinstance(body, str)
    arguments["properties"] = {}
    arguments["body"] = json.loads(body) if is_text else body.hex()
    return arguments


def note(method):
    real = getattr(Channel, method)
    signature = inspect.signature(real)

    def noted(*args, **kwargs):
        given = signature.bind(*args, **kwargs)
        call = {"method": method, "arguments": described(method, given.arguments)}
        with lock:
            # A passive declaration is a question whether something is there.
            if not call["arguments"].get("passive"):
                calls.append(call)
            elif (key := json.dumps(call, sort_keys=True)) not in asked:
                asked.add(key)
                calls.append(call)
        returned = real(*args, **kwargs)
        if method == "basic_publish":
            # The client adds the encoding of a text.
            call["arguments"]["properties"] = dict(given.arguments["msg"].properties)
        return returned

    setattr(Channel, method, noted)


if __name__ == "__main__":
    broker, output = sys.argv[1:]
    lock_publish()
    for each in METHODS:
        note(each)
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
    for run in runs:
        run.join()
    assert codes == [0, 0], codes
    with open(output, "w") as file:
        json.dump(calls, file, indent=1)
        file.write("\n")
