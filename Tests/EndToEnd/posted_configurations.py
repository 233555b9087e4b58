"""config.toml files of containerd in the forms that administrators and distributions use.

`{certs}` stands for the folder of the registry configuration, `{folder}` for that of the file. What a containerd makes
of a file is found by running it; only what no containerd does is noted here.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Form:
    """A file, and those that it imports."""

    text: str | bytes
    others: dict[str, str] = field(default_factory=dict)


_2 = 'plugins."io.containerd.grpc.v1.cri"'
_3 = "plugins.'io.containerd.cri.v1.images'"
_PATH = 'config_path = "{certs}"\n'

FORMS: dict[str, Form] = {
    # The versions of the format
    "version 2": Form(f"version = 2\n[{_2}.registry]\n{_PATH}"),
    "version 2, without one": Form(f"[{_2}.registry]\n{_PATH}"),
    "version 2, single quotes": Form(f"version = 2\n[plugins.'io.containerd.grpc.v1.cri'.registry]\n{_PATH}"),
    "version 2, indented with comments": Form(
        f'# Managed by the platform team\nversion = 2\n\n[plugins]\n  [{_2}] # the kubelet\n'
        f'    sandbox_image = "registry.k8s.io/pause:3.9"\n    [{_2}.registry]\n      config_path = "{{certs}}" # mirrors\n'),
    "version 1, without one": Form(f"[plugins.cri.registry]\n{_PATH}"),
    "version 1": Form(f"version = 1\n[plugins.cri.registry]\n{_PATH}"),
    "version 1, quoted": Form(f'version = 1\n[plugins."cri".registry]\n{_PATH}'),
    "version 1 with names of version 2": Form(f"version = 1\n[{_2}.registry]\n{_PATH}"),
    "version 2 with names of version 1": Form(f"version = 2\n[plugins.cri.registry]\n{_PATH}"),
    "version 2 with names of version 3": Form(f"version = 2\n[{_3}.registry]\n{_PATH}"),
    "version 3": Form(f"version = 3\n[{_3}.registry]\n{_PATH}"),
    "version 3, double quotes": Form(f'version = 3\n[plugins."io.containerd.cri.v1.images".registry]\n{_PATH}'),
    "version 3 with names of version 2": Form(f"version = 3\n[{_2}.registry]\n{_PATH}"),
    "version 3 with both names": Form(
        f'version = 3\n[{_2}.registry]\nconfig_path = "/etc/other"\n[{_3}.registry]\n{_PATH}'),
    "version at the end of the file": Form(f'oom_score = 0\nversion = 2\n[{_2}.registry]\n{_PATH}'),
    "version as text": Form(f'version = "2"\n[{_2}.registry]\n{_PATH}'),
    "version of the future": Form(f"version = 9\n[{_3}.registry]\n{_PATH}"),
    "empty": Form(""),
    "version only": Form("version = 2\n"),
    # The form of the text
    "dotted keys": Form(f'version = 2\n{_2}.registry.config_path = "{{certs}}"\n'),
    "inline table": Form(f'version = 2\n[{_2}]\nregistry = {{ config_path = "{{certs}}" }}\n'),
    "lines that end as on Windows": Form(f"version = 2\r\n[{_2}.registry]\r\nconfig_path = \"{{certs}}\"\r\n"),
    "byte order mark": Form(f"\ufeffversion = 2\n[{_2}.registry]\n{_PATH}"),
    "tabs": Form(f"version\t=\t2\n\t[{_2}.registry]\n\t\tconfig_path\t=\t'{{certs}}'\n"),
    "the same table twice": Form(f"version = 2\n[{_2}.registry]\n{_PATH}[{_2}.registry]\n{_PATH}"),
    "no quotes": Form(f"version = 2\n[{_2}.registry]\nconfig_path = {{certs}}\n"),
    "key twice": Form(f"version = 2\n[{_2}.registry]\n{_PATH}{_PATH}"),
    "number for a folder": Form(f"version = 2\n[{_2}.registry]\nconfig_path = 5\n"),
    # The older tables
    "mirrors": Form(
        f'version = 2\n[{_2}.registry.mirrors."docker.io"]\nendpoint = ["https://mirror.corp", "https://registry-1.docker.io"]\n'),
    "mirrors beside config_path": Form(
        f'version = 2\n[{_2}.registry]\n{_PATH}[{_2}.registry.mirrors."docker.io"]\nendpoint = ["https://mirror.corp"]\n'),
    "empty mirrors beside config_path": Form(
        f"version = 2\n[{_2}.registry]\n{_PATH}[{_2}.registry.mirrors]\n[{_2}.registry.configs]\n[{_2}.registry.auths]\n"),
    "certificates beside config_path": Form(
        f'version = 2\n[{_2}.registry]\n{_PATH}[{_2}.registry.configs."registry.corp:5000".tls]\ninsecure_skip_verify = true\n'),
    "credentials beside config_path": Form(
        f'version = 2\n[{_2}.registry]\n{_PATH}[{_2}.registry.configs."registry.corp:5000".auth]\nusername = "a"\npassword = "b"\n'),
    "headers beside config_path": Form(
        f'version = 2\n[{_2}.registry]\n{_PATH}[{_2}.registry.headers]\nUser-Agent = ["corp"]\n'),
    "mirrors and certificates, version 1": Form(
        '[plugins.cri.registry.mirrors."docker.io"]\nendpoint = ["http://mirror.corp"]\n'
        '[plugins.cri.registry.configs."mirror.corp".tls]\nca_file = "/etc/ssl/ca.pem"\n'),
    "mirrors beside config_path, version 3": Form(
        f'version = 3\n[{_3}.registry]\n{_PATH}[{_3}.registry.mirrors."docker.io"]\nendpoint = ["https://mirror.corp"]\n'),
    # The folder
    "empty folder name": Form(f'version = 2\n[{_2}.registry]\nconfig_path = ""\n'),
    "list of folders": Form(f'version = 2\n[{_2}.registry]\nconfig_path = "{{certs}}:/etc/docker/certs.d"\n'),
    "list with the folder last": Form(f'version = 2\n[{_2}.registry]\nconfig_path = "/none/certs.d:{{certs}}"\n'),
    "list of folders, version 3": Form(f'version = 3\n[{_3}.registry]\nconfig_path = "{{certs}}:/etc/docker/certs.d"\n'),
    "list of folders with local pulls": Form(
        f'version = 3\n[{_3}]\nuse_local_image_pull = true\n[{_3}.registry]\nconfig_path = "{{certs}}:/none"\n'),
    "slash at the end": Form(f'version = 2\n[{_2}.registry]\nconfig_path = "{{certs}}/"\n'),
    "another folder": Form(f'version = 2\n[{_2}.registry]\nconfig_path = "/none/certs.d"\n'),
    # Plugins turned off
    "as Docker's package has it": Form('disabled_plugins = ["cri"]\n'),
    "CRI turned off by its full name": Form(
        f'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[{_2}.registry]\n{_PATH}'),
    "other plugins turned off": Form(
        f'version = 2\ndisabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs"]\n'
        f"[{_2}.registry]\n{_PATH}"),
    "no plugin turned off": Form(f"version = 2\ndisabled_plugins = []\n[{_2}.registry]\n{_PATH}"),
    # Imports
    "import": Form(
        'version = 2\nimports = ["{folder}/conf.d/*.toml"]\n',
        {"conf.d/mirrors.toml": f"version = 2\n[{_2}.registry]\n{_PATH}"}),
    "relative import": Form(
        'version = 2\nimports = ["conf.d/mirrors.toml"]\n',
        {"conf.d/mirrors.toml": f"version = 2\n[{_2}.registry]\n{_PATH}"}),
    "import without a version": Form(
        'version = 2\nimports = ["{folder}/conf.d/*.toml"]\n', {"conf.d/mirrors.toml": f"[{_2}.registry]\n{_PATH}"}),
    "import of nothing": Form(f'version = 2\nimports = ["/none/*.toml"]\n[{_2}.registry]\n{_PATH}'),
    "import that wins": Form(
        f'version = 2\nimports = ["{{folder}}/conf.d/*.toml"]\n[{_2}.registry]\n{_PATH}',
        {"conf.d/mirrors.toml": f'version = 2\n[{_2}.registry]\nconfig_path = "/none/certs.d"\n'}),
    "import of the GPU toolkit": Form(
        f'version = 2\nimports = ["{{folder}}/conf.d/*.toml"]\n[{_2}.registry]\n{_PATH}',
        {"conf.d/99-nvidia.toml": f'version = 2\n[{_2}.containerd]\ndefault_runtime_name = "runc"\n'
         f'[{_2}.containerd.runtimes.nvidia]\nruntime_type = "io.containerd.runc.v2"\n'
         f'[{_2}.containerd.runtimes.nvidia.options]\nBinaryName = "/usr/bin/nvidia-container-runtime"\n'}),
    "import that cannot be read": Form(
        f'version = 2\nimports = ["{{folder}}/conf.d/*.toml"]\n[{_2}.registry]\n{_PATH}',
        {"conf.d/broken.toml": "version = 2\n[plugins\n"}),
    # Distributions
    "kubeadm": Form(
        f'version = 2\n[{_2}]\n  sandbox_image = "registry.k8s.io/pause:3.9"\n  [{_2}.containerd.runtimes.runc]\n'
        f'    runtime_type = "io.containerd.runc.v2"\n    [{_2}.containerd.runtimes.runc.options]\n      SystemdCgroup = true\n'
        f"  [{_2}.registry]\n    {_PATH}"),
    "k3s with containerd 1": Form(
        f'version = 2\n\n[plugins."io.containerd.internal.v1.opt"]\n  path = "{{folder}}/k3s-opt"\n[{_2}]\n'
        f'  stream_server_address = "127.0.0.1"\n  stream_server_port = "0"\n  enable_selinux = false\n'
        f'  enable_unprivileged_ports = true\n  enable_unprivileged_icmp = true\n  device_ownership_from_security_context = false\n'
        f'  sandbox_image = "rancher/mirrored-pause:3.6"\n\n[{_2}.containerd]\n  snapshotter = "overlayfs"\n'
        f"  disable_snapshot_annotations = true\n\n[{_2}.containerd.runtimes.runc]\n"
        f'  runtime_type = "io.containerd.runc.v2"\n\n[{_2}.containerd.runtimes.runc.options]\n  SystemdCgroup = true\n\n'
        f"[{_2}.registry]\n  {_PATH}"),
    "k3s with containerd 2": Form(
        f'version = 3\nimports = ["{{folder}}/config-v3.toml.d/*.toml"]\n\n'
        f"[{_3}]\n  snapshotter = \"overlayfs\"\n  disable_snapshot_annotations = true\n  use_local_image_pull = true\n\n"
        f"[{_3}.pinned_images]\n  sandbox = \"rancher/mirrored-pause:3.6\"\n\n"
        "[plugins.'io.containerd.cri.v1.runtime']\n  enable_selinux = false\n  enable_unprivileged_ports = true\n"
        "  enable_unprivileged_icmp = true\n  device_ownership_from_security_context = false\n\n"
        "[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]\n  runtime_type = \"io.containerd.runc.v2\"\n\n"
        f"[{_3}.registry]\n  {_PATH}"),
    "EKS": Form(
        f'version = 2\nimports = ["{{folder}}/config.d/*.toml"]\n[{_2}]\nsandbox_image = "registry.corp/eks/pause:3.5"\n'
        f'[{_2}.cni]\nbin_dir = "/opt/cni/bin"\nconf_dir = "/etc/cni/net.d"\n[{_2}.containerd]\n'
        f'default_runtime_name = "runc"\ndiscard_unpacked_layers = false\n[{_2}.registry]\n'
        'config_path = "{certs}:/etc/docker/certs.d"\n'),
    "EKS with a NodeConfig": Form(
        f'version = 3\n[{_3}]\ndiscard_unpacked_layers = false\n[{_3}.registry]\n{_PATH}'),
    "Talos": Form(
        'version = 3\ndisabled_plugins = ["io.containerd.internal.v1.tracing"]\nimports = ["{folder}/cri.toml"]\n',
        {"cri.toml": f"version = 3\n[{_3}]\ndiscard_unpacked_layers = false\n[{_3}.registry]\n{_PATH}"}),
    "GKE": Form(
        f'version = 2\nrequired_plugins = ["io.containerd.grpc.v1.cri"]\n[{_2}]\nstream_server_address = "127.0.0.1"\n'
        f'max_container_log_line_size = 262144\n[{_2}.registry.mirrors."docker.io"]\n'
        'endpoint = ["https://mirror.gcr.io", "https://registry-1.docker.io"]\n'),
}
