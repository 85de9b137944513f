"""Reads risks, changes and tickets from Kafka with what schemas/ says, and nothing else of Tributary.

usage: consumer.py BROKERS PREFIX SCHEMAS [REGISTRY]
       SCHEMAS is the directory that holds asyncapi.yaml and avro/; REGISTRY the address of a schema registry, where there is one
needs: pip install 'confluent-kafka[avro,schemaregistry]' pyyaml

Reads every topic to its end and prints one JSON object a topic: how many records there were, how many keys are live, and the
latest value of each. Fails with a sentence when a record is not as the documents say.
"""

import io
import json
import pathlib
import sys

import fastavro
import yaml
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

TOPICS = ["risks", "changes", "tickets"]
MARKER = b"\xc3\x01"


class Schemas:
    """The Avro schemas that are shipped, by the fingerprint that begins a record."""

    def __init__(self, directory):
        self.by_fingerprint = {}
        for file in sorted((directory / "avro").rglob("*.avsc")):
            schema = json.loads(file.read_text())
            canonical = fastavro.schema.to_parsing_canonical_form(schema)
            # fastavro prints the fingerprint as the bytes stand on the wire: little-endian.
            fingerprint = bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))
            self.by_fingerprint[fingerprint] = fastavro.parse_schema(schema)

    def decode(self, topic, value):
        if value[:2] != MARKER:
            raise ValueError(f"no single-object header: {value[:2].hex()}")
        schema = self.by_fingerprint.get(value[2:10])
        if schema is None:
            raise ValueError(f"fingerprint {value[2:10].hex()} is of no schema here: written by another release")
        body = io.BytesIO(value[10:])
        record = fastavro.schemaless_reader(body, schema)
        if body.read(1):
            raise ValueError("bytes follow the record")
        return record


class Registry:
    """The Avro schemas of a schema registry, by the id that begins a record; Confluent's own deserializer."""

    def __init__(self, url):
        from confluent_kafka.schema_registry import SchemaRegistryClient
        from confluent_kafka.schema_registry.avro import AvroDeserializer

        self.deserializer = AvroDeserializer(SchemaRegistryClient({"url": url}))

    def decode(self, topic, value):
        from confluent_kafka.serialization import MessageField, SerializationContext

        return self.deserializer(value, SerializationContext(topic, MessageField.VALUE))


def read(brokers, topic):
    """Every committed record of a topic: key, value and headers, to the ends that it has now."""
    consumer = Consumer({
        "bootstrap.servers": brokers,
        "group.id": "example-consumer",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
    })
    try:
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
        open_partitions = set(partitions)
        while open_partitions:
            message = consumer.poll(30)
            if message is None:
                raise TimeoutError(f"{topic} was not read to its end within 30 s")
            if message.error():
                if message.error().code() != KafkaError._PARTITION_EOF:
                    raise RuntimeError(message.error())
                open_partitions.discard(message.partition())
            else:
                yield message.key().decode(), message.value(), dict(message.headers() or [])
    finally:
        consumer.close()


def check_ticket(ticket, headers, message):
    """A ticket is as the document says: headers, and required fields."""
    for name in message["headers"]["required"]:
        if name not in headers:
            raise ValueError(f"a ticket lacks the header {name}")
    for name in message["payload"]["required"]:
        if name not in ticket:
            raise ValueError(f"a ticket lacks the field {name}")
    if headers["ce_id"].decode() != f"{ticket['key']}:{ticket['revision']}":
        raise ValueError(f"ce_id {headers['ce_id']} is not the ticket's key and revision")


def check_chain(changes):
    """Within a (risk, generation), revisions grow by one and each names the hash of the one before."""
    by_risk = {}
    for change in changes:
        by_risk.setdefault((change["risk"], change["generation"]), []).append(change)
    for key, chain in by_risk.items():
        chain.sort(key=lambda change: change["revision"])
        previous = ""
        for place, change in enumerate(chain, start=1):
            if change["revision"] != place or (place > 1 and change["previous_hash"] != previous):
                raise ValueError(f"the chain of {key} is broken at revision {change['revision']}")
            previous = change["hash"]
    return len(by_risk)


def main():
    brokers, prefix, directory = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    document = yaml.safe_load((directory / "asyncapi.yaml").read_text())
    schemas = Registry(sys.argv[4]) if len(sys.argv) > 4 else Schemas(directory)
    for name in TOPICS:
        channel = document["channels"][name]
        is_compacted = "compact" in channel["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"]
        (reference,) = channel["messages"].values()
        message = document["components"]["messages"][reference["$ref"].rsplit("/", 1)[1]]
        is_avro = message["contentType"] == "application/avro"
        values, latest = [], {}
        topic = prefix + channel["address"]
        for key, value, headers in read(brokers, topic):
            if value is None:
                latest.pop(key, None)
                continue
            decoded = schemas.decode(topic, value) if is_avro else json.loads(value)
            if name == "tickets":
                check_ticket(decoded, headers, message)
            values.append(decoded)
            latest[key] = decoded
        result = {"topic": name, "records": len(values)}
        if is_compacted:
            result["live"] = {key: latest[key] for key in sorted(latest)}
        if name == "changes":
            result["chains"] = check_chain(values)
        print(json.dumps(result, default=str))


main()
