"""Asks a server how it is, for container health checks: ``python -m continuity.rpc.probe ADDRESS``."""

from __future__ import annotations

import argparse
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

DEFAULT_TIMEOUT_S = 3.0


def health_of(address: str, name: str = "", timeout_s: float = DEFAULT_TIMEOUT_S) -> str:
    """Return the health of a name (all of the server: ""), as ``SERVING``; where none is told, gRPC's reason."""
    with grpc.insecure_channel(address) as channel:
        try:
            check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]  # not in the stubs
            answer = check(health_pb2.HealthCheckRequest(service=name), timeout=timeout_s)
        except grpc.RpcError as error:
            return str(error.code().name)
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


def main() -> int:
    """Say how the server is; return 0 when it is serving."""
    parser = argparse.ArgumentParser(prog="continuity.rpc.probe", description=__doc__)
    parser.add_argument("address", help="host:port")
    parser.add_argument("--name", default="", help="a service or something that it depends on; default: the server")
    parser.add_argument("--timeout-s", type=float, default=DEFAULT_TIMEOUT_S)
    given = parser.parse_args()
    health = health_of(given.address, given.name, given.timeout_s)
    sys.stdout.write(f"{health}\n")
    return 0 if health == "SERVING" else 1


if __name__ == "__main__":
    sys.exit(main())
