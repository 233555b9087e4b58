"""The Helm chart as rendered by Helm."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml
from helm_python import Chart

from .cluster import Cluster

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts/spegel"


@cache
def load() -> Chart:
    return Chart.load(str(CHART))


def render(values: dict | None = None, name: str = "spegel", namespace: str = "spegel") -> list[dict]:
    """All objects of the chart including its hooks, in the order of Helm's files."""
    rendered = load().render(values or {}, name=name, namespace=namespace)
    manifests = [content for path, content in sorted(rendered.items()) if path.endswith(".yaml")]
    return [document for manifest in manifests for document in yaml.safe_load_all(manifest) if document]


def find(documents: list[dict], kind: str, name: str) -> dict:
    """The only object of this kind and name."""
    [found] = [each for each in documents if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def containers(documents: list[dict]) -> list[tuple[str, dict]]:
    """All containers of this program, each with the name of its object and its own."""
    found = []
    for document in documents:
        if document["kind"] not in ("DaemonSet", "Pod"):
            continue
        pod = document["spec"]["template"]["spec"] if document["kind"] == "DaemonSet" else document["spec"]
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            if "args" in container:
                found.append((f"{document['metadata']['name']}/{container['name']}", container))
    return found


def rights(namespace: str) -> list[dict]:
    """The service account of the nodes with its rights."""
    kinds = ("ServiceAccount", "Role", "RoleBinding")
    documents = render({"spegel": {"bootstrapKind": "kubernetes"}}, namespace=namespace)
    return [document for document in documents if document["kind"] in kinds]


def install(cluster: Cluster, namespace: str, kinds: tuple[str, ...] = ("ServiceAccount", "Role", "RoleBinding")) -> None:
    for document in rights(namespace):
        if document["kind"] in kinds:
            cluster.create(document)
