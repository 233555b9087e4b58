import Files
import Logging
import TestSupport
import Testing

@testable import NodeConfiguration

/// The file for podman, CRI-O, skopeo and buildah. What these programs ask with it is tested end to end.
@Suite("RegistriesConfiguration")
struct RegistriesConfigurationTests {
    private let folder: TemporaryFolder
    private let logger = Logger(label: "test")
    private static let own = "registries.conf.d/zz-spegel.conf"

    init() throws {
        folder = try TemporaryFolder()
    }

    private func configuration(
        _ registries: [String] = ["https://docker.io"],
        targets: [String] = ["http://127.0.0.1:5000"],
        change: (inout MirrorConfiguration) -> Void = { _ in }
    ) throws -> RegistriesConfiguration {
        var mirrors = MirrorConfiguration(
            registryConfigPath: "/none",
            mirroredRegistries: try registries.map { try RegistryURL($0) },
            mirrorTargets: try targets.map { try RegistryURL($0) }
        )
        change(&mirrors)
        return RegistriesConfiguration(folder: folder.path + "/registries.conf.d", mirrors: mirrors)
    }

    private func put(_ name: String, _ text: String) throws {
        try folder.write(text, to: name)
    }

    /// The tables of the written file, without its head.
    private func tables(_ configuration: RegistriesConfiguration) throws -> String {
        try configuration.apply(logger: logger)
        let text = try folder.read(Self.own) ?? ""
        return String(text[(text.firstRange(of: "[[registry]]")?.lowerBound ?? text.endIndex)...])
    }

    private func restore() throws -> Bool {
        try RegistriesConfiguration.restore(folder: folder.path + "/registries.conf.d", logger: logger)
    }

    private static let hub = """
        [[registry]]
        prefix = "docker.io"
        location = "docker.io"

        [[registry.mirror]]
        location = "127.0.0.1:5000/docker.io"
        insecure = true

        """

    @Test("writes a table for each registry, once, and removes the file and the folder that it made")
    func fresh() throws {
        let written = try tables(
            try configuration(
                ["https://index.docker.io", "http://registry.corp:5000"],
                targets: ["https://mirror.corp"]
            )
        )
        #expect(
            written == """
                [[registry]]
                prefix = "docker.io"
                location = "docker.io"

                [[registry.mirror]]
                location = "mirror.corp/docker.io"

                [[registry]]
                prefix = "registry.corp:5000"
                location = "registry.corp:5000"
                insecure = true

                [[registry.mirror]]
                location = "mirror.corp/registry.corp_5000"

                """
        )
        let second = try configuration(
            ["https://docker.io", "http://registry.corp:5000"],
            targets: ["https://mirror.corp"]
        )
        #expect(try !second.preview().isChange && !second.apply(logger: logger))
        #expect(try configuration().apply(logger: logger))
        #expect(try RegistriesState.read(folder: second.folder)?.mirrors == ["http://127.0.0.1:5000"])
        #expect(try restore())
        #expect(try Files.names(in: folder.path) == [])
        #expect(try !restore())
    }

    @Test("keeps the time of a folder that was there, also behind a link")
    func timeOfFolder() throws {
        try put("kept/10-own.conf", "")
        let real = folder.path + "/kept"
        try Files.makeLink(folder.path + "/registries.conf.d", to: "kept")
        let time = try #require(try Files.status("/")).modified
        try Files.setTime(real, to: time)
        #expect(try configuration().apply(logger: logger))
        #expect(try Files.names(in: real)?.sorted() == ["10-own.conf", "zz-spegel.conf"])
        #expect(try Files.status(real)?.modified == time)
        #expect(try restore())
        #expect(try Files.names(in: real) == ["10-own.conf"])
        #expect(try Files.status(real)?.modified == time)
    }

    @Test("previews without a change")
    func preview() throws {
        let preview = try configuration().preview()
        let change = try #require(preview.changes.first)
        #expect(preview.text(isColoured: false).contains("+[[registry.mirror]]"))
        #expect(change.before == nil && change.name == "zz-spegel.conf")
        #expect(try Files.names(in: folder.path) == [])
        #expect(String(decoding: change.after ?? [], as: UTF8.self).hasSuffix(Self.hub))
    }

    @Test("repeats what is in force, after the mirrors")
    func inForce() throws {
        try put(
            "registries.conf",
            """
            unqualified-search-registries = ["docker.io"]
            [[registry]]
            prefix = "docker.io"
            location = "harbor.corp/hub"
            [[registry.mirror]]
            location = "early.corp"
            """
        )
        try put(
            "registries.conf.d/10-harbor.conf",
            """
            [[registry]]
            prefix = "docker.io"
            location = "harbor.corp/hub/"
            insecure = true
            [[registry.mirror]]
            location = "cache.corp/hub"
            pull-from-mirror = "tag-only"
            [[registry]]
            location = "docker.io/team"
            [[registry]]
            location = "docker.io/bad"
            blocked = true
            [[registry]]
            prefix = "docker.io/team/app:1"
            location = "docker.io/team/app:2"
            """
        )
        try put("registries.conf.d/notes.txt", "[[registry]]\nlocation = \"docker.io\"\nblocked = true\n")
        let written = try tables(try configuration { $0.prependExisting = true })
        #expect(
            written == """
                [[registry]]
                prefix = "docker.io"
                location = "harbor.corp/hub"
                insecure = true

                [[registry.mirror]]
                location = "127.0.0.1:5000/docker.io"
                insecure = true

                [[registry.mirror]]
                location = "cache.corp/hub"
                pull-from-mirror = "tag-only"

                [[registry]]
                prefix = "docker.io/team"
                location = "docker.io/team"

                [[registry.mirror]]
                location = "127.0.0.1:5000/docker.io/team"
                insecure = true

                """
        )
        let without = try tables(try configuration())
        #expect(!without.contains("cache.corp") && without.contains("harbor.corp/hub"))
        // Only this program's file comes and goes.
        #expect(try restore())
        #expect(try Files.names(in: folder.path + "/registries.conf.d") == ["10-harbor.conf", "notes.txt"])
    }

    @Test("carries over entries of domains and of the older format")
    func others() throws {
        try put("registries.conf", "[registries.insecure]\nregistries = [\"registry.corp:5000\"]\n")
        #expect(try tables(try configuration(["https://registry.corp:5000"])).contains("5000\"\ninsecure = true\n\n"))
        try put(
            "registries.conf",
            "[[registry]]\nprefix = \"*.corp\"\ninsecure = true\n[[registry]]\nlocation = \"bad.corp\"\nblocked = true\n"
        )
        #expect(
            try tables(try configuration(["https://a.corp", "https://bad.corp", "https://corp.example"])) == """
                [[registry]]
                prefix = "a.corp"
                location = "a.corp"
                insecure = true

                [[registry.mirror]]
                location = "127.0.0.1:5000/a.corp"
                insecure = true

                [[registry]]
                prefix = "corp.example"
                location = "corp.example"

                [[registry.mirror]]
                location = "127.0.0.1:5000/corp.example"
                insecure = true

                """
        )
    }

    @Test("leaves tags to the registry, or asks it first")
    func tags() throws {
        #expect(
            try tables(try configuration { $0.resolveTags = false }) == Self.hub
                + "pull-from-mirror = \"digest-only\"\n"
        )
        let fresh = try tables(try configuration { $0.tags = .fresh })
        #expect(
            fresh == """
                [[registry]]
                prefix = "docker.io"
                location = "docker.io"

                [[registry.mirror]]
                location = "docker.io"
                pull-from-mirror = "tag-only"

                [[registry.mirror]]
                location = "127.0.0.1:5000/docker.io"
                insecure = true

                """
        )
        // The two settings exclude each other.
        try put("registries.conf", "[[registry]]\nlocation = \"docker.io\"\nmirror-by-digest-only = true\n")
        for configuration in [try configuration { $0.resolveTags = false }, try configuration { $0.tags = .fresh }] {
            let text = try tables(configuration)
            #expect(text.contains("mirror-by-digest-only = true") && !text.contains("pull-from-mirror"))
        }
    }

    @Test("refuses what these programs cannot follow, before any change")
    func refused() throws {
        let refused = try [
            configuration([]), configuration { $0.mirrorsOthers = true }, configuration(targets: []),
            configuration(["https://[::1]:5000"]), configuration(["https://Registry.Corp"]),
            configuration(["https://registry:5000"]), configuration(targets: ["http://[::1]:5000"]),
        ]
        for configuration in refused {
            #expect(throws: NodeConfigurationError.self) { try configuration.apply(logger: logger) }
        }
        #expect(try Files.names(in: folder.path) == [])
        for text in ["[[registry]]\n", "[registry]\nlocation = \"a.b\"\n", "registry = 1\n", "[[registry\n"] {
            try put("registries.conf", text)
            #expect(throws: NodeConfigurationError.self, "\(text)") { try configuration().apply(logger: logger) }
        }
        try put("registries.conf", "")
        try put("registries.conf.d/a.conf", "[registries.insecure]\nregistries = []\n")
        #expect(throws: NodeConfigurationError.self) { try configuration().apply(logger: logger) }
    }

    @Test("neither replaces nor removes a file of another origin")
    func foreign() throws {
        let text = "[[registry]]\nlocation = \"a.corp\"\n"
        try put(Self.own, text)
        #expect(throws: NodeConfigurationError.self) { try configuration().apply(logger: logger) }
        #expect(try !restore())
        #expect(try folder.read(Self.own) == text)
    }

    @Test("keeps edits beside the file", arguments: [true, false])
    func edited(isCleanUp: Bool) throws {
        try configuration().apply(logger: logger)
        let edited = (try folder.read(Self.own) ?? "") + "[[registry]]\nlocation = \"a.corp\"\ninsecure = true\n"
        try put(Self.own, edited)
        #expect(try RegistriesState.read(folder: folder.path + "/registries.conf.d")?.isEdited == true)
        if isCleanUp {
            #expect(try restore())
            #expect(try Files.names(in: folder.path + "/registries.conf.d") == ["zz-spegel.conf.edited"])
        } else {
            #expect(try tables(try configuration()) == Self.hub)
        }
        #expect(try folder.read(Self.own + ".edited") == edited)
    }

    @Test("removes what a killed run has left, and nothing else", arguments: [true, false])
    func leftovers(isCleanUp: Bool) throws {
        try configuration().apply(logger: logger)
        let own = try folder.read(Self.own) ?? ""
        let others = ["registries.conf.d/.tmp-note": "mine", "registries.conf.d/.hidden": ""]
        for (name, text) in others { try put(name, text) }
        for (name, text) in [("a", ""), ("b", String(own.prefix(20))), ("c", own), ("d", String(own.dropLast(9)))] {
            try put("registries.conf.d/.tmp-" + name, text)
        }
        if isCleanUp { #expect(try restore()) } else { #expect(try !configuration().apply(logger: logger)) }
        let names = try Files.names(in: folder.path + "/registries.conf.d")?.sorted()
        #expect(names == [".hidden", ".tmp-note"] + (isCleanUp ? [] : ["zz-spegel.conf"]))
    }

    @Test("finds a later file that replaces a table")
    func replaced() throws {
        let path = folder.path + "/registries.conf.d"
        #expect(try RegistriesState.read(folder: path) == nil)
        try configuration(["https://docker.io", "https://quay.io"]).apply(logger: logger)
        try put("registries.conf.d/zzz.conf", "[[registry]]\nlocation = \"quay.io\"\n")
        let found = try RegistriesState.read(folder: path)
        let state = try #require(found)
        #expect(state.mirrored == ["docker.io"] && state.replaced == ["quay.io"] && !state.isEdited)
    }
}
