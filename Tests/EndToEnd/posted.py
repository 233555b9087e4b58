"""Registry configurations in the forms that administrators use, each with the hosts that containerd must ask.

A host is a URL without the image. `before` holds what containerd asks without Spegel; where the versions differ, it is
keyed by major version. `meant` holds what the file says, if a version cannot read the file as it is: Spegel writes it
in a form that all read.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.resolver import LOCAL_PORT


@dataclass(frozen=True)
class Case:
    """A folder, the registry to pull from, and the hosts in order."""

    files: dict[str, str | bytes]
    before: list[str] | dict[int, list[str]]
    registry: str = "registry.corp:5000"
    meant: list[str] | None = None
    links: dict[str, str] = field(default_factory=dict)
    modes: dict[str, int] = field(default_factory=dict)

    def hosts_before(self, major: int) -> list[str]:
        return self.before[major] if isinstance(self.before, dict) else self.before

    @property
    def hosts_meant(self) -> list[str]:
        return self.meant or self.hosts_before(2)


OWN = "https://registry.corp:5000"
HUB = "https://registry-1.docker.io"
_H = "registry.corp:5000/hosts.toml"

CASES: dict[str, Case] = {
    # Nothing, or nothing that counts
    "empty folder": Case({}, [OWN]),
    "folder of the registry without files": Case({"registry.corp:5000/.keep": ""}, [OWN]),
    "empty hosts.toml": Case({_H: ""}, [OWN]),
    "only a comment": Case({_H: "# to do\n"}, [OWN]),
    "notes beside the folders": Case({"README.md": "Managed by the platform team.\n"}, [OWN]),
    # One mirror
    "mirror and upstream": Case(
        {_H: 'server = "https://registry.corp:5000"\n\n[host."http://cache.corp"]\n'
             '  capabilities = ["pull", "resolve"]\n'},
        ["http://cache.corp", OWN]),
    "mirror without upstream": Case({_H: '[host."http://cache.corp"]\n'}, ["http://cache.corp", OWN]),
    "mirror without scheme": Case({_H: '[host."cache.corp"]\n'}, ["https://cache.corp", OWN]),
    "single quotes": Case(
        {_H: "server = 'http://up.corp'\n[host.'http://cache.corp']\ncapabilities = ['pull', 'resolve']\n"},
        ["http://cache.corp", "http://up.corp"]),
    "lines that end as on Windows": Case(
        {_H: 'server = "http://up.corp"\r\n[host."http://cache.corp"]\r\n  capabilities = ["pull", "resolve"]\r\n'},
        ["http://cache.corp", "http://up.corp"]),
    "tabs and comments": Case(
        {_H: 'server\t=\t"http://up.corp" # the registry\n# first\n[host."http://cache.corp"] # second\n'
             '\tcapabilities = [ # both\n\t\t"pull",\n\t\t"resolve",\n\t]\n'},
        ["http://cache.corp", "http://up.corp"]),
    "no line break at the end": Case({_H: '[host."http://cache.corp"]'}, ["http://cache.corp", OWN]),
    "mirror that only serves by digest": Case(
        {_H: 'server = "http://up.corp"\n[host."http://cache.corp"]\ncapabilities = ["pull"]\n'},
        ["http://up.corp"]),
    "port 80 named": Case({_H: '[host."http://cache.corp:80"]\n'}, ["http://cache.corp:80", OWN]),
    # Several mirrors
    "three mirrors in an order that is not alphabetical": Case(
        {_H: 'server = "http://up.corp"\n[host."http://z.corp"]\n[host."http://m.corp"]\n[host."http://a.corp"]\n'},
        ["http://z.corp", "http://m.corp", "http://a.corp", "http://up.corp"]),
    "upstream at the end of the file": Case(
        {_H: '[host."http://z.corp"]\n[host."http://a.corp"]\n'}, ["http://z.corp", "http://a.corp", OWN]),
    "headers of a mirror": Case(
        {_H: '[host."http://z.corp"]\n[host."http://z.corp".header]\nx-team = "a"\nx-more = ["b", "c"]\n'
             '[host."http://a.corp"]\n'},
        ["http://z.corp", "http://a.corp", OWN]),
    # Paths
    "proxy project of Harbor": Case(
        {"docker.io/hosts.toml": 'server = "https://registry-1.docker.io"\n'
                                 '[host."http://harbor.corp/v2/hub"]\noverride_path = true\n'
                                 'capabilities = ["pull", "resolve"]\n'},
        ["http://harbor.corp/v2/hub", HUB], registry="docker.io"),
    "proxy project of Harbor as the registry itself": Case(
        {"docker.io/hosts.toml": 'server = "http://harbor.corp/v2/hub"\noverride_path = true\n'
                                 '[host."http://cache.corp"]\n'},
        ["http://cache.corp", "http://harbor.corp/v2/hub"], registry="docker.io"),
    "path before v2": Case(
        {_H: '[host."http://nexus.corp/repository/docker"]\n'},
        ["http://nexus.corp/repository/docker", OWN]),
    "slash at the end": Case({_H: '[host."http://cache.corp/"]\n'}, ["http://cache.corp", OWN]),
    # The form of the tables
    "inline tables": Case(
        {_H: 'server = "http://up.corp"\n[host]\n"http://cache.corp" = { capabilities = ["pull", "resolve"] }\n'},
        {1: ["http://cache.corp", "http://up.corp"], 2: ["http://up.corp"]},
        meant=["http://cache.corp", "http://up.corp"]),
    "dotted keys": Case(
        {_H: 'host."http://z.corp".capabilities = ["pull", "resolve"]\nhost."http://a.corp".capabilities = ["pull", "resolve"]\n'},
        {1: ["http://z.corp", "http://a.corp", OWN], 2: [OWN]}, meant=["http://z.corp", "http://a.corp", OWN]),
    "one table in a line": Case(
        {_H: 'host = { "http://cache.corp" = { capabilities = ["pull", "resolve"] } }\n'},
        {1: ["http://cache.corp", OWN], 2: [OWN]}, meant=["http://cache.corp", OWN]),
    "only a server": Case(
        {_H: 'server = "http://up.corp"\n'}, {1: [OWN], 2: ["http://up.corp"]}, meant=["http://up.corp"]),
    # IPv6
    "IPv6 mirror as containerd 2 reads it": Case(
        {_H: f'server = "http://up.corp"\n[host."http://[::1]:{LOCAL_PORT}"]\n'},
        {1: [OWN], 2: [f"http://[::1]:{LOCAL_PORT}", "http://up.corp"]},
        meant=[f"http://[::1]:{LOCAL_PORT}", "http://up.corp"]),
    "IPv6 mirror as containerd 1 reads it": Case(
        {_H: f'server = "http://up.corp"\n[host]\n"http://[::1]:{LOCAL_PORT}" = {{ capabilities = ["pull", "resolve"] }}\n'},
        {1: [f"http://[::1]:{LOCAL_PORT}", "http://up.corp"], 2: ["http://up.corp"]},
        meant=[f"http://[::1]:{LOCAL_PORT}", "http://up.corp"]),
    "IPv6 between others": Case(
        {_H: f'server = "http://up.corp"\n[host."http://z.corp"]\n[host."http://::1:{LOCAL_PORT}"]\n'
             '[host."http://a.corp"]\n[host."http://a.corp".header]\nx-one = "1"\n'},
        ["http://z.corp", f"http://[::1]:{LOCAL_PORT}", "http://a.corp", "http://up.corp"]),
    # Damage, and what is near it
    "byte order mark": Case(
        {_H: b"\xef\xbb\xbf" + b'[host."http://cache.corp"]\n'},
        {1: ["http://cache.corp", OWN], 2: [OWN]}, meant=["http://cache.corp", OWN]),
    "settings that containerd does not know": Case(
        {_H: 'owner = "platform"\n[host."http://cache.corp"]\npriority = 3\n'}, ["http://cache.corp", OWN]),
    # Names of folders
    "port as underscores": Case(
        {"registry.corp_5000_/hosts.toml": '[host."http://cache.corp"]\n'}, ["http://cache.corp", OWN]),
    "both names of a port": Case(
        {"registry.corp_5000_/hosts.toml": '[host."http://first.corp"]\n',
         _H: '[host."http://second.corp"]\n'},
        ["http://first.corp", OWN]),
    "upper case": Case(
        {"Registry.Corp:5000/hosts.toml": '[host."http://cache.corp"]\n'},
        ["http://cache.corp", "https://Registry.Corp:5000"], registry="Registry.Corp:5000"),
    "another registry": Case({"ghcr.io/hosts.toml": '[host."http://cache.corp"]\n'}, [OWN]),
    "all registries": Case({"_default/hosts.toml": '[host."http://cache.corp"]\n'}, ["http://cache.corp", OWN]),
    "all registries, with a server": Case(
        {"_default/hosts.toml": 'server = "http://up.corp"\n[host."http://cache.corp"]\n'},
        ["http://cache.corp", "http://up.corp"]),
    "all registries, and one apart": Case(
        {"_default/hosts.toml": '[host."http://cache.corp"]\n', _H: 'server = "http://up.corp"\n[host."http://z.corp"]\n'},
        ["http://z.corp", "http://up.corp"]),
    "all registries, and one without a file": Case(
        {"_default/hosts.toml": '[host."http://cache.corp"]\n', "registry.corp:5000/notes": "direct\n"}, [OWN]),
    "Docker Hub": Case(
        {"docker.io/hosts.toml": 'server = "https://docker.io"\n[host."http://cache.corp"]\n'},
        ["http://cache.corp", "https://docker.io"], registry="docker.io"),
    # What it is made of
    "link to a folder": Case(
        {"shared/hosts.toml": '[host."http://cache.corp"]\n'}, ["http://cache.corp", OWN],
        links={"registry.corp:5000": "shared"}),
    "link to a file, as in a ConfigMap": Case(
        {"registry.corp:5000/..data/hosts.toml": '[host."http://cache.corp"]\n'}, ["http://cache.corp", OWN],
        links={_H: "..data/hosts.toml"}),
    "private modes": Case(
        {_H: 'server = "http://up.corp"\n[host."http://cache.corp"]\n[host."http://cache.corp".header]\n'
             'Authorization = "Basic eDp5"\n'},
        ["http://cache.corp", "http://up.corp"], modes={"registry.corp:5000": 0o700, _H: 0o600}),
    "plain HTTP registry": Case(
        {_H: 'server = "http://registry.corp:5000"\n[host."http://registry.corp:5000"]\n'},
        ["http://registry.corp:5000"]),
    "no check of a certificate": Case(
        {_H: 'server = "https://up.corp"\n[host."https://cache.corp"]\nskip_verify = true\n'},
        ["https://cache.corp", "https://up.corp"]),
}

#: Files that containerd cannot read: it asks the registry itself, as without a file. Spegel refuses to keep them.
UNREADABLE: dict[str, str] = {
    "open table": '[host."http://cache.corp"\n',
    "host as a list": '[[host]]\nurl = "http://cache.corp"\n',
    "same host twice": '[host."http://cache.corp"]\n[host."http://cache.corp"]\n',
    "no quotes": "server = https://registry.corp:5000\n",
    "YAML": "server: https://registry.corp:5000\n",
}
