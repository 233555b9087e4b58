import ContentStore
import NodeConfiguration
import OCI

extension FuzzTarget {
    /// Documents: JSON of images, TOML of containerd.
    static let documents: [FuzzTarget] = [
        FuzzTarget(
            name: "manifest",
            divisor: 2,
            dictionary: json,
            samples: {
                [
                    Sample(name: "manifest.json", bytes: Array(manifest.utf8)),
                    Sample(name: "index.json", bytes: Array(index.utf8)),
                ]
            },
            run: { bytes in
                guard let manifest = try? Manifest(json: bytes) else { return false }
                check(manifest.children.allSatisfy { $0.size >= 0 }, "sizes are not negative")
                return true
            }
        ),
        FuzzTarget(
            name: "layout-index",
            divisor: 2,
            dictionary: json,
            samples: { [Sample(name: "index.json", bytes: Array(index.utf8))] },
            run: { bytes in
                guard let index = try? ImageLayoutIndex(json: bytes, defaultRepository: nil) else { return false }
                return index.images.allSatisfy { (try? Reference($0.key)) != nil }
            }
        ),
        .text(
            "hosts-toml",
            dictionary: [
                "[host.", "]", "[[", "]]", "=", "\"", "'", "\"\"\"", "'''", "\\u0000", "\\uD800", "{", "}", ",", "\n",
                "#",
                "1979-05-27", "0x", "inf", ".", "[", "true",
            ],
            samples: [hosts, simpleHosts]
        ) { text in
            guard let existing = try? ExistingHosts(content: Array(text.utf8), path: "hosts.toml") else { return false }
            var file = HostsFile(server: "https://registry.example")
            for host in existing.hosts { file.append(host) }
            guard let again = try? ExistingHosts(content: Array(file.text.utf8), path: "hosts.toml") else {
                fatalError("the written file is malformed:\n\(file.text)")
            }
            check(again.hosts.map(\.name) == existing.hosts.map(\.name), "hosts are kept in their order")
            return true
        },
        .text(
            "registry-url",
            dictionary: ["http://", "https://", "[::1]", ":5000", "@", "/", "?"],
            samples: ["http://127.0.0.1:5000", "https://registry.example", "https://[fd00::1]:443"]
        ) { text in
            guard let url = try? RegistryURL(text) else { return false }
            check((try? RegistryURL(url.description)) == url, "a URL parses from its own text")
            return true
        },
    ]

    private static let json = [
        "{", "}", "[", "]", "\"", ",", ":", "null", "true", "-1", "1e999", "9223372036854775808", "\\u0000", "\\ud800",
        "\"mediaType\"", "\"digest\"", "\"size\"", "\"manifests\"", "\"layers\"", "\"config\"", "[[[[[[[[",
        "{\"a\":{\"a\":",
    ].map { Array($0.utf8) }

    private static let zeros = "sha256:" + String(repeating: "0", count: 64)

    private static let manifest = """
        {"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":\
        "application/vnd.oci.image.config.v1+json","digest":"\(zeros)","size":7},"layers":[{"mediaType":\
        "application/vnd.oci.image.layer.v1.tar+gzip","digest":"\(zeros)","size":4096,"annotations":{"a":"\\u00e9"}}]}
        """

    private static let index = """
        {"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"\(zeros)",\
        "size":500,"platform":{"architecture":"amd64","os":"linux"},"annotations":\
        {"org.opencontainers.image.ref.name":"docker.io/library/alpine:3.20"}},{"mediaType":"x/y","digest":"\(zeros)",\
        "size":1,"annotations":{"io.containerd.image.name":"example.com/a@\(zeros)"}}]}
        """

    private static let hosts = """
        server = "https://docker.io"

        # comment
        [host."http://127.0.0.1:5000"]
        capabilities = ["pull", "resolve"]
        dial_timeout = "200ms"
        override_path = true

        [host."http://127.0.0.1:5000".header]
        x-custom = ["1", '''2''']

        [host.'https://mirror.example'] # another
        client = [["a.crt", "a.key"]]
        limits = { depth = 1, ratio = 0.5, since = 1979-05-27 07:32:00Z }
        note = \"\"\"
        two
        lines\"\"\"

        """

    private static let simpleHosts = "[host]\n  [host.\"https://mirror.example\"]\n    capabilities = [\"pull\"]\n"
}
