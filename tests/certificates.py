"""Certificates for tests: an authority, and leaves of any names and dates.

    authority = certificates.Authority(directory)
    leaf = authority.issue("localhost", "127.0.0.1", days=30)        # leaf.certificate, leaf.key: paths
    old = authority.issue("localhost", days=-1)                      # expired yesterday
"""

import dataclasses
import datetime
import ipaddress
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclasses.dataclass
class Leaf:
    certificate: str
    key: str


class Authority:
    """`certificate` is the path of its own certificate, what a client trusts."""

    def __init__(self, directory, name="Test Authority"):
        self.directory, self.name, self.count = str(directory), _name(name), 0
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.certificate = f"{self.directory}/{name.lower().replace(' ', '-')}.pem"
        built = _builder(self.name, self.name, self.private, days=365)
        built = built.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        _write(self.certificate, self._signed(built))

    def issue(self, *names, days=30, not_before_days=-60):
        """A leaf for these names and addresses, valid from `not_before_days` to `days` from now."""
        self.count += 1
        key = ec.generate_private_key(ec.SECP256R1())
        built = _builder(_name(names[0]), self.name, key, days, not_before_days)
        alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
        built = built.add_extension(alternatives, critical=False)
        leaf = Leaf(f"{self.directory}/leaf-{self.count}.pem", f"{self.directory}/leaf-{self.count}.key")
        _write(leaf.certificate, self._signed(built))
        _write(leaf.key, key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                           serialization.NoEncryption()))
        return leaf

    def _signed(self, builder):
        return builder.sign(self.private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _builder(subject, issuer, key, days, not_before_days=-60):
    now = datetime.datetime.utcnow()
    return (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=not_before_days))
            .not_valid_after(now + datetime.timedelta(days=days)))


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(path, data):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
