"""The objects of the Helm chart that concern the API server, as Helm renders them."""

from __future__ import annotations

from pathlib import Path

import yaml
from helm_python import Chart

from .cluster import Cluster

CHART = Path(__file__).parents[3] / "charts/spegel"


def rights(namespace: str) -> list[dict]:
    """The service account of the nodes and what it may do."""
    rendered = Chart.load(str(CHART)).render({}, name="spegel", namespace=namespace)
    return [document for document in yaml.safe_load_all(rendered["spegel/templates/rbac.yaml"]) if document]


def install(cluster: Cluster, namespace: str, kinds: tuple[str, ...] = ("ServiceAccount", "Role", "RoleBinding")) -> None:
    for document in rights(namespace):
        if document["kind"] in kinds:
            cluster.create(document)
