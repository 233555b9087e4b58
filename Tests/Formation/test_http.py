"""Nodes that learn of each other over HTTP."""

from __future__ import annotations

import json
import sys

from conftest import Lab
from formation.node import wait_until_joined, wait_until_sharing
from formation.pki import Authority
from harness.process import Process, eventually

#: An HTTPS server that wants a client certificate and serves one file at any path.
_SERVER = """
import http.server, ssl, sys
address, certificate, key, authority, file = sys.argv[1:]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = open(file, "rb").read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.ThreadingHTTPServer((address, 8443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
context.load_verify_locations(authority)
context.verify_mode = ssl.CERT_REQUIRED
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def test_a_node_tells_another(bare_lab: Lab):
    one = bare_lab.node(bootstrap_kind="http", http_bootstrap_addr=":5002")
    two = bare_lab.node(bootstrap_kind="http", http_bootstrap_peer=f"http://{one.address}:5002/id")
    # The second starts first, and finds no peer at first.
    two.start()
    eventually(lambda: "cannot get peers" in two.readiness(), "it says why it is alone", timeout=20)
    one.start()
    wait_until_joined([one, two])
    wait_until_sharing([one, two])


def test_a_url_with_certificates_on_both_sides(bare_lab: Lab):
    one = bare_lab.node(http_bootstrap_addr=":5002")
    one.start()
    document = eventually(lambda: _document(one), "/id is served", timeout=20)
    [peer] = json.loads(document)
    assert f"/ip4/{one.address}/tcp/5001" in peer["Addrs"] and peer["ID"].startswith("12D3Koo")
    # v0.7.4 of Spegel writes one peer without the array.
    file = bare_lab.directory / "peer.json"
    file.write_text(json.dumps(peer))
    authority = Authority(bare_lab.directory / "pki", "http")
    server_host = bare_lab.host("web")
    certificate, key = authority.issue_server("web", server_host.address)
    log = bare_lab.directory / "web.log"
    server = Process("HTTPS server", server_host.command([
        sys.executable, "-c", _SERVER, server_host.address, certificate, key, authority.certificate, file]), log)
    try:
        client = authority.issue_client("node")
        url = f"https://{server_host.address}:8443/peers"
        two = bare_lab.node(
            http_bootstrap_peer=url, http_bootstrap_ca=str(authority.certificate),
            http_bootstrap_cert=str(client[0]), http_bootstrap_key=str(client[1]))
        stranger = bare_lab.node(http_bootstrap_peer=url, http_bootstrap_ca=str(authority.certificate))
        two.start()
        stranger.start()
        wait_until_joined([one, two])
        eventually(lambda: "cannot get peers" in stranger.readiness(), "no certificate, no peers", timeout=20)
        assert one.peers() == 1
    finally:
        server.stop()


def _document(node) -> bytes | None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", 5002, timeout=5)
    try:
        connection.sock = node.host.connect("127.0.0.1", 5002)
        connection.request("GET", "/id")
        response = connection.getresponse()
        return response.read() if response.status == 200 else None
    except OSError:
        return None
    finally:
        connection.close()
