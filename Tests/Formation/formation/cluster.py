"""A control plane: etcd and kube-apiserver, with TLS, tokens of service accounts, and RBAC."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from pathlib import Path

from harness.network import Host, Network
from harness.process import Process, eventually

from .pki import Authority, make_signing_key

ADDRESS = "10.1.0.250"
PORT = 6443


@dataclass(frozen=True)
class Answer:
    status: int
    body: dict


class Cluster:
    """A control plane on a host of a network."""

    def __init__(self, network: Network, directory: Path, apiserver: Path):
        self.directory = directory
        self.host: Host = network.add_host("api", ADDRESS)
        self.authority = Authority(directory / "pki", "formation")
        self._apiserver = apiserver
        self._server = self.authority.issue_server("apiserver", ADDRESS)
        self._signing = make_signing_key(directory)
        #: The certificate and key of the cluster's administrator.
        self.admin = self.authority.issue_client("admin", "system:masters")
        self._admin = ssl.create_default_context(cafile=str(self.authority.certificate))
        self._admin.load_cert_chain(*map(str, self.admin))
        self._anonymous = ssl.create_default_context(cafile=str(self.authority.certificate))
        self.etcd: Process | None = None
        self.api: Process | None = None

    def start(self) -> None:
        self.etcd = Process("etcd", self.host.command([
            "etcd", "--data-dir", self.directory / "etcd", "--listen-client-urls", "http://127.0.0.1:2379",
            "--advertise-client-urls", "http://127.0.0.1:2379", "--listen-peer-urls", "http://127.0.0.1:2380",
            "--unsafe-no-fsync",
        ]), self.directory / "etcd.log")
        self.start_api()

    def start_api(self) -> None:
        certificate, key = self._server
        private, public = self._signing
        self.api = Process("kube-apiserver", self.host.command([
            self._apiserver, "--etcd-servers=http://127.0.0.1:2379", f"--secure-port={PORT}",
            f"--bind-address={ADDRESS}", f"--advertise-address={ADDRESS}",
            f"--tls-cert-file={certificate}", f"--tls-private-key-file={key}",
            f"--client-ca-file={self.authority.certificate}", "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={private}", f"--service-account-key-file={public}",
            "--service-cluster-ip-range=10.2.0.0/24",
        ]), self.directory / "apiserver.log")
        eventually(self._is_ready, "the API server is ready", timeout=90, interval=0.3)

    def close(self) -> None:
        for process in (self.api, self.etcd):
            if process:
                process.stop()

    def request(self, method: str, path: str, body: dict | None = None, token: str | None = None) -> Answer:
        """Sends a request to the API server, as its administrator or with a token."""
        context = self._anonymous if token else self._admin
        connection = http.client.HTTPSConnection(ADDRESS, PORT, timeout=10)
        plain = self.host.connect(ADDRESS, PORT, timeout=10)
        try:
            connection.sock = context.wrap_socket(plain, server_hostname=ADDRESS)
            headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            content = response.read()
            try:
                return Answer(response.status, json.loads(content))
            except ValueError:
                return Answer(response.status, {"text": content.decode(errors="replace")})
        finally:
            connection.close()
            plain.close()

    def create(self, document: dict) -> None:
        """Creates an object of one of the kinds of the tests and the chart."""
        answer = self.request("POST", collection(document), document)
        assert answer.status == 201, answer

    def try_to_create(self, document: dict) -> Answer:
        """The API server's answer to an object and the resulting object, without storing it."""
        return self.request("POST", f"{collection(document)}?dryRun=All", document)

    def names(self, namespace: str, path: str) -> list[str]:
        """The names of the objects in a namespace, as in `names("x", "apps/v1/daemonsets")`."""
        root, _, resource = path.rpartition("/")
        answer = self.request("GET", f"/{'apis' if '/' in root else 'api'}/{root}/namespaces/{namespace}/{resource}")
        assert answer.status == 200, answer
        return [item["metadata"]["name"] for item in answer.body["items"]]

    def create_namespace(self, name: str) -> None:
        self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def token(self, namespace: str, account: str, secret: str | None = None) -> str:
        """A token for a service account. With a secret it is valid while the secret exists."""
        spec: dict = {"expirationSeconds": 3600, "audiences": []}
        if secret:
            self.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret, "namespace": namespace}})
            spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Secret", "name": secret}
        answer = self.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token", {
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})
        assert answer.status == 201, answer
        return answer.body["status"]["token"]

    def lease(self, namespace: str, name: str = "spegel-leader-election") -> dict | None:
        """The spec of the Lease, or None without a Lease."""
        answer = self.request("GET", lease_path(namespace, name))
        if answer.status == 404:
            return None
        assert answer.status == 200, answer
        return answer.body["spec"]

    def _is_ready(self) -> bool:
        if not self.api.is_running:
            raise AssertionError(f"kube-apiserver ended with {self.api.exit_code}")
        try:
            return self.request("GET", "/readyz").status == 200
        except OSError:
            return False


def collection(document: dict) -> str:
    """The path of the objects of the same kind in the same namespace."""
    group, kind, namespace = document["apiVersion"], document["kind"].lower(), document["metadata"].get("namespace")
    root = f"/apis/{group}" if "/" in group else f"/api/{group}"
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{scope}/{kind[:-1]}ies" if kind.endswith("cy") else f"{root}{scope}/{kind}s"


def lease_path(namespace: str, name: str = "") -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}".rstrip("/")
