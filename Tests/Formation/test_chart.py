"""The Helm chart: its rendered objects, and their acceptance by the API server and the program."""

from __future__ import annotations

import base64
import copy
import itertools
import json
import os
import re
import subprocess
from pathlib import Path

import helm_python
import pytest
import yaml

from conftest import Lab
from formation import chart, helm, values_table
from harness.network import Host
from harness.process import Process, eventually, run, tail

_FILES = Path(__file__).parent / "chart"
_FULL = yaml.safe_load((_FILES / "full-values.yaml").read_text())
_OLD = yaml.safe_load((_FILES / "spegel-0.7-values.yaml").read_text())
#: Set to rewrite the files that are compared.
_RENEW = bool(os.environ.get("SPEGEL_RENEW"))

#: The values for the checks of the chart.
_MATRIX = {
    "defaults": {},
    "of Spegel v0.7": _OLD,
    "everything": _FULL,
    "everything that writes on the node": {**_FULL, "spegel": {**_FULL["spegel"], "containerdMirrorAdd": True}},
    "leader election": {
        "spegel": {"bootstrapKind": "kubernetes"}, "networkPolicy": {"enabled": True, "restrictEgress": True}},
    "no host port": {"service": {"registry": {"hostPort": 0}}},
    "a node port": {"service": {"registry": {"nodePort": 30021}}},
    "IPv6": {"service": {"registry": {"ipv6": True}}},
    "through the socket": {"spegel": {"containerdContentPath": "", "containerdSock": "/run/containerd.sock"}},
    "hands off containerd": {"spegel": {"containerdMirrorAdd": False}},
    "open policy": {"networkPolicy": {"enabled": True}},
    "monitoring": {name: {"enabled": True} for name in (
        "serviceMonitor", "prometheusRule", "grafanaDashboard", "verticalPodAutoscaler")},
}


@pytest.fixture(params=_MATRIX)
def values(request: pytest.FixtureRequest) -> dict:
    return _MATRIX[request.param]


def test_lint(values: dict):
    report = helm_python.lint(str(chart.CHART), values, strict=True)
    assert not report["errors"], report
    assert [message for message in report["messages"] if message["severity"] > 1] == []


def test_api_server_accepts_all_objects_unchanged(bare_lab: Lab, values: dict):
    cluster, namespace = bare_lab.cluster, bare_lab.namespace
    _make_default_account(bare_lab)
    documents = chart.render({**values, "namespaceOverride": ""}, namespace=namespace)
    assert len(documents) >= 4
    for document in documents:
        if shape := _CUSTOM.get((document["apiVersion"], document["kind"])):
            assert _unknown(document["spec"], shape, "spec") == []
            continue
        answer = cluster.try_to_create(document)
        assert answer.status == 201, (document["kind"], document["metadata"]["name"], answer)
        if document["kind"] == "ServiceAccount":
            cluster.create(document)
        # The API server drops unknown fields, and so would drop a mistyped one.
        assert set(_dropped(document, answer.body)) <= _NEWER, document["kind"]


def test_program_accepts_its_arguments(values: dict):
    found = chart.containers(chart.render(values))
    assert len(found) == (4 if values.get("spegel", {}).get("containerdMirrorAdd", True) else 1)
    for name, container in found:
        settings = _settings(container)
        assert settings["log-level"] in ("info", "debug", "warning"), name
    typo = copy.deepcopy(found[0][1])
    typo["args"].append("--mirror-targest=http://a")
    with pytest.raises(AssertionError, match="mirror-targest"):
        _settings(typo)


def test_ipv6_addresses_have_brackets():
    _, configuration = chart.containers(chart.render({"service": {"registry": {"ipv6": True}}}))[0]
    assert _settings(configuration)["mirror-targets"] == ["http://[fd00::7]:30020"]
    values = {"service": {"registry": {"ipv6": True, "nodePort": 30021}}}
    _, configuration = chart.containers(chart.render(values))[0]
    assert _settings(configuration)["mirror-targets"] == ["http://[fd00::7]:30020", "http://[fd00::7]:30021"]


@pytest.mark.parametrize(("address", "target"), [
    ("10.2.0.77", "http://10.2.0.77:5000"), ("fd00::77", "http://[fd00::77]:5000")])
def test_address_of_the_service_leads_to_the_own_node(address: str, target: str):
    """Without a host port: unlike `externalTrafficPolicy`, this policy applies to containerd."""
    registry = {"internalTrafficLocal": True, "clusterIP": address, "hostPort": 0}
    documents = chart.render({"service": {"registry": registry}})
    service = chart.find(documents, "Service", "spegel-registry")["spec"]
    assert (service["internalTrafficPolicy"], service["clusterIP"]) == ("Local", address)
    _, configuration = chart.containers(documents)[0]
    assert _settings(configuration)["mirror-targets"] == [target]
    # Without an address containerd asks what it asked before.
    documents = chart.render({"service": {"registry": {"internalTrafficLocal": True}}})
    assert "clusterIP" not in chart.find(documents, "Service", "spegel-registry")["spec"]
    _, configuration = chart.containers(documents)[0]
    assert _settings(configuration)["mirror-targets"] == ["http://192.0.2.7:30020"]


def test_offers_registry_to_pods_only_where_asked_for():
    """Nodes find each other without a Service. Each Service and node port of the registry leads all pods to it."""
    documents = chart.render({})
    services = {
        document["metadata"]["name"]: document["spec"] for document in documents
        # That of the cleanup leads to no node, and is there on uninstall only.
        if document["kind"] == "Service" and document["metadata"]["name"] != "spegel-cleanup"}
    assert set(services) == {"spegel", "spegel-bootstrap"}
    assert not [name for name, spec in services.items() if spec.get("type") in ("NodePort", "LoadBalancer")]
    assert {port["port"] for spec in services.values() for port in spec["ports"]} == {5001, 9090}
    _, configuration = chart.containers(documents)[0]
    assert _settings(configuration)["mirror-targets"] == ["http://192.0.2.7:30020"]

    for registry in ({"nodePort": 30021}, {"hostPort": 0}, {"usePreferSameNodeTrafficDistribution": True}):
        documents = chart.render({"service": {"registry": registry}})
        service = chart.find(documents, "Service", "spegel-registry")["spec"]
        assert service["type"] == "NodePort" and service["ports"][0]["nodePort"] == 30021, registry
        _, configuration = chart.containers(documents)[0]
        assert _settings(configuration)["mirror-targets"][-1] == "http://192.0.2.7:30021", registry


def test_pod_names_its_node():
    """Its data folder, which may be part of the node's image, is recognised by that."""
    [registry] = [container for _, container in chart.containers(chart.render({})) if container["name"] == "registry"]
    assert {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}} in registry["env"]


@pytest.mark.parametrize("host_port", [30020, 0])
def test_preference_for_the_own_node_replaces_the_host_port(host_port: int):
    registry = {"usePreferSameNodeTrafficDistribution": True, "hostPort": host_port}
    documents = chart.render({"service": {"registry": registry}})
    service = chart.find(documents, "Service", "spegel-registry")
    assert (service["spec"]["type"], service["spec"]["trafficDistribution"]) == ("NodePort", "PreferSameNode")
    # Kubernetes would go by the annotation, to any node of the zone.
    assert "service.kubernetes.io/topology-mode" not in service["metadata"].get("annotations", {})
    (_, configuration), (_, node) = chart.containers(documents)[:2]
    assert _settings(configuration)["mirror-targets"] == ["http://192.0.2.7:30021"]
    assert not any("hostPort" in port for port in node["ports"])


def test_probes_use_ports_of_the_program(values: dict):
    """Ports in probes are names of ports of the container, those in Services their numbers."""
    documents = chart.render(values)
    ports = {port["name"] for _, container in chart.containers(documents) for port in container.get("ports", [])}
    numbers = {
        port["containerPort"] for _, container in chart.containers(documents) for port in container.get("ports", [])}
    targets = {port["targetPort"] for each in documents if each["kind"] == "Service" for port in each["spec"]["ports"]}
    assert targets <= numbers, targets - numbers
    used = set()
    for _, container in chart.containers(documents):
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            if probe in container:
                used.add(container[probe]["httpGet"]["port"])
                assert container[probe]["httpGet"]["path"] in ("/livez", "/readyz", "/healthz")
    assert used <= ports, used - ports


def test_default_rendering_matches_snapshot():
    rendered = chart.load().render({}, name="spegel", namespace="spegel")
    text = "".join(
        f"# {path.removeprefix('spegel/')}\n{_tidy(content)}\n"
        for path, content in sorted(rendered.items()) if _tidy(content))
    _compare(_FILES / "default.yaml", text)


def test_table_of_the_readme_matches_values_yaml():
    readme = chart.CHART / "README.md"
    _compare(readme, values_table.with_table(readme.read_text()))


def test_each_value_is_documented_and_in_the_schema():
    defaults = chart.load().values
    paths = [value.path for value in values_table.documented()]
    assert sorted(values_table.leaves(defaults, set(paths))) == sorted(paths)
    schema = chart.load().schema
    for path in paths:
        node = schema
        for key in path.split("."):
            assert key in node.get("properties", {}), f"{path} is not in values.schema.json"
            node = node["properties"][key]


#: Values that hide the effect of another, with the values to set instead.
_HIDING = {
    "image.tag": {"image.digest": ""},
    "service.registry.hostPort": {"service.registry.usePreferSameNodeTrafficDistribution": False},
    "service.registry.topologyAwareHintsEnabled": {"service.registry.usePreferSameNodeTrafficDistribution": False},
    "spegel.persistence.hostPath": {"spegel.persistence.enabled": True},
    "clusterDomain": {"spegel.bootstrapKind": "dns"},
    "nameOverride": {"fullnameOverride": ""},
}


@pytest.mark.parametrize("path", values_table.leaves(_FULL, {value.path for value in values_table.documented()}))
def test_each_value_has_an_effect(path: str):
    """All values differ from their defaults; then this one is reset."""
    base = copy.deepcopy(_FULL)
    if path != "spegel.containerdMirrorAdd":
        base["spegel"]["containerdMirrorAdd"] = True
    for other, value in _HIDING.get(path, {}).items():
        _set(base, other, value)
    changed = copy.deepcopy(base)
    _set(changed, path, values_table.lookup(chart.load().values, path.split(".")))
    assert _rendered(base) != _rendered(changed)


def test_full_values_have_all_values():
    paths = [value.path for value in values_table.documented()]
    assert set(values_table.leaves(_FULL, set(paths))) == set(paths)


_MISTAKES = {
    "typo": ({"spegel": {"mirorredRegistries": []}}, "mirorredRegistries"),
    "typo at the top": ({"tolerances": []}, "tolerances"),
    "old name": ({"spegel": {"registries": ["https://docker.io"]}}, "registries"),
    "number as text": ({"service": {"registry": {"port": "5000"}}}, "/service/registry/port"),
    "port out of range": ({"service": {"router": {"port": 70000}}}, "/service/router/port"),
    "unknown level": ({"spegel": {"logLevel": "LOUD"}}, "/spegel/logLevel"),
    "no URL": ({"spegel": {"mirroredRegistries": ["docker.io"]}}, "/spegel/mirroredRegistries/0"),
    "no time": ({"spegel": {"mirrorResolveTimeout": "20"}}, "/spegel/mirrorResolveTimeout"),
    "relative path": ({"spegel": {"containerdSock": "containerd.sock"}}, "/spegel/containerdSock"),
    "unknown bootstrap": ({"spegel": {"bootstrapKind": "gossip"}}, "/spegel/bootstrapKind"),
    "digest": ({"image": {"digest": "sha256:12"}}, "/image/digest"),
    "no boolean": ({"spegel": {"resolveTags": "yes"}}, "/spegel/resolveTags"),
    "no flag": ({"extraArgs": ["shutdown-grace=3s"]}, "/extraArgs/0"),
    "unknown mode": ({"grafanaDashboard": {"mode": "sidecar"}}, "/grafanaDashboard/mode"),
    "no network": ({"networkPolicy": {"nodeCIDRs": ["10.0.0.1"]}}, "/networkPolicy/nodeCIDRs/0"),
}


#: URLs that the program accepts and refuses; a unit test of the program reads the same file.
_REGISTRIES = json.loads((_FILES / "registries.json").read_text())


def _accepts(values: dict) -> bool:
    try:
        chart.load().render({"spegel": values}, name="spegel", namespace="spegel")
    except helm_python.HelmError as refusal:
        assert "/spegel/" in str(refusal)
        return False
    return True


def test_accepts_the_registries_that_the_program_accepts():
    for registry in _REGISTRIES["accepted"]:
        assert _accepts({"mirroredRegistries": [registry], "additionalMirrorTargets": [registry]}), registry
    for registry in _REGISTRIES["refused"]:
        assert not _accepts({"mirroredRegistries": [registry]}), registry
        assert not _accepts({"additionalMirrorTargets": [registry]}), registry
    for name in _REGISTRIES["others"]:
        assert _accepts({"mirroredRegistries": ["https://docker.io", name]})
        assert not _accepts({"additionalMirrorTargets": [name]})


@pytest.mark.parametrize("mistake", _MISTAKES)
def test_rejects_mistake_in_the_values_by_name(mistake: str):
    values, culprit = _MISTAKES[mistake]
    with pytest.raises(helm_python.HelmError) as refusal:
        chart.load().render(values, name="spegel", namespace="spegel")
    assert culprit in str(refusal.value)


def test_rejects_registry_that_containerd_cannot_reach():
    with pytest.raises(helm_python.HelmError, match="set service.registry.hostPort or service.registry.nodePort"):
        chart.render({"service": {"registry": {"hostPort": 0, "nodePort": 0}}})


def test_versions_match_the_program():
    source = (chart.ROOT / "Sources/spegel/Version.swift").read_text()
    [version] = re.findall(r'static let text = "([^"]+)"', source)
    metadata = chart.load().metadata
    assert (metadata["version"], metadata["appVersion"]) == (version, version)
    assert subprocess.run(
        [os.environ["SPEGEL_BIN"], "version"], capture_output=True, text=True, timeout=15).stdout.split()[-1] == version


def test_values_of_spegel_v0_7_mean_the_same():
    documents = chart.render(_OLD)
    daemonset = chart.find(documents, "DaemonSet", "spegel")
    pod = daemonset["spec"]["template"]["spec"]
    [registry] = pod["containers"]
    [configuration] = pod["initContainers"]
    agent = "/var/lib/rancher/k3s/agent"

    settings = _settings(registry)
    expected = {
        "log-level": "warning", "registry-addr": ":5005", "router-addr": ":5055", "metrics-addr": ":9191",
        "data-dir": "/var/lib/spegel", "containerd-sock": "/run/k3s/containerd/containerd.sock",
        "containerd-namespace": "k8s.io",
        "containerd-content-path": f"{agent}/containerd/io.containerd.content.v1.content",
        "containerd-registry-config-path": f"{agent}/etc/containerd/certs.d",
        "mirrored-registries": ["https://docker.io", "https://ghcr.io"], "registry-filters": [".*:latest$"],
        "mirror-resolve-timeout": "50ms", "mirror-resolve-retries": "5", "resolve-tags": "false",
        "debug-web-enabled": "false", "bootstrap-kind": ["dns"],
        "dns-bootstrap-domain": "spegel-bootstrap.spegel.svc.cluster.internal.",
    }
    assert {name: settings[name] for name in expected} == expected
    settings = _settings(configuration)
    expected = {
        "log-level": "warning", "containerd-registry-config-path": f"{agent}/etc/containerd/certs.d",
        "mirrored-registries": ["https://docker.io", "https://ghcr.io"],
        "mirror-targets": ["http://192.0.2.7:30220", "http://192.0.2.7:30221", "https://cache.example"],
        "resolve-tags": "false", "prepend-existing": "true",
    }
    assert {name: settings[name] for name in expected} == expected

    ports = {port["name"]: (port["containerPort"], port.get("hostPort")) for port in registry["ports"]}
    assert ports == {"registry": (5005, 30220), "router": (5055, None), "metrics": (9191, None)}
    service = chart.find(documents, "Service", "spegel-registry")["spec"]
    assert service["type"] == "NodePort"
    assert [(port["port"], port["nodePort"]) for port in service["ports"]] == [(5005, 30221)]
    bootstrap = chart.find(documents, "Service", "spegel-bootstrap")["spec"]
    assert bootstrap["clusterIP"] == "None" and bootstrap["ports"][0]["port"] == 5055
    assert chart.find(documents, "Service", "spegel")["spec"]["ports"][0]["port"] == 9191

    mounts = {mount["mountPath"]: mount for mount in registry["volumeMounts"]}
    assert mounts[f"{agent}/containerd/io.containerd.content.v1.content"]["readOnly"]
    assert mounts["/run/k3s/containerd"]["readOnly"] and mounts["/etc/secrets/basic-auth"]["readOnly"]
    assert not mounts["/var/lib/spegel"].get("readOnly")
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["basic-auth"]["secret"]["secretName"] == "spegel-auth"
    assert volumes["registry-config"]["hostPath"]["path"] == f"{agent}/etc/containerd/certs.d"
    assert volumes["data"]["hostPath"]["path"] == "/var/lib/spegel"

    assert registry["image"] == "localhost/spegel:v0.7.4" and registry["imagePullPolicy"] == "Always"
    assert registry["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert registry["resources"]["limits"] == {"memory": "128Mi"}
    assert pod["serviceAccountName"] == "mirror" and pod["imagePullSecrets"] == [{"name": "regcred"}]
    assert pod["tolerations"] == _OLD["tolerations"] and pod["priorityClassName"] == "system-node-critical"
    assert daemonset["spec"]["updateStrategy"] == _OLD["updateStrategy"]
    # An upgrade of the release changes the DaemonSet in place: its selector is immutable.
    assert daemonset["spec"]["selector"]["matchLabels"] == {
        "app.kubernetes.io/name": "spegel", "app.kubernetes.io/instance": "spegel",
        "app.kubernetes.io/component": "spegel"}
    assert all(document["metadata"]["labels"]["team"] == "platform" for document in documents)
    assert {"ServiceMonitor", "VerticalPodAutoscaler", "ConfigMap"} <= {document["kind"] for document in documents}


def test_rights_of_pods():
    documents = chart.render()
    for document in documents:
        if document["kind"] not in ("DaemonSet", "Pod"):
            continue
        pod = document["spec"]["template"]["spec"] if document["kind"] == "DaemonSet" else document["spec"]
        assert pod["automountServiceAccountToken"] is False and pod["enableServiceLinks"] is False
        # Only the pod that waits for the cleanup asks the API server.
        tokens = [each for each in pod.get("volumes", []) if "projected" in each]
        assert len(tokens) == (document["kind"] == "Pod")
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            context = container["securityContext"]
            assert context["capabilities"] == {"drop": ["ALL"]} and context["readOnlyRootFilesystem"]
            assert context["allowPrivilegeEscalation"] is False and not context.get("privileged")
            assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]["memory"]
    # Only the init container and the cleanup may write containerd's configuration.
    pod = chart.find(documents, "DaemonSet", "spegel")["spec"]["template"]["spec"]
    writable = {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"/var/lib/spegel"}
    rights = [document for document in documents if document["kind"] in ("Role", "RoleBinding", "ClusterRole")]
    assert [document["metadata"]["name"] for document in rights] == ["spegel-cleanup"] * 2
    assert all("helm.sh/hook" in document["metadata"]["annotations"] for document in rights)
    assert chart.find(documents, "Role", "spegel-cleanup")["rules"] == [
        {"apiGroups": ["apps"], "resources": ["daemonsets"], "resourceNames": ["spegel-cleanup"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]


@pytest.mark.parametrize("context", [{}, {"podSecurityContext": {}, "securityContext": {"runAsUser": 0}}])
def test_wait_pod_passes_the_restricted_standard(context: dict):
    """Whatever the values say for the pods that use the node."""
    spec = chart.find(chart.render(context), "Pod", "spegel-cleanup-wait")["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True and spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert [each.keys() - {"name"} for each in spec["volumes"]] == [{"projected"}]
    for container in spec["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert not {"runAsUser", "runAsNonRoot", "privileged"} & container["securityContext"].keys()
    # The next uninstall finds its name free.
    assert spec["terminationGracePeriodSeconds"] == 0


def test_folders_that_containerd_makes_later_stop_no_pod():
    """The kubelet refuses a pod whose folder is not there. A containerd that has never pulled has no content folder."""
    for document in chart.render():
        if document["kind"] != "DaemonSet":
            continue
        volumes = {each["name"]: each.get("hostPath") for each in document["spec"]["template"]["spec"]["volumes"]}
        # The kubelet needs containerd's socket itself.
        kinds = {name: path["type"] for name, path in volumes.items() if path and name != "containerd-socket"}
        assert set(kinds.values()) == {"DirectoryOrCreate"}, kinds


#: The ports of the pods of Spegel v0.7's chart, with its names.
_PORTS_OF_V0_7 = {"registry": 5000, "router-tcp": 5001, "metrics": 9090}


def test_services_and_policies_lead_to_pods_of_both_charts():
    """During an upgrade from the chart of Spegel v0.7, the same Services select the pods of both."""
    documents = chart.render({"networkPolicy": {"enabled": True, "restrictEgress": True}})
    pod = chart.find(documents, "DaemonSet", "spegel")["spec"]["template"]
    [registry] = pod["spec"]["containers"]
    ours = {port["name"]: port["containerPort"] for port in registry["ports"]}
    # v0.7 labels its pods so.
    selected = {
        "app.kubernetes.io/name": "spegel", "app.kubernetes.io/instance": "spegel",
        "app.kubernetes.io/component": "spegel"}
    assert selected.items() <= pod["metadata"]["labels"].items()
    found = 0
    for document in documents:
        if document["kind"] == "Service" and document["spec"]["selector"] == selected:
            ports = [port["targetPort"] for port in document["spec"]["ports"]]
        elif document["kind"] == "NetworkPolicy":
            assert document["spec"]["podSelector"]["matchLabels"] == selected
            ports = [port["port"] for rule in document["spec"]["ingress"] for port in rule["ports"]]
        else:
            continue
        for port in ports:
            found += 1
            resolved = [names.get(port) if isinstance(port, str) else port for names in (ours, _PORTS_OF_V0_7)]
            assert resolved[0] == resolved[1] and resolved[0] in ours.values(), (document["kind"], port)
    assert found >= 6


def test_pods_may_use_the_api_server_only_for_the_election():
    documents = chart.render({"spegel": {"bootstrapKind": "kubernetes"}})
    pod = chart.find(documents, "DaemonSet", "spegel")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is True
    [rule] = chart.find(documents, "Role", "spegel")["rules"]
    assert chart.find(documents, "Lease", "spegel-leader-election")["metadata"]["annotations"]["helm.sh/hook"]
    assert not [each for each in chart.render() if each["kind"] == "Lease"]
    assert rule == {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]}


def test_cluster_key_is_made_once():
    """Without a cluster to look it up in, each rendering has a new key."""
    def secret(values: dict) -> dict | None:
        documents = [document for name, text in _rendered({"clusterKey": values}).items() if name.endswith(".yaml")
                     for document in yaml.safe_load_all(text) if document]
        secrets = [each for each in documents if each["kind"] == "Secret"]
        [daemonset] = [each for each in documents if each["kind"] == "DaemonSet" and each["metadata"]["name"] == "spegel"]
        pod = daemonset["spec"]["template"]["spec"]
        [volume] = [each for each in pod["volumes"] if each["name"] == "cluster-key"]
        assert not secrets or secrets[0]["metadata"]["name"] == volume["secret"]["secretName"]
        container = pod["containers"][0]
        assert "--cluster-key-file=/etc/secrets/cluster-key/key" in container["args"]
        assert "--allow-from=gateway,192.0.2.7" in _arguments(container)
        return secrets[0] if secrets else None

    keys = [base64.b64decode(secret({"enabled": True})["data"]["key"]) for _ in range(2)]
    assert keys[0] != keys[1]
    assert all(len(base64.b64decode(key, validate=True)) == 32 for key in keys)
    assert secret({"enabled": True, "existingSecret": "mine"}) is None
    assert not any("kind: Secret" in text for text in _rendered({"clusterKey": {"existingSecret": "mine"}}).values())


def test_upgrade_keeps_the_cluster_key(bare_lab: Lab):
    cluster, namespace = bare_lab.cluster, bare_lab.namespace
    _make_default_account(bare_lab)

    def apply(action: str) -> str:
        values = {"clusterKey": {"enabled": True}, "podLabels": {"step": action}}
        helm.finish(helm.start(cluster, bare_lab.directory, action, namespace, values))
        pod = _get(bare_lab, "apps/v1", "daemonsets/spegel")["spec"]["template"]
        assert pod["metadata"]["labels"]["step"] == action
        return _get(bare_lab, "v1", "secrets/spegel-cluster-key")["data"]["key"]

    assert apply("install") == apply("upgrade")


def test_packaged_chart_renders_the_same(tmp_path: Path):
    values = {"grafanaDashboard": {"enabled": True}, "prometheusRule": {"enabled": True}}
    archive = helm_python.package(str(chart.CHART), destination=str(tmp_path))
    packaged = helm_python.Chart.load(archive)
    assert packaged.render(values, name="spegel", namespace="spegel") == _rendered(values)
    assert "README.md" in {file["name"] for file in packaged.files}


def test_notes_name_the_next_steps():
    notes = _rendered({"namespaceOverride": "mirrors"})["spegel/templates/NOTES.txt"]
    assert "kubectl -n mirrors rollout status daemonset/spegel" in notes and "helm uninstall" in notes
    assert "/debug/" not in _rendered({"spegel": {"debugWebEnabled": False}})["spegel/templates/NOTES.txt"]


def test_hooks_run_in_order_and_are_deleted():
    documents = chart.render({"spegel": {"bootstrapKind": "kubernetes"}})
    hooks = [each for each in documents if "helm.sh/hook" in each["metadata"].get("annotations", {})]
    weights = {}
    for hook in hooks:
        annotations = hook["metadata"]["annotations"]
        assert annotations["helm.sh/hook"] == "post-delete"
        assert annotations["helm.sh/hook-delete-policy"].startswith("before-hook-creation,hook-succeeded")
        weights[hook["kind"]] = int(annotations["helm.sh/hook-weight"])
    assert weights.keys() == {"Service", "DaemonSet", "Pod", "ServiceAccount", "Role", "RoleBinding", "Lease"}
    assert weights.pop("Pod") > max(weights.values()), "the waiting pod comes last"
    [service] = [hook for hook in hooks if hook["kind"] == "Service"]
    assert service["spec"]["publishNotReadyAddresses"], "the hook waits for unfinished pods"
    # The cleanup runs on every node that the node's own pods run on.
    documents = chart.render(_FULL | {"spegel": {}})
    pods = [each["spec"]["template"]["spec"] for each in documents if each["kind"] == "DaemonSet"]
    assert len(pods) == 2
    for key in ("tolerations", "nodeSelector", "affinity", "priorityClassName", "imagePullSecrets"):
        assert pods[0][key] == pods[1][key]


def test_release_from_install_to_uninstall(bare_lab: Lab):
    """No object is left in the cluster, and no file on the node.

    There is no scheduler and no kubelet. The test acts in their place: it runs the API server's containers on one node.
    """
    cluster, namespace = bare_lab.cluster, bare_lab.namespace
    _make_default_account(bare_lab)
    folder = bare_lab.directory / "certs.d"
    (folder / "docker.io").mkdir(parents=True)
    (folder / "docker.io/hosts.toml").write_text('server = "https://registry-1.docker.io" # as it was\n')
    before, files_before = _objects(bare_lab), _tree(folder)
    node = bare_lab.host("node")
    # glibc ignores names with a final dot in /etc/hosts.
    with open(bare_lab.network.hosts_file, "a") as hosts:
        hosts.write(f"{node.address} spegel-cleanup.{namespace}.svc.cluster.test\n")

    helm.finish(helm.start(cluster, bare_lab.directory, "install", namespace, {
        "clusterDomain": "cluster.test", "networkPolicy": {"enabled": True},
        "spegel": {"bootstrapKind": "kubernetes", "containerdRegistryConfigPath": str(folder)}}))
    installed = _objects(bare_lab) - before
    assert {("apps/v1/daemonsets", "spegel"), ("networking.k8s.io/v1/networkpolicies", "spegel")} <= installed
    assert not [name for _, name in installed if "cleanup" in name], "hooks wait for their time"
    pod = _get(bare_lab, "apps/v1", "daemonsets/spegel")["spec"]["template"]["spec"]
    run(_on_node(node, pod["initContainers"][0]))
    written = (folder / "_default/hosts.toml").read_text()
    assert (folder / "_backup/docker.io/hosts.toml").exists()
    assert "http://192.0.2.7:30020" in written

    # A node has made the Lease of the election.
    cluster.create({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": {"holderIdentity": "a node"},
        "metadata": {"name": "spegel-leader-election", "namespace": namespace}})
    uninstall = helm.start(cluster, bare_lab.directory, "uninstall", namespace)
    cleanup = None
    try:
        waiting = eventually(lambda: _get(bare_lab, "v1", "pods/spegel-cleanup-wait"), "the last hook runs", timeout=30)
        # Helm's own record of the release is a Secret.
        assert {(kind, name) for kind, name in _objects(bare_lab) - before if kind != "v1/secrets"} == {
            ("apps/v1/daemonsets", "spegel-cleanup"), ("v1/services", "spegel-cleanup"),
            ("v1/serviceaccounts", "spegel-cleanup"), ("rbac.authorization.k8s.io/v1/roles", "spegel-cleanup"),
            ("rbac.authorization.k8s.io/v1/rolebindings", "spegel-cleanup"),
            ("coordination.k8s.io/v1/leases", "spegel-leader-election"), ("v1/pods", "spegel-cleanup-wait")}
        assert not cluster.lease(namespace), "the node's Lease is gone"
        log = bare_lab.directory / "wait.log"
        wait = Process("cleanup-wait", _on_node(node, waiting["spec"]["containers"][0]), log)
        eventually(lambda: "waiting for the cleanup" in log.read_text(), "it waits for the node")
        assert wait.is_running and uninstall.poll() is None and _tree(folder) != files_before
        pod = _get(bare_lab, "apps/v1", "daemonsets/spegel-cleanup")["spec"]["template"]["spec"]
        cleanup = Process("cleanup", _on_node(node, pod["containers"][0]), bare_lab.directory / "cleanup.log")
        assert wait.wait(30) == 0, tail(log)
        assert _tree(folder) == files_before
        waiting["status"] = {"phase": "Succeeded"}
        path = f"/api/v1/namespaces/{namespace}/pods/spegel-cleanup-wait/status"
        assert cluster.request("PUT", path, waiting).status == 200
    finally:
        if cleanup:
            cleanup.stop()
        helm.finish(uninstall)
    assert _objects(bare_lab) == before


def test_install_and_uninstall_mend_an_uninstall_that_timed_out(bare_lab: Lab):
    """The line that the notes, the documentation and the waiting pod's error give.

    The test acts in the place of the scheduler and the kubelet.
    """
    cluster, namespace = bare_lab.cluster, bare_lab.namespace
    _make_default_account(bare_lab)
    before = _objects(bare_lab)
    values = {"spegel": {"bootstrapKind": "kubernetes"}}
    pod = f"/api/v1/namespaces/{namespace}/pods/spegel-cleanup-wait"

    def waiting() -> dict:
        return eventually(lambda: _get(bare_lab, "v1", "pods/spegel-cleanup-wait"), "the last hook runs", timeout=30)

    helm.finish(helm.start(cluster, bare_lab.directory, "install", namespace, values))
    uninstall = helm.start(cluster, bare_lab.directory, "uninstall", namespace, timeout=6)
    waiting()
    binding = {
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "spegel-cleanup-wait", "namespace": namespace},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "n1"}}
    assert cluster.request("POST", f"{pod}/binding", binding).status == 201
    helm.finish(uninstall, fails=True)
    first = waiting()

    helm.finish(helm.start(cluster, bare_lab.directory, "install", namespace, values))
    uninstall = helm.start(cluster, bare_lab.directory, "uninstall", namespace)
    # The old pod must be gone at once: helm would apply the next one to it while it ends.
    second = eventually(
        lambda: (found := _get(bare_lab, "v1", "pods/spegel-cleanup-wait"))
        and found["metadata"]["uid"] != first["metadata"]["uid"] and found, "another pod waits", timeout=30)
    assert "deletionTimestamp" not in second["metadata"]
    second["status"] = {"phase": "Succeeded"}
    assert cluster.request("PUT", f"{pod}/status", second).status == 200
    helm.finish(uninstall)
    assert _objects(bare_lab) == before


def _make_default_account(lab: Lab) -> None:
    """Pods need it, and its controller does not run here."""
    lab.cluster.create({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": lab.namespace}})


_KINDS = (
    "apps/v1/daemonsets", "v1/services", "v1/pods", "v1/serviceaccounts", "v1/configmaps", "v1/secrets",
    "rbac.authorization.k8s.io/v1/roles", "rbac.authorization.k8s.io/v1/rolebindings",
    "networking.k8s.io/v1/networkpolicies", "coordination.k8s.io/v1/leases",
)


def _objects(lab: Lab) -> set[tuple[str, str]]:
    """All objects in the test's namespace of the chart's kinds."""
    return {(kind, name) for kind in _KINDS for name in lab.cluster.names(lab.namespace, kind)}


def _get(lab: Lab, group: str, path: str) -> dict | None:
    root = "apis" if "/" in group else "api"
    answer = lab.cluster.request("GET", f"/{root}/{group}/namespaces/{lab.namespace}/{path}")
    return answer.body if answer.status == 200 else None


def _on_node(host: Host, container: dict) -> list:
    """The command that runs a container's program on a host."""
    return host.command([os.environ["SPEGEL_BIN"], *_arguments(container)])


def _tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """All entries of a folder with their modes and content."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")}


#: Fields of Kubernetes 1.34 and 1.22; the API server of the tests is older.
_NEWER = {"spec.trafficDistribution", "spec.internalTrafficPolicy"}


def _dropped(sent: object, kept: object, path: str = "") -> list[str]:
    """The paths of sent fields that are missing in the answer, or have another value."""
    if isinstance(sent, dict):
        if not isinstance(kept, dict):
            return [path] if sent else []
        pairs = ((f"{path}.{key}".lstrip("."), value, kept.get(key)) for key, value in sent.items())
        return list(itertools.chain.from_iterable(_dropped(value, other, where) for where, value, other in pairs))
    if isinstance(sent, list):
        if not sent:
            return []
        if not isinstance(kept, list) or len(kept) < len(sent):
            return [path]
        pairs = ((f"{path}[{index}]", value, other) for index, (value, other) in enumerate(zip(sent, kept)))
        return list(itertools.chain.from_iterable(_dropped(value, other, where) for where, value, other in pairs))
    # The zero value of a type may be omitted.
    return [] if sent == kept or (not sent and kept is None) else [path]


def _settings(container: dict) -> dict:
    """The program's settings from the arguments and variables of a container."""
    done = subprocess.run(
        [os.environ["SPEGEL_BIN"], *_arguments(container), "--print-config"], env=_variables(container),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=15)
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


def _variables(container: dict) -> dict[str, str]:
    """The environment of a container. Addresses from the kubelet are 192.0.2.7, or fd00::7 in brackets."""
    address = "fd00::7" if any("[$(" in each for each in container["args"]) else "192.0.2.7"
    return {
        each["name"]: "zone-a" if "labels" in str(each.get("valueFrom")) else each.get("value", address)
        for each in container.get("env", [])}


def _arguments(container: dict) -> list[str]:
    variables = _variables(container)
    return [re.sub(r"\$\((\w+)\)", lambda name: variables[name[1]], each) for each in container["args"]]


def _compare(file: Path, text: str) -> None:
    if _RENEW:
        file.write_text(text)
    assert file.read_text() == text, f"{file.name} is not up to date: scripts/renew-chart"


def _tidy(content: str) -> str:
    return "\n".join(line.rstrip() for line in content.splitlines() if line.strip())


def _rendered(values: dict) -> dict[str, str]:
    return chart.load().render(values, name="spegel", namespace="spegel")


def _set(values: dict, path: str, value: object) -> None:
    *parents, key = path.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
    values[key] = value


#: The kinds of other projects in the chart, with their fields that the chart uses. The API server does not check them,
#: because this build of it crashes when it writes objects of custom kinds.
_ANY: dict = {}
_RELABELING = {"sourceLabels": [str], "targetLabel": str, "regex": str, "action": str, "replacement": str}
_CUSTOM = {
    ("monitoring.coreos.com/v1", "ServiceMonitor"): {
        "selector": {"matchLabels": _ANY}, "namespaceSelector": {"matchNames": [str]},
        "endpoints": [{
            "port": str, "path": str, "interval": str, "scrapeTimeout": str, "relabelings": [_RELABELING],
            "metricRelabelings": [_RELABELING]}]},
    ("monitoring.coreos.com/v1", "PrometheusRule"): {
        "groups": [{"name": str, "rules": [{
            "alert": str, "expr": str, "for": str, "labels": _ANY, "annotations": _ANY}]}]},
    ("autoscaling.k8s.io/v1", "VerticalPodAutoscaler"): {
        "targetRef": {"apiVersion": str, "kind": str, "name": str}, "recommenders": [{"name": str}],
        "updatePolicy": {"updateMode": str, "minReplicas": int},
        "resourcePolicy": {"containerPolicies": [{
            "containerName": str, "controlledResources": [str], "controlledValues": str, "minAllowed": _ANY,
            "maxAllowed": _ANY}]}},
    ("grafana.integreatly.org/v1beta1", "GrafanaDashboard"): {
        "allowCrossNamespaceImport": bool, "folder": str, "resyncPeriod": str,
        "instanceSelector": {"matchLabels": _ANY}, "json": str},
}


def _unknown(value: object, shape: object, path: str) -> list[str]:
    """The paths that do not fit the shape."""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [path]
        if shape is _ANY:
            return []
        return [name for key, each in value.items() for name in (
            _unknown(each, shape[key], f"{path}.{key}") if key in shape else [f"{path}.{key}"])]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [path]
        return [name for each in value for name in _unknown(each, shape[0], f"{path}[]")]
    return [] if isinstance(value, shape) else [path]
