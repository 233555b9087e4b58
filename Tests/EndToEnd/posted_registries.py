"""registries.conf files in the forms that administrators and distributions use, each with the hosts that podman and
skopeo must ask without Spegel, in order.
"""

from __future__ import annotations

from dataclasses import dataclass

_D = "sha256:" + "a" * 64


@dataclass(frozen=True)
class Case:
    """The files below /etc/containers, the image, and the hosts; none if the image is blocked."""

    files: dict[str, str | bytes]
    before: list[str]
    image: str = "registry.corp:5000/team/app:1"
    #: Whether the mirror is asked first when the registry is mirrored.
    is_mirrored: bool = True
    tool: str = "skopeo"


OWN = "https://registry.corp:5000"
PLAIN = "http://registry.corp:5000"
HUB = "https://registry-1.docker.io"
_MAIN = "registries.conf"
_HUB_IMAGE = "docker.io/team/app:1"
_R = '[[registry]]\nlocation = "registry.corp:5000"\n'
_CACHE = '[[registry.mirror]]\nlocation = "cache.corp"\n'
_V1 = "[registries.search]\nregistries = ['docker.io', 'quay.io']\n\n"

CASES: dict[str, Case] = {
    # Nothing, or nothing that counts
    "no file": Case({}, [OWN]),
    "empty file": Case({_MAIN: ""}, [OWN]),
    "comments as Debian ships them": Case(
        {_MAIN: "# # An array of host[:port] registries to try\n# unqualified-search-registries = ['example.com']\n"}, [OWN]),
    "search list": Case({_MAIN: 'unqualified-search-registries = ["docker.io", "quay.io"]\n'}, [OWN]),
    "search list and short names": Case(
        {_MAIN: 'unqualified-search-registries = ["registry.corp:5000"]\nshort-name-mode = "permissive"\n'}, [OWN],
        image="team/app:1", tool="podman"),
    "alias": Case(
        {"registries.conf.d/000-shortnames.conf": '[aliases]\n"app" = "registry.corp:5000/team/app"\n'}, [OWN],
        image="app:1", tool="podman"),
    "helpers for credentials": Case({_MAIN: 'credential-helpers = ["containers-auth.json"]\n' + _R}, [OWN]),
    "another registry": Case({_MAIN: '[[registry]]\nlocation = "other.corp"\ninsecure = true\n'}, [OWN]),
    "name that only begins the same": Case({_MAIN: '[[registry]]\nlocation = "registry.corp:50"\ninsecure = true\n'}, [OWN]),
    # The registry
    "location": Case({_MAIN: _R}, [OWN]),
    "prefix and location": Case({_MAIN: _R + 'prefix = "registry.corp:5000"\n'}, [OWN]),
    "insecure": Case({_MAIN: _R + "insecure = true\n"}, [OWN, PLAIN]),
    "location elsewhere": Case(
        {_MAIN: '[[registry]]\nprefix = "registry.corp:5000"\nlocation = "harbor.corp/proxy"\n'}, ["https://harbor.corp"]),
    "location elsewhere, insecure": Case(
        {_MAIN: '[[registry]]\nprefix = "registry.corp:5000"\nlocation = "harbor.corp/proxy"\ninsecure = true\n'},
        ["https://harbor.corp", "http://harbor.corp/v2/proxy"]),
    "slash at the end": Case({_MAIN: '[[registry]]\nlocation = "registry.corp:5000/"\ninsecure = true\n'}, [OWN, PLAIN]),
    "blocked": Case({_MAIN: _R + "blocked = true\n"}, [], is_mirrored=False),
    # Mirrors
    "mirror": Case({_MAIN: _R + _CACHE}, ["https://cache.corp", OWN]),
    "insecure mirror": Case({_MAIN: _R + _CACHE + "insecure = true\n"}, ["https://cache.corp", "http://cache.corp", OWN]),
    "two mirrors": Case(
        {_MAIN: _R + _CACHE + '[[registry.mirror]]\nlocation = "second.corp:8443"\n'},
        ["https://cache.corp", "https://second.corp:8443", OWN]),
    "mirror with a path": Case(
        {_MAIN: _R + '[[registry.mirror]]\nlocation = "cache.corp/proxy"\ninsecure = true\n'},
        ["https://cache.corp", "http://cache.corp/v2/proxy", OWN]),
    "mirror for digests, tag": Case(
        {_MAIN: _R + "mirror-by-digest-only = true\n" + _CACHE}, [OWN], is_mirrored=False),
    "mirror for digests, digest": Case(
        {_MAIN: _R + "mirror-by-digest-only = true\n" + _CACHE}, ["https://cache.corp", OWN],
        image=f"registry.corp:5000/team/app@{_D}"),
    "mirror for tags, tag": Case(
        {_MAIN: _R + _CACHE + 'pull-from-mirror = "tag-only"\n'}, ["https://cache.corp", OWN]),
    "mirror for tags, digest": Case(
        {_MAIN: _R + _CACHE + 'pull-from-mirror = "tag-only"\n'}, [OWN], image=f"registry.corp:5000/team/app@{_D}"),
    "one mirror for each": Case(
        {_MAIN: _R + _CACHE + 'pull-from-mirror = "digest-only"\n[[registry.mirror]]\nlocation = "tags.corp"\n'
                'pull-from-mirror = "tag-only"\n'}, ["https://tags.corp", OWN]),
    # Namespaces and domains
    "namespace": Case(
        {_MAIN: '[[registry]]\nprefix = "registry.corp:5000/team"\nlocation = "up.corp/group"\n'}, ["https://up.corp"]),
    "namespace with a mirror": Case(
        {_MAIN: '[[registry]]\nlocation = "registry.corp:5000/team"\n' + _CACHE}, ["https://cache.corp", OWN]),
    "another namespace": Case(
        {_MAIN: '[[registry]]\nprefix = "registry.corp:5000/other"\nlocation = "up.corp/group"\n'}, [OWN]),
    "namespace within the registry": Case(
        {_MAIN: _R + _CACHE + '[[registry]]\nlocation = "registry.corp:5000/team"\ninsecure = true\n'}, [OWN, PLAIN]),
    "blocked namespace": Case(
        {_MAIN: _R + _CACHE + '[[registry]]\nlocation = "registry.corp:5000/team"\nblocked = true\n'}, [],
        is_mirrored=False),
    "repository": Case(
        {_MAIN: '[[registry]]\nprefix = "registry.corp:5000/team/app"\nlocation = "up.corp/team/app"\n'},
        ["https://up.corp"]),
    "single tag": Case(
        {_MAIN: '[[registry]]\nprefix = "registry.corp:5000/team/app:1"\nlocation = "up.corp/team/app:2"\n'},
        [OWN]),
    "domain": Case({_MAIN: '[[registry]]\nprefix = "*.corp"\ninsecure = true\n'}, [OWN, PLAIN]),
    "domain with a mirror": Case(
        {_MAIN: '[[registry]]\nprefix = "*.corp"\n[[registry.mirror]]\nlocation = "cache.example/all"\n'},
        ["https://cache.example", "https://registry.corp"], image="registry.corp/team/app:1"),
    "blocked domain": Case({_MAIN: '[[registry]]\nprefix = "*.corp"\nblocked = true\n'}, [], is_mirrored=False),
    "domain and registry": Case({_MAIN: '[[registry]]\nprefix = "*.corp"\nblocked = true\n' + _R}, [OWN]),
    "domain and registry without a port": Case(
        {_MAIN: '[[registry]]\nprefix = "*.corp"\nblocked = true\n[[registry]]\nlocation = "registry.corp"\ninsecure = true\n'},
        ["https://registry.corp", "http://registry.corp"], image="registry.corp/team/app:1"),
    # Version 1
    "version 1": Case({_MAIN: _V1 + "[registries.insecure]\nregistries = []\n\n[registries.block]\nregistries = []\n"}, [OWN]),
    "version 1, insecure": Case(
        {_MAIN: _V1 + "[registries.insecure]\nregistries = ['registry.corp:5000']\n"}, [OWN, PLAIN]),
    "version 1, blocked": Case(
        {_MAIN: _V1 + "[registries.block]\nregistries = ['registry.corp:5000']\n"}, [], is_mirrored=False),
    "version 1 and a drop-in": Case(
        {_MAIN: _V1 + "[registries.insecure]\nregistries = ['registry.corp:5000']\n", "registries.conf.d/a.conf": _R + _CACHE},
        ["https://cache.corp", OWN]),
    # Drop-ins
    "drop-in": Case({"registries.conf.d/50-corp.conf": _R + _CACHE}, ["https://cache.corp", OWN]),
    "drop-in replaces the main file": Case(
        {_MAIN: _R + _CACHE, "registries.conf.d/50-corp.conf": _R + "insecure = true\n"}, [OWN, PLAIN]),
    "later drop-in replaces an earlier one": Case(
        {"registries.conf.d/10-a.conf": _R + "blocked = true\n", "registries.conf.d/20-b.conf": _R + _CACHE},
        ["https://cache.corp", OWN]),
    "names without .conf": Case(
        {"registries.conf.d/50-corp.conf.disabled": _R + "blocked = true\n", "registries.conf.d/README": "notes"}, [OWN]),
    "drop-in with a last name": Case(
        {"registries.conf.d/zzz-corp.conf": _R + _CACHE}, ["https://cache.corp", OWN], is_mirrored=False),
    # The form of the text
    "inline tables": Case(
        {_MAIN: 'registry = [{location = "registry.corp:5000", mirror = [{location = "cache.corp"}]}]\n'},
        ["https://cache.corp", OWN]),
    "lines that end as on Windows": Case({_MAIN: (_R + _CACHE).replace("\n", "\r\n")}, ["https://cache.corp", OWN]),
    "tabs and comments": Case(
        {_MAIN: "[[registry]] # the registry\n\tlocation\t= 'registry.corp:5000'\n\n\t[[registry.mirror]] # near\n"
                "\t\tlocation = 'cache.corp' # fast\n"}, ["https://cache.corp", OWN]),
    # Docker Hub and distributions
    "mirror of Docker Hub": Case(
        {_MAIN: '[[registry]]\nprefix = "docker.io"\nlocation = "docker.io"\n[[registry.mirror]]\nlocation = "mirror.gcr.io"\n'},
        ["https://mirror.gcr.io", HUB], image=_HUB_IMAGE),
    "Docker Hub by its other name": Case(
        {_MAIN: '[[registry]]\nprefix = "docker.io"\nlocation = "registry-1.docker.io"\n'}, [HUB], image=_HUB_IMAGE),
    "OpenShift, mirrors for digests": Case(
        {_MAIN: 'unqualified-search-registries = ["registry.access.redhat.com", "docker.io"]\nshort-name-mode = ""\n\n'
                '[[registry]]\n  prefix = ""\n  location = "registry.corp:5000/team"\n  mirror-by-digest-only = true\n\n'
                '  [[registry.mirror]]\n    location = "mirror.corp:8443/team"\n'},
        ["https://mirror.corp:8443", OWN], image=f"registry.corp:5000/team/app@{_D}"),
    "OpenShift, mirrors for tags": Case(
        {_MAIN: '[[registry]]\n  prefix = ""\n  location = "registry.corp:5000/team"\n\n  [[registry.mirror]]\n'
                '    location = "mirror.corp:8443/team"\n    pull-from-mirror = "tag-only"\n'},
        ["https://mirror.corp:8443", OWN]),
    "Fedora": Case(
        {_MAIN: 'unqualified-search-registries = ["registry.fedoraproject.org", "registry.access.redhat.com", "docker.io"]\n'
                'short-name-mode="enforcing"\n',
         "registries.conf.d/001-rhel-shortnames.conf": '[aliases]\n"ubi9" = "registry.access.redhat.com/ubi9"\n'}, [OWN]),
}

#: Files with which these tools pull nothing.
UNREADABLE: dict[str, dict[str, str]] = {
    "no TOML": {_MAIN: "[[registry]\nlocation = registry.corp\n"},
    "both versions": {_MAIN: _V1 + _R},
    "version 1 in a drop-in": {"registries.conf.d/a.conf": _V1},
    "no location": {_MAIN: "[[registry]]\ninsecure = true\n"},
    "no array": {_MAIN: '[registry]\nlocation = "registry.corp:5000"\n'},
    "address for a name": {_MAIN: '[[registry]]\nlocation = "https://registry.corp:5000"\n'},
    "both ways to limit a mirror": {
        _MAIN: _R + "mirror-by-digest-only = true\n" + _CACHE + 'pull-from-mirror = "all"\n'},
}
