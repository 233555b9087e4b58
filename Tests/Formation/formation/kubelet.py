"""A small kubelet: it runs pods of the chart by a containerd's CRI, in a network namespace that is the node.

It does what a kubelet does before the runtime has a say: the types of `hostPath` volumes, variables of containers, and
the order of containers. A pod has the node's network, since there is no network plugin.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from harness.containerd import Containerd, Installation, Settings
from harness.cri import stubs
from harness.images import NATIVE
from harness.network import Host
from harness.process import eventually, run

IMAGE = "localhost/spegel:test"
PAUSE = "localhost/pause:test"


class VolumeFailed(Exception):
    """What a kubelet says about a volume that it cannot mount."""


@dataclass
class Pod:
    sandbox: str
    #: The ids of the containers by name, and the files with their output.
    containers: dict[str, str] = field(default_factory=dict)
    logs: dict[str, Path] = field(default_factory=dict)


class Kubelet:
    def __init__(self, host: Host, directory: Path, installation: Installation, node_ip: str):
        self._directory = directory
        self._node_ip = node_ip
        self.containerd = Containerd(installation, host, directory / "containerd")
        self.containerd.configure(Settings(sandbox_image=PAUSE))
        self.containerd.start()
        self.containerd.wait_until_ready()
        self._messages, services = stubs()
        self._channel = grpc.insecure_channel(
            f"unix://{self.containerd.socket}", options=[("grpc.enable_http_proxy", 0)])
        self._runtime = services.RuntimeServiceStub(self._channel)
        self._pods: list[Pod] = []

    # Images

    def load(self, binary: Path) -> None:
        """Puts the images in place that a pod needs: the program's and the one of sandboxes."""
        for name, program, command in ((IMAGE, binary, ["/spegel"]), (PAUSE, Path("/bin/sleep"), ["/spegel", "infinity"])):
            archive = self._directory / "image.tar"
            _write_image(archive, name, program, command)
            run(self.containerd.ctr("images", "import", archive), timeout=120)

    # Pods

    def prepare(self, spec: dict) -> dict[str, Path]:
        """The paths of the volumes on the node, after the checks that a kubelet makes before it asks the runtime."""
        paths = {}
        for volume in spec.get("volumes", []):
            if "hostPath" in volume:
                path, kind = Path(volume["hostPath"]["path"]), volume["hostPath"].get("type", "")
                if kind == "DirectoryOrCreate":
                    path.mkdir(mode=0o755, parents=True, exist_ok=True)
                elif kind == "Directory" and not path.is_dir():
                    raise VolumeFailed(f"hostPath type check failed: {path} is not a directory")
            else:
                path = self._directory / "volumes" / volume["name"]
                path.mkdir(parents=True, exist_ok=True)
                (path / "token").write_text("none")
                (path / "namespace").write_text("spegel")
                run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-subj", "/CN=test", "-keyout", path / "unused.key", "-out", path / "ca.crt"])
                (path / "unused.key").unlink()
            paths[volume["name"]] = path
        return paths

    def run(self, name: str, spec: dict, volumes: dict[str, Path]) -> Pod:
        """Runs a pod: its init containers one after the other, then the others."""
        config = self._sandbox(name)
        request = self._messages.RunPodSandboxRequest(config=config)
        pod = Pod(self._runtime.RunPodSandbox(request, timeout=60).pod_sandbox_id)
        self._pods.append(pod)
        for container in spec.get("initContainers", []):
            self._start(pod, config, container, spec, volumes)
            status = eventually(lambda: self._ended(pod, container["name"]), f"{container['name']} ends", timeout=30)
            assert status.exit_code == 0, self.output(pod, container["name"])
        for container in spec["containers"]:
            self._start(pod, config, container, spec, volumes)
        return pod

    def status(self, pod: Pod, container: str):
        request = self._messages.ContainerStatusRequest(container_id=pod.containers[container])
        return self._runtime.ContainerStatus(request, timeout=10).status

    def is_running(self, pod: Pod, container: str) -> bool:
        return self.status(pod, container).state == self._messages.CONTAINER_RUNNING

    def stop_container(self, pod: Pod, container: str, grace: int) -> float:
        """Sends SIGTERM, and SIGKILL after the time of grace; returns the seconds that it took."""
        begin = time.monotonic()
        request = self._messages.StopContainerRequest(container_id=pod.containers[container], timeout=grace)
        self._runtime.StopContainer(request, timeout=grace + 30)
        return time.monotonic() - begin

    def output(self, pod: Pod, container: str) -> str:
        path = pod.logs[container]
        return path.read_text() if path.exists() else ""

    def close(self) -> None:
        for pod in self._pods:
            for call, kind in (("StopPodSandbox", "StopPodSandboxRequest"), ("RemovePodSandbox", "RemovePodSandboxRequest")):
                request = getattr(self._messages, kind)(pod_sandbox_id=pod.sandbox)
                try:
                    getattr(self._runtime, call)(request, timeout=60)
                except grpc.RpcError as error:
                    print(f"{call}: {error.details()}", file=sys.stderr)
        self._channel.close()
        self.containerd.close()

    # The runtime

    def _sandbox(self, name: str):
        messages = self._messages
        return messages.PodSandboxConfig(
            metadata=messages.PodSandboxMetadata(name=name, uid=name, namespace="spegel"),
            log_directory=str(self._directory / "logs" / name),
            linux=messages.LinuxPodSandboxConfig(
                security_context=messages.LinuxSandboxSecurityContext(namespace_options=self._namespaces())))

    def _namespaces(self):
        return self._messages.NamespaceOption(network=self._messages.NODE)

    def _start(self, pod: Pod, sandbox, container: dict, spec: dict, volumes: dict[str, Path]) -> None:
        messages, name = self._messages, container["name"]
        context = {**spec.get("securityContext", {}), **container.get("securityContext", {})}
        variables = self._variables(container)

        def expanded(text: str) -> str:
            return re.sub(r"\$\((\w+)\)", lambda found: variables.get(found[1], found[0]), text)

        mounts = [
            messages.Mount(
                container_path=mount["mountPath"], host_path=str(volumes[mount["name"]]),
                readonly=mount.get("readOnly", False),
                propagation=messages.PROPAGATION_HOST_TO_CONTAINER
                if mount.get("mountPropagation") == "HostToContainer" else messages.PROPAGATION_PRIVATE)
            for mount in container.get("volumeMounts", [])]
        security = messages.LinuxContainerSecurityContext(
            capabilities=messages.Capability(drop_capabilities=context.get("capabilities", {}).get("drop", [])),
            namespace_options=self._namespaces(),
            readonly_rootfs=context.get("readOnlyRootFilesystem", False),
            no_new_privs=not context.get("allowPrivilegeEscalation", True),
            run_as_user=messages.Int64Value(value=context["runAsUser"]),
            run_as_group=messages.Int64Value(value=context["runAsGroup"]))
        config = messages.ContainerConfig(
            metadata=messages.ContainerMetadata(name=name), image=messages.ImageSpec(image=IMAGE),
            command=container.get("command", []), args=[expanded(text) for text in container.get("args", [])],
            envs=[messages.KeyValue(key=key, value=value) for key, value in variables.items()], mounts=mounts,
            log_path=f"{name}.log", linux=messages.LinuxContainerConfig(security_context=security))
        request = messages.CreateContainerRequest(pod_sandbox_id=pod.sandbox, config=config, sandbox_config=sandbox)
        identifier = self._runtime.CreateContainer(request, timeout=60).container_id
        pod.containers[name] = identifier
        pod.logs[name] = Path(sandbox.log_directory) / f"{name}.log"
        self._runtime.StartContainer(messages.StartContainerRequest(container_id=identifier), timeout=60)

    def _variables(self, container: dict) -> dict[str, str]:
        fields = {"status.podIP": self._node_ip, "status.hostIP": self._node_ip}
        variables = {"KUBERNETES_SERVICE_HOST": "10.1.0.250", "KUBERNETES_SERVICE_PORT": "443"}
        for entry in container.get("env", []):
            source = entry.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
            variables[entry["name"]] = fields.get(source, "") if source else entry.get("value", "")
        return variables

    def _ended(self, pod: Pod, container: str):
        status = self.status(pod, container)
        return status if status.state == self._messages.CONTAINER_EXITED else None


def _libraries(program: Path) -> list[Path]:
    """What the program is linked to, with the dynamic linker; nothing for a static one."""
    told = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    return [Path(path) for path in dict.fromkeys(re.findall(r"(/\S+)\s+\(0x", told))]


def _write_image(archive: Path, name: str, program: Path, command: list[str]) -> None:
    """An archive with an image of one program, as /spegel, and its libraries."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as files:
        folders = set()
        for source, place in [(program, Path("/spegel")), *((path, path) for path in _libraries(program))]:
            for folder in reversed(place.parents):
                if folder not in folders and str(folder) != "/":
                    entry = tarfile.TarInfo(str(folder)[1:])
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                    files.addfile(entry)
                folders.add(folder)
            files.add(os.path.realpath(source), str(place)[1:])
    blobs: dict[str, bytes] = {}

    def add(content: bytes, media_type: str) -> dict:
        digest = hashlib.sha256(content).hexdigest()
        blobs[digest] = content
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    data = layer.getvalue()
    # A library of Swift stands in a folder of its own, which the dynamic linker does not know.
    search = ":".join(sorted({str(path.parent) for path in _libraries(program)}))
    config = add(json.dumps({
        "architecture": NATIVE, "os": "linux",
        "config": {"Entrypoint": command, "Env": ["PATH=/", f"LD_LIBRARY_PATH={search}"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(data).hexdigest()}"]},
    }).encode(), "application/vnd.oci.image.config.v1+json")
    manifest = add(json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config,
        "layers": [add(data, "application/vnd.oci.image.layer.v1.tar")],
    }).encode(), "application/vnd.oci.image.manifest.v1+json")
    manifest["annotations"] = {"io.containerd.image.name": name}
    with tarfile.open(archive, "w") as output:
        documents = {
            "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
            "index.json": json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode(),
            **{f"blobs/sha256/{digest}": content for digest, content in blobs.items()}}
        for path, content in documents.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            output.addfile(entry, io.BytesIO(content))
