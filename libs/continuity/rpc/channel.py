"""Channels to our services, with the limits and keepalives that both sides agree on."""

from __future__ import annotations

import grpc

from continuity.telemetry.rpc import client_interceptors

MAX_MESSAGE_BYTES = 32 * 1024 * 1024


def open_channel(address: str) -> grpc.aio.Channel:
    """Return a channel to ``address``; it connects when it is first used."""
    return grpc.aio.insecure_channel(
        address,
        options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
        ],
        interceptors=client_interceptors(),
    )
