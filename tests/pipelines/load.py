"""Loads a pipeline file with genuine pypz-python, says what is in it, and writes it down again."""

import json
import sys

import avro.schema
import yaml
from pypz.core.specs.dtos import PipelineInstanceDTO
from pypz.core.specs.pipeline import Pipeline
from pypz.core.specs.plugin import InputPortPlugin, PortPlugin
from pypz.core.specs.utils import Internals

INTERNAL = ("replicationFactor", "operatorImageName", "channelLocation")


def port(instance):
    schema = instance.get_schema()
    is_input = isinstance(instance, InputPortPlugin)
    connected = instance.get_connected_ports() if is_input else []
    names = [f"{other.get_context().get_simple_name()}.{other.get_simple_name()}" for other in connected]
    return {
        "class": type(instance).__name__,
        "groupMode": instance.is_in_group_mode() if is_input else None,
        "schema": None if schema is None else avro.schema.parse(schema).name,
        "from": sorted(names),
    }


def operator(instance):
    nested = Internals(instance).nested_instances
    parameters = Internals(instance).parameters
    return {
        "class": f"{type(instance).__module__}.{type(instance).__qualname__}",
        "mocked": getattr(type(instance), "mocked", False),
        "groupSize": instance.get_group_size(),
        "parameters": {name: value for name, value in parameters.items() if name not in INTERNAL},
        "ports": {name: port(inner) for name, inner in nested.items() if isinstance(inner, PortPlugin)},
    }


with open(sys.argv[1]) as file:
    pipeline = Pipeline.create_from_dto(PipelineInstanceDTO(**yaml.safe_load(file)))
operators = Internals(pipeline).nested_instances.items()
print(json.dumps({name: operator(instance) for name, instance in operators if instance.is_principal()}))
missing = pipeline.get_missing_required_parameters()
if any(name.count(".") == 1 for name in missing):
    sys.exit(f"missing: {missing}")
with open(sys.argv[2], "w") as file:
    file.write(str(pipeline))
