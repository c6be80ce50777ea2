"""The flights job's `clean` in pypz-python: makes flights of lines."""

from mixed_python import Base, Input, Output

LINE = """{"type": "record", "name": "Line", "fields": [
  {"name": "file", "type": "string"},
  {"name": "number", "type": "long"},
  {"name": "text", "type": "string"}]}"""
FLIGHT = """{"type": "record", "name": "Flight", "fields": [
  {"name": "carrier", "type": "string"},
  {"name": "origin", "type": "string"},
  {"name": "date", "type": "string"},
  {"name": "cancelled", "type": "boolean"},
  {"name": "departure_delay", "type": ["null", "int"]},
  {"name": "arrival_delay", "type": ["null", "int"]}]}"""


def optional(value):
    return None if value in ("", "NA") else int(value)


def flight(text):
    row = text.split(",")
    year, month, day = (int(value) for value in row[:3])
    return {
        "carrier": row[9],
        "origin": row[12],
        "date": f"{year:04}-{month:02}-{day:02}",
        "cancelled": optional(row[3]) is None,
        "departure_delay": optional(row[5]),
        "arrival_delay": optional(row[8]),
    }


class Clean(Base):
    def __init__(self, name=None, *args, **kwargs):
        super().__init__(name, *args, **kwargs)
        self.lines = Input(schema=LINE)
        self.flights = Output(schema=FLIGHT)

    def _on_running(self):
        flights = [flight(line["text"]) for line in self.lines.retrieve() or []]
        if flights:
            self.flights.send(flights)
