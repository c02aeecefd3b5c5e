"""A certificate authority for the tests, and its certificates."""

import datetime
import ipaddress
import os
import pathlib
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Authority:
    """Issues certificates into a folder, and gives clients that trust it."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name("authority of the tests")
        self.certificate = self._sign(self.name, self.key, [], datetime.timedelta(0), datetime.timedelta(days=2), True)
        self.file = folder / "ca.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(self, subject, key, names, begins, ends, is_authority) -> x509.Certificate:
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1) + begins).not_valid_after(now + ends)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(
        self, file: str, *names: str, begins=datetime.timedelta(0), ends=datetime.timedelta(days=1), passphrase: str | None = None,
        key=None,
    ) -> int:
        """Writes FILE.pem and FILE.key atomically, so that readers never see half a file. Returns the serial number."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(_name(names[0]), key, names, begins, ends, False)
        secret = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
        self._write(f"{file}.pem", certificate.public_bytes(serialization.Encoding.PEM))
        self._write(f"{file}.key", key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret))
        return certificate.serial_number

    def _write(self, name: str, data: bytes) -> None:
        draft = self.folder / f"{name}.new"
        draft.write_bytes(data)
        draft.chmod(0o600)
        os.replace(draft, self.folder / name)

    def client(self, **versions) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.file)
        for key, value in versions.items():
            setattr(context, key, value)
        return context

    def server(self, file: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{file}.pem", self.folder / f"{file}.key")
        return context
