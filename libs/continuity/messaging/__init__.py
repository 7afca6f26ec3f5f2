"""Events between services: CloudEvents on Kafka, published from outboxes, consumed idempotently."""
