"""What is on a broker of one channel, and what does not belong there: COMMAND TRANSPORT ADDRESS CHANNEL WRITER.

objects    prints the channel's objects that are there, one a line
leftovers  makes the channel as a run of pypz-python would, with 100 records and 100,000 words of status
hostile    puts into the writers' status what nobody should send
words      prints what the writer has said so far, one word a line
figures    prints which figures the signs of life of both sides have, as JSON, once both have counted records
"""

import json
import sys
import time

TEXT_OF_AN_EARLIER_RUN = 5_000_000
RECORDS = 100
WORDS = 50_000


class Kafka:
    def __init__(self, address, channel):
        self.address, self.channel = address, channel
        self.status = {"reader": f"{channel}.input.state", "writer": f"{channel}.output.state"}

    def objects(self):
        from kafka import KafkaAdminClient

        admin = KafkaAdminClient(bootstrap_servers=self.address)
        topics = [topic for topic in admin.list_topics() if topic.startswith(self.channel)]
        groups = [group for group, _ in admin.list_consumer_groups() if group.startswith(self.channel)]
        return topics + groups

    def make(self):
        from kafka import KafkaAdminClient
        from kafka.admin import NewTopic

        admin = KafkaAdminClient(bootstrap_servers=self.address)
        names = [self.channel, *self.status.values()]
        admin.create_topics([NewTopic(name, 1, 1) for name in names])
        deadline = time.monotonic() + 30
        while not set(names) <= set(admin.list_topics()):
            assert time.monotonic() < deadline

    def producer(self):
        from kafka import KafkaProducer

        if not hasattr(self, "made"):
            self.made = KafkaProducer(bootstrap_servers=self.address, acks=1, max_request_size=1 << 24)
        return self.made

    def data(self, value):
        self.producer().send(self.channel, key=b"0", value=value, partition=0)

    def word(self, side, value):
        self.producer().send(self.status[side], key=b"state", value=value)

    def flush(self):
        self.producer().flush()

    def words(self):
        from kafka import KafkaConsumer

        consumer = KafkaConsumer(*self.status.values(), bootstrap_servers=self.address, auto_offset_reset="earliest")
        for record in consumer:
            yield record.value


class RabbitMq:
    def __init__(self, address, channel):
        import amqp

        self.channel = channel
        self.status = {"reader": f"{channel}.reader.status", "writer": f"{channel}.writer.status"}
        self.connection = amqp.Connection(address)
        self.connection.connect()
        self.opened = self.connection.channel()

    def objects(self):
        import amqp

        found = []
        for queue in [self.channel, *self.status.values()]:
            try:
                self.connection.channel().queue_declare(queue, passive=True)
                found.append(queue)
            except amqp.exceptions.NotFound:
                pass
        return found

    def make(self):
        self.opened.exchange_declare(self.channel, "direct", durable=True, auto_delete=False)
        self.opened.queue_declare(self.channel, durable=True, auto_delete=False)
        self.opened.queue_bind(self.channel, self.channel, "")
        for stream in self.status.values():
            arguments = {"x-queue-type": "stream"}
            self.opened.queue_declare(stream, durable=True, auto_delete=False, arguments=arguments)

    def data(self, value):
        import amqp

        self.opened.basic_publish(amqp.Message(value), exchange=self.channel, routing_key="")

    def word(self, side, value):
        import amqp

        message = amqp.Message(value, content_encoding="utf-8")
        self.opened.basic_publish(message, exchange="", routing_key=self.status[side])

    def flush(self):
        # A channel does one thing after the other.
        self.opened.queue_declare(self.channel, passive=True)

    def words(self):
        said = []
        self.opened.basic_qos(0, 100, False)
        for stream in self.status.values():
            self.opened.basic_consume(stream, callback=said.append, arguments={"x-stream-offset": "first"})
        while True:
            self.connection.drain_events(timeout=60)
            while said:
                message = said.pop(0)
                self.opened.basic_ack(message.delivery_tag)
                yield message.body


def word(channel, port, status, payload=None, **more):
    message = {
        "channel_name": channel,
        "channel_context_name": port,
        "channel_group_name": None,
        "channel_group_index": 0,
        "status": status,
        "payload": payload,
        "timestamp": int(time.time() * 1000),
    }
    return json.dumps({**message, **more}).encode()


def leftovers(broker, channel, writer):
    broker.make()
    for n in range(TEXT_OF_AN_EARLIER_RUN, TEXT_OF_AN_EARLIER_RUN + RECORDS):
        text = f"{n}: of an earlier run".encode()
        assert len(text) < 64
        broker.data(bytes([len(text) * 2]) + text)
    lives = [("reader", channel, "receivedRecordCount"), ("writer", writer, "sentRecordCount")]
    for side, port, count in lives:
        broker.word(side, word(channel, port, "Opened"))
        broker.word(side, word(channel, port, "Started"))
        beat = word(channel, port, "HealthCheck", {count: RECORDS})
        for _ in range(WORDS):
            broker.word(side, beat)
        broker.word(side, word(channel, port, "Stopped"))
        broker.word(side, word(channel, port, "Closed"))
    broker.flush()


def hostile(broker, channel, writer):
    longest = 900_000 if isinstance(broker, Kafka) else 10_000_000
    for value in [
        b"\xff\xfe\x00 not UTF-8",
        b"not JSON",
        b"[" * 100_000,
        b"null",
        b"{}",
        b" " * longest,
        b'{"channel_name": "' + b"x" * longest,
        word(channel, writer, "Closed", eighth=1),
        word(channel, writer, "Exploded"),
        word(channel, writer, "HealthCheck", ["sentRecordCount"]),
        word(channel, writer, "HealthCheck", {"sentRecordCount": -1}),
        word(channel, writer, "HealthCheck", {"sentRecordCount": "many"}),
        word("another.channel.input", writer, "Closed"),
        word(channel, writer + "\r\n\x1b[31mFORGED", "Closed"),
    ]:
        broker.word("writer", value)
    for n in range(5_000):
        for status in ("Opened", "Stopped", "Closed"):
            broker.word("writer", word(channel, f"{writer}_{n}", status))
    broker.flush()


def words(broker, channel, writer):
    broker.word("writer", word(channel, writer, "HealthCheck", {"asked": True}))
    broker.flush()
    for said in broker.words():
        said = json.loads(said)
        if said["channel_context_name"] == writer:
            if "asked" in (said["payload"] or {}):
                return
            print(said["status"])


def figures(broker):
    found = {}
    for said in broker.words():
        said = json.loads(said)
        payload = said["payload"] or {}
        # pypz-python has averages of nothing before it has a count.
        has_count = "sentRecordCount" in payload or "receivedRecordCount" in payload
        if has_count and any(figure.startswith("average") for figure in payload):
            found[said["channel_context_name"]] = sorted(figure for figure in payload if not figure.startswith("pypz"))
        if len(found) == 2:
            return found


if __name__ == "__main__":
    command, transport, address, channel, writer = sys.argv[1:]
    broker = {"kafka": Kafka, "amqp": RabbitMq}[transport](address, channel)
    if command == "objects":
        print("\n".join(broker.objects()))
    elif command == "leftovers":
        leftovers(broker, channel, writer)
    elif command == "words":
        words(broker, channel, writer)
    elif command == "figures":
        print(json.dumps(figures(broker)))
    else:
        hostile(broker, channel, writer)
