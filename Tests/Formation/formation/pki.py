"""Keys and certificates of a cluster, from openssl."""

from __future__ import annotations

from pathlib import Path

from harness.process import run


class Authority:
    """A certificate authority in a folder of its own."""

    def __init__(self, folder: Path, name: str):
        folder.mkdir()
        self.folder = folder
        self.certificate = folder / "ca.crt"
        self._key = folder / "ca.key"
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-subj", f"/CN={name}", "-days", "2", "-keyout", self._key, "-out", self.certificate])

    def issue(self, name: str, subject: str, extensions: str) -> tuple[Path, Path]:
        """A certificate with its key."""
        key, request, certificate = (self.folder / f"{name}.{suffix}" for suffix in ("key", "csr", "crt"))
        options = self.folder / f"{name}.ext"
        options.write_text(extensions)
        run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
             "-keyout", key, "-out", request])
        run(["openssl", "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key,
             "-CAcreateserial", "-days", "2", "-extfile", options, "-out", certificate])
        return certificate, key

    def issue_server(self, name: str, *addresses: str) -> tuple[Path, Path]:
        names = ",".join(f"IP:{address}" for address in addresses)
        return self.issue(name, f"/CN={name}", f"subjectAltName={names}\nextendedKeyUsage=serverAuth\n")

    def issue_client(self, name: str, organisation: str = "") -> tuple[Path, Path]:
        subject = f"/O={organisation}/CN={name}" if organisation else f"/CN={name}"
        return self.issue(name, subject, "extendedKeyUsage=clientAuth\n")


def make_signing_key(folder: Path) -> tuple[Path, Path]:
    """The key pair that signs tokens of service accounts."""
    private, public = folder / "accounts.key", folder / "accounts.pub"
    run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", private])
    run(["openssl", "pkey", "-in", private, "-pubout", "-out", public])
    return private, public
