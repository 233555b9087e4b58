"""Helm with a cluster, in a process of its own, because Helm must run in the network of the cluster.

    python -m formation.helm install|upgrade|uninstall NAMESPACE KUBECONFIG VALUES TIMEOUT
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from .chart import CHART
from .cluster import ADDRESS, PORT, Cluster

_TESTS = Path(__file__).parents[1]
RELEASE = "spegel"


def start(
    cluster: Cluster, directory: Path, action: str, namespace: str, values: dict | None = None, timeout: int = 120,
) -> subprocess.Popen:
    """Starts to install, upgrade or uninstall the release; prints errors. Helm gives up after the timeout in seconds."""
    file = directory / "kubeconfig.json"
    certificate, key = map(str, cluster.admin)
    file.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "lab",
        "clusters": [{"name": "lab", "cluster": {
            "server": f"https://{ADDRESS}:{PORT}", "certificate-authority": str(cluster.authority.certificate)}}],
        "users": [{"name": "admin", "user": {"client-certificate": certificate, "client-key": key}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "admin"}}],
    }))
    command = cluster.host.command([
        sys.executable, "-m", "formation.helm", action, namespace, str(file), json.dumps(values or {}),
        str(timeout)])
    paths = os.pathsep.join(map(str, (_TESTS, _TESTS.parent / "EndToEnd")))
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONPATH": paths})


def finish(process: subprocess.Popen, timeout: float = 130.0, fails: bool = False) -> None:
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        raise AssertionError(f"helm timed out: {output}") from None
    assert (process.returncode != 0) == fails, output


def _main(action: str, namespace: str, kubeconfig: str, values: str, timeout: str) -> None:
    from helm_python import Config

    with Config(kubeconfig_path=kubeconfig, namespace=namespace) as config:
        if action == "install":
            config.install(str(CHART), RELEASE, json.loads(values), namespace=namespace, timeout=int(timeout))
        elif action == "upgrade":
            config.upgrade(str(CHART), RELEASE, json.loads(values), namespace=namespace, timeout=int(timeout))
        else:
            config.uninstall(RELEASE, timeout=int(timeout))


if __name__ == "__main__":
    _main(*sys.argv[1:])
