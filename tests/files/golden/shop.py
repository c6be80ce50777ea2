"""A pipeline of pypz-python 0.10.2 whose description is a golden file: writes shop.yaml and shop.json beside it."""

import json

from pypz.core.specs.pipeline import Pipeline
from pypz.core.specs.operator import Operator
from pypz.core.commons.parameters import RequiredParameter, OptionalParameter
from pypz.core.commons.utils import convert_to_dict
from pypz.core.specs.misc import BlankServicePlugin
from pypz.plugins.kafka_io.ports import KafkaChannelInputPort, KafkaChannelOutputPort

class Base(Operator):
    def _on_init(self): return True
    def _on_running(self): return True
    def _on_shutdown(self): return True
    def _on_interrupt(self, system_signal=None): pass
    def _on_error(self, source, exception): pass

class Orders(Base):
    record_count = RequiredParameter(int, alt_name="recordCount", description="How many orders to make")
    currency = OptionalParameter(str)
    def __init__(self, name=None, *a, **k):
        super().__init__(name, *a, **k)
        self.orders = KafkaChannelOutputPort(schema='{"type":"string"}')
        self.record_count = None
        self.currency = "EUR"

class Cache(BlankServicePlugin):
    size = OptionalParameter(int)
    def __init__(self, name=None, *a, **k):
        super().__init__(name, *a, **k)
        self.size = 16

class Prices(Base):
    rates = OptionalParameter(dict)
    def __init__(self, name=None, *a, **k):
        super().__init__(name, *a, **k)
        self.orders = KafkaChannelInputPort(schema='{"type":"string"}')
        self.priced = KafkaChannelOutputPort(schema='{"type":"string"}')
        self.cache = Cache()
        self.warmer = Cache()
        self.warmer.depends_on(self.cache)
        self.rates = {"USD": 1.1, "JPY": 160}

class Totals(Base):
    def __init__(self, name=None, *a, **k):
        super().__init__(name, *a, **k)
        self.orders = KafkaChannelInputPort(schema='{"type":"string"}')
        self.priced = KafkaChannelInputPort(schema='{"type":"string"}', group_mode=True)

class Shop(Pipeline):
    def __init__(self, name=None, *a, **k):
        super().__init__(name, *a, **k)
        self.orders = Orders()
        self.prices = Prices()
        self.totals = Totals()
        self.prices.orders.connect(self.orders.orders)
        self.totals.orders.connect(self.orders.orders)
        self.totals.priced.connect(self.prices.priced)
        self.totals.depends_on(self.prices)

def written():
    pipeline = Shop("shop")
    pipeline.set_parameter(">>channelLocation", "localhost:9092")
    pipeline.set_parameter("#region", "north")
    pipeline.orders.set_parameter("recordCount", 30)
    pipeline.prices.set_parameter("replicationFactor", 2)
    pipeline.prices.set_parameter("operatorImageName", "shop/prices:1.2")
    return pipeline


if __name__ == "__main__":
    # Of the module, not of the script: its name is in the files.
    import shop

    pipeline = shop.written()
    with open("shop.yaml", "w") as file:
        file.write(str(pipeline))
    with open("shop.json", "w") as file:
        json.dump(convert_to_dict(pipeline.get_dto()), file, indent=1)
