import Files
import Glibc
import Logging
import TestSupport
import Testing

@testable import NodeConfiguration

/// What was in force stays in force: after the mirror for a mirrored registry, untouched for any other.
@Suite("What was in force")
struct InForceTests {
    private let folder: TemporaryFolder
    private let logger = Logger(label: "test")
    private static let harbor = """
        server = "https://harbor.corp/v2/hub"
        override_path = true

        """
    private static let mirror = """
        [host."http://127.0.0.1:30020"]
        capabilities = ["pull", "resolve"]

        """

    init() throws {
        folder = try TemporaryFolder()
    }

    private func configuration(_ registries: [String], prependExisting: Bool = false) throws -> MirrorConfiguration {
        MirrorConfiguration(
            registryConfigPath: folder.path,
            mirroredRegistries: try registries.map { try RegistryURL($0) },
            mirrorTargets: [try RegistryURL("http://127.0.0.1:30020")],
            prependExisting: prependExisting,
            dialTimeout: nil
        )
    }

    @Test("all registries mirrored: each configured one keeps its folder", arguments: [true, false])
    func all(prependExisting: Bool) throws {
        try folder.write(Self.harbor, to: "docker.io/hosts.toml")
        try folder.write(
            "server = \"http://registry.corp:5000\"\n[host.\"https://z.lab\"]\n",
            to: "registry.corp_5000_/hosts.toml"
        )
        try folder.write("certificate", to: "cert.corp/ca.crt")
        try folder.write("[host.\"https://d.lab\"]\n", to: "_default/hosts.toml")
        try folder.write("shared", to: "certs/ca.crt")
        let tree = try folder.tree()
        let configuration = try configuration([], prependExisting: prependExisting)
        let report = try configuration.apply(logger: logger)
        #expect(
            report.written == [
                "_default/hosts.toml", "cert.corp/hosts.toml", "docker.io/hosts.toml", "registry.corp_5000_/hosts.toml",
            ]
        )
        #expect(try folder.read("docker.io/hosts.toml") == Self.harbor + "\n" + Self.mirror)
        let kept = prependExisting ? "\n[host.\"https://z.lab\"]\n" : ""
        #expect(
            try folder.read("registry.corp_5000_/hosts.toml")
                == "server = \"http://registry.corp:5000\"\n\n" + Self.mirror + kept
        )
        #expect(try folder.read("cert.corp/hosts.toml") == "ca = [\"ca.crt\"]\n\n" + Self.mirror)
        #expect(
            try folder.read("_default/hosts.toml")
                == Self.mirror + (prependExisting ? "\n[host.\"https://d.lab\"]\n" : "")
        )
        #expect(try folder.read("certs/hosts.toml") == nil)
        try MirrorConfiguration.restore(path: folder.path, logger: logger)
        #expect(try folder.tree() == tree)
    }

    @Test("one registry mirrored: all others stay as they are", arguments: [true, false])
    func one(prependExisting: Bool) throws {
        try folder.write(
            "[host.\"https://d.lab\"]\nca = [\"d.crt\", \"/abs.crt\"]\nclient = [[\"c\", \"k\"]]\n",
            to: "_default/hosts.toml"
        )
        try folder.write("[host", to: "ghcr.io/hosts.toml")
        try folder.write("certificate", to: "cert.corp/ca.crt")
        let tree = try folder.tree()
        let report = try configuration(["https://docker.io"], prependExisting: prependExisting).apply(logger: logger)
        #expect(report.written == ["docker.io/hosts.toml"])
        let kept = """

            [host."https://d.lab"]
            ca = ["../_default/d.crt", "/abs.crt"]
            client = [["../_default/c", "../_default/k"]]

            """
        #expect(
            try folder.read("docker.io/hosts.toml") == "server = \"https://registry-1.docker.io\"\n\n" + Self.mirror
                + (prependExisting ? kept : "")
        )
        for (name, content) in tree { #expect(try folder.tree()[name] == content) }
    }

    @Test("certificates with Docker's names count without a hosts.toml, with an empty and with a malformed one")
    func certificates() throws {
        for (name, content) in [("a.corp", nil), ("b.corp", ""), ("c.corp", "[host")] {
            for file in ["ca.crt", "more.crt", "client.cert", "client.key", "other.cert", "notes"] {
                try folder.write("x", to: "\(name)/\(file)")
            }
            if let content { try folder.write(content, to: "\(name)/hosts.toml") }
        }
        let report = try configuration([]).apply(logger: logger)
        #expect(report.unreadable.count == 1 && report.unreadable.first?.contains("c.corp/hosts.toml, line 1") == true)
        for name in ["a.corp", "b.corp", "c.corp"] {
            #expect(
                try folder.read("\(name)/hosts.toml") == """
                    ca = ["ca.crt", "more.crt"]
                    client = [["client.cert", "client.key"], ["other.cert", ""]]


                    """ + Self.mirror
            )
        }
    }

    @Test("names as containerd looks them up: case, ports, and the names of Docker Hub")
    func names() throws {
        try folder.write("server = \"https://port\"\n", to: "Registry.Corp_5000_/hosts.toml")
        try folder.write("server = \"https://shadowed\"\n", to: "Registry.Corp:5000/hosts.toml")
        let configuration = try configuration([
            "https://registry.corp:5000", "https://GHCR.io", "https://index.docker.io", "https://registry-1.docker.io",
        ])
        let report = try configuration.apply(logger: logger)
        #expect(
            report.written == [
                "GHCR.io/hosts.toml", "Registry.Corp_5000_/hosts.toml", "docker.io/hosts.toml", "ghcr.io/hosts.toml",
                "index.docker.io/hosts.toml", "registry-1.docker.io/hosts.toml", "registry.corp:5000/hosts.toml",
            ]
        )
        #expect(try folder.read("Registry.Corp_5000_/hosts.toml") == "server = \"https://port\"\n\n" + Self.mirror)
        #expect(try folder.read("Registry.Corp:5000/hosts.toml") == "server = \"https://shadowed\"\n")
        for name in ["docker.io", "index.docker.io", "registry-1.docker.io"] {
            #expect(
                try folder.read("\(name)/hosts.toml") == "server = \"https://registry-1.docker.io\"\n\n" + Self.mirror
            )
        }
        #expect(try !configuration.apply(logger: logger).isChange)
    }

    @Test("several configuration folders: the first one is changed, and keeps what the others configure")
    func severalFolders() throws {
        try folder.write("server = \"https://a\"\n", to: "a/a.corp/hosts.toml")
        try folder.write("server = \"https://no\"\n", to: "b/a.corp/hosts.toml")
        try folder.write("server = \"https://b\"\nca = \"ca.crt\"\n", to: "b/b.corp/hosts.toml")
        try folder.write("x", to: "b/cert.corp/ca.crt")
        var configuration = try configuration([])
        configuration.registryConfigPath = "\(folder.path)/a:\(folder.path)/b"
        try configuration.apply(logger: logger)
        #expect(try folder.read("a/a.corp/hosts.toml") == "server = \"https://a\"\n\n" + Self.mirror)
        #expect(
            try folder.read("a/b.corp/hosts.toml")
                == "server = \"https://b\"\nca = \"\(folder.path)/b/b.corp/ca.crt\"\n\n" + Self.mirror
        )
        #expect(
            try folder.read("a/cert.corp/hosts.toml") == "ca = [\"\(folder.path)/b/cert.corp/ca.crt\"]\n\n"
                + Self.mirror
        )
        #expect(try Files.names(in: folder.path) == ["a", "b"])
        #expect(try Files.names(in: folder.path + "/b") == ["a.corp", "b.corp", "cert.corp"])
        try MirrorConfiguration.restore(path: configuration.registryConfigPath, logger: logger)
        #expect(try Files.names(in: folder.path + "/a") == ["a.corp"])
    }

    @Test("links, modes and times come back; certificates stay behind a link")
    func attributes() throws {
        try folder.write("server = \"https://x\"\nca = \"ca.crt\"\n", to: "shared/hosts.toml")
        try folder.write("x", to: "shared/ca.crt")
        #expect(symlink("shared", folder.path + "/docker.io") == 0)
        try folder.write("ca = \"ca.crt\"\n", to: "own.corp/hosts.toml", mode: 0o640)
        #expect(symlink("/etc/ssl/ca.crt", folder.path + "/own.corp/ca.crt") == 0)
        try Files.setMode(folder.path + "/own.corp", to: 0o700)
        let before = try Attributes(folder.path)
        for registries in [[], ["https://docker.io"], ["https://own.corp"]] {
            try configuration(registries).apply(logger: logger)
            #expect(try Files.status(folder.path + "/own.corp")?.mode == 0o700)
            if registries != ["https://own.corp"] {
                #expect(
                    try folder.read("docker.io/hosts.toml") == "server = \"https://x\"\nca = \"../shared/ca.crt\"\n\n"
                        + Self.mirror
                )
            } else {
                #expect(try Files.linkTarget(folder.path + "/docker.io") == "shared")
            }
        }
        try MirrorConfiguration.restore(path: folder.path, logger: logger)
        #expect(try Attributes(folder.path) == before)
    }

    @Test("byte order mark is no obstacle")
    func byteOrderMark() throws {
        try folder.write("\u{FEFF}server = \"https://x\"\n", to: "docker.io/hosts.toml")
        try configuration(["https://docker.io"]).apply(logger: logger)
        #expect(try folder.read("docker.io/hosts.toml") == "server = \"https://x\"\n\n" + Self.mirror)
    }

    @Test("fresh tags: the upstream resolves before the mirror does")
    func fresh() throws {
        try folder.write(
            "server = \"https://x\"\nca = \"ca.crt\"\n[host.\"https://z.lab\"]\n",
            to: "docker.io/hosts.toml"
        )
        var configuration = try configuration(["https://docker.io", "http://registry.lab:5000"], prependExisting: true)
        configuration.mirrorsOthers = true
        configuration.tags = .fresh
        try configuration.apply(logger: logger)
        #expect(
            try folder.read("docker.io/hosts.toml") == """
                server = "https://x"
                ca = "ca.crt"

                [host."http://127.0.0.1:30020"]
                capabilities = ["pull"]

                [host."https://z.lab"]

                [host."https://x"]
                ca = "ca.crt"
                capabilities = ["pull", "resolve"]
                dial_timeout = "3000ms"

                [host."http://127.0.0.1:30020/"]
                capabilities = ["pull", "resolve"]

                """
        )
        #expect(
            try folder.read("registry.lab:5000/hosts.toml")?.contains("[host.\"http://registry.lab:5000\"]\n") == true
        )
        #expect(try folder.read("_default/hosts.toml") == Self.mirror.replacing(", \"resolve\"", with: ""))
        configuration.resolveTags = false
        try configuration.apply(logger: logger)
        #expect(try folder.read("registry.lab:5000/hosts.toml")?.contains("resolve") == false)
    }
}

/// All that cleanup must give back: contents, modes, times and links.
struct Attributes: Equatable {
    private var entries: [String: [String]] = [:]

    init(_ path: String) throws {
        func add(_ name: String) throws {
            guard let status = try Files.status(path + name) else { return }
            var values = ["\(status.kind)", "\(status.mode)", "\(status.modified)", "\(status.owner)"]
            switch status.kind {
            case .folder: for inner in try Files.names(in: path + name) ?? [] { try add(name + "/" + inner) }
            case .link: values.append(try Files.linkTarget(path + name) ?? "")
            default: values.append("\(try Files.read(path + name, limit: 1 << 20) ?? [])")
            }
            entries[name] = values
        }
        try add("")
    }
}
