"""Over TLS: the certificate has to be that of the name, whatever number is connected to."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from permafrost.media_store.answers import Answer, Outcome, Wanted
from permafrost.media_store.connecting import CheckedBackend, CheckedTransport
from permafrost.media_store.fetching import Fetching
from permafrost.media_store.parts import Parts
from permafrost.media_store.rates import Rate
from tests.fixtures.cdn import Cdn, Handler, Server, redirect

PNG = "a/b.png"


def _certificate(folder: Path, name: str) -> Path:
    """Write a certificate of that name, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    file.write_bytes(certificate.public_bytes(pem) + secret)
    return file


@pytest.fixture
def encrypted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cdn]:
    """A web cache that speaks TLS as files.example."""
    certificate = _certificate(tmp_path, "files.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.cdn = Cdn({PNG: b"picture"}, port=server.server_address[1])
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server.cdn
    server.shutdown()
    server.server_close()


@pytest.fixture
def fetch(encrypted: Cdn, tmp_path: Path) -> Callable[[str], Answer]:
    """A function that fetches the file from a machine of that name; all names mean this machine."""
    for name in ("parts", "media"):
        (tmp_path / name).mkdir()

    def fetched(host: str) -> Answer:
        backend = CheckedBackend(allows_private=True, lookup=lambda _host, _port: ["127.0.0.1"])
        fetching = Fetching(
            f"https://{host}:{encrypted.port}/media",
            Parts(tmp_path / "parts", tmp_path / "media"),
            CheckedTransport(backend, 1),
            Rate(100),
            Rate(1e9),
            allows_http=False,
            stopped=threading.Event(),
        )
        try:
            return fetching.fetch(Wanted(PNG, None, "one.part"))
        finally:
            fetching.close()

    return fetched


def test_the_certificate_is_that_of_the_name(fetch: Callable[[str], Answer]) -> None:
    """A name is looked up and its number connected to, and the certificate has to be of the name."""
    assert fetch("files.example").outcome is Outcome.FETCHED
    wrong = fetch("other.example")
    assert wrong.outcome is Outcome.FAILED
    assert "certificate" in wrong.reason.lower()


def test_no_redirect_leaves_the_encryption(encrypted: Cdn, fetch: Callable[[str], Answer]) -> None:
    """A redirect to plain http is refused."""
    encrypted.faults[PNG] = redirect("http://files.example/b.png")
    assert fetch("files.example").outcome is Outcome.REFUSED
