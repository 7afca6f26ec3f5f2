"""A certificate authority of one's own, a server's certificate and a client's."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.local.cache import SetUpFailed

DAYS = 3_650
SERVER_NAMES = "subjectAltName=IP:127.0.0.1,DNS:localhost"


@dataclass(frozen=True)
class Certificates:
    """PEM files in ``folder``; a ``…_pair`` holds the key and the certificate."""

    folder: Path

    @property
    def authority(self) -> Path:
        """The authority's certificate, which clients and server trust."""
        return self.folder / "authority.crt"

    @property
    def client_certificate(self) -> Path:
        """The certificate that a client shows."""
        return self.folder / "client.crt"

    @property
    def client_key(self) -> Path:
        """The key of the client's certificate."""
        return self.folder / "client.key"

    @property
    def server_pair(self) -> Path:
        """The server's key and certificate."""
        return self.folder / "server.pem"

    def make(self) -> None:
        """Make all files unless they are there."""
        if self.server_pair.exists():
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._self_signed("authority")
        self._signed("client", "extendedKeyUsage=clientAuth")
        self._signed("server", SERVER_NAMES)
        pair = self.folder / "server.pem.new"
        pair.write_text((self.folder / "server.key").read_text() + (self.folder / "server.crt").read_text())
        pair.replace(self.server_pair)

    def _self_signed(self, name: str) -> None:
        self._request(name, "-x509", "-days", str(DAYS), "-out", f"{name}.crt")

    def _signed(self, name: str, extension: str) -> None:
        self._request(
            *(
                name,
                "-x509",
                "-days",
                str(DAYS),
                "-out",
                f"{name}.crt",
                "-CA",
                "authority.crt",
                "-CAkey",
                "authority.key",
            ),
            *("-addext", extension, "-addext", "basicConstraints=critical,CA:false"),
        )

    def _request(self, name: str, *more: str) -> None:
        if not shutil.which("openssl"):
            raise SetUpFailed("set-up: certificates are made with openssl, which this system lacks")
        key = ("-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key")
        command = ["openssl", "req", *key, "-subj", f"/CN=continuity {name}", *more]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SetUpFailed(f"set-up: openssl could not make the certificate of the {name}: {done.stderr}")
