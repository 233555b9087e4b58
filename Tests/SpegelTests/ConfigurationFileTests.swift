import ArgumentParser
import FoundationEssentials
import Glibc
import Testing

@testable import spegel

struct ConfigurationFileTests {
    static let known = Set(RegistryCommand.settingNames + ConfigurationCommand.settingNames).subtracting(["config"])

    func values(_ text: String) throws -> [String: [String]] {
        try ConfigurationFile(path: "spegel.yaml", text: Array(text.utf8), known: Self.known).values
    }

    /// A file that is gone afterwards.
    func withFile(_ text: String, _ body: (String) throws -> Void) throws {
        let path = "/tmp/spegel-configuration-\(getpid())-\(UInt32.random(in: 0 ... .max)).yaml"
        try Data(text.utf8).write(to: URL(filePath: path))
        defer { unlink(path) }
        try body(path)
    }

    @Test func settingsAreNamedLikeFlags() throws {
        let text = """
            # A comment.
            registry-addr: ":6000"
            mirror-resolve-retries: 5
            resolve-tags: false
            store: null
            mirrored-registries:
              - https://docker.io
              - "https://quay.io"
            static-bootstrap-peers: [/ip4/10.0.0.1/tcp/5001]
            """
        #expect(
            try values(text) == [
                "registry-addr": [":6000"], "mirror-resolve-retries": ["5"], "resolve-tags": ["false"],
                "mirrored-registries": ["https://docker.io", "https://quay.io"],
                "static-bootstrap-peers": ["/ip4/10.0.0.1/tcp/5001"],
            ]
        )
        #expect(try values("").isEmpty)
    }

    @Test(arguments: [
        ("zone: 1.10", "1.10"), ("zone: '012'", "012"), ("zone: 0", "0"), ("zone: 1e3", "1e3"), ("zone: 0.5", "0.5"),
        ("zone: 12345678901234567890", "12345678901234567890"), ("zone: 01a", "01a"),
    ])
    func numbersStayAsWritten(_ text: String, _ value: String) throws {
        #expect(try values(text) == ["zone": [value]])
    }

    @Test(arguments: [
        ("registry-adr: x", "did you mean 'registry-addr'?"), ("log_level: info", "did you mean 'log-level'?"),
        ("REGISTRY_ADDR: x", "unknown setting 'REGISTRY_ADDR'"), ("whatever: 1", "unknown setting 'whatever'"),
        ("config: other.yaml", "unknown setting 'config'"), ("print-config: true", "unknown setting"),
        ("- a", "expected lines such as"), ("log-level: {a: b}", "got a mapping"),
        ("mirrored-registries: [[a, b]]", "simple values"), ("log-level: info\nlog-level: info", "line 2"),
        ("log-level: 'open", "line 1"), ("mirror-resolve-retries: 012", "without a leading zero"),
        ("mirrored-registries: [a, 00]", "line 1"), ("zone: -01.5", "in quotes"),
    ])
    func whatIsWrongIsNamed(_ text: String, _ part: String) throws {
        let error = #expect(throws: ConfigurationFile.Failure.self) { try values(text) }
        #expect("\(error.map { "\($0)" } ?? "")".contains(part))
        #expect("\(error.map { "\($0)" } ?? "")".contains("spegel.yaml"))
    }

    @Test func flagsWinOverVariablesAndTheseOverTheFile() throws {
        let text = """
            registry-addr: ":6000"
            router-addr: ":6001"
            metrics-addr: ":6090"
            resolve-tags: false
            mirror-targets: [http://127.0.0.1:5000]
            """
        try withFile(text) { path in
            let prepared = try PreparedArguments(
                arguments: ["registry", "--config", path, "--registry-addr=:7000"],
                environment: ["REGISTRY_ADDR": ":8000", "ROUTER_ADDR": ":8001"],
                root: Spegel.self
            )
            let command = try #require(try Spegel.parseAsRoot(prepared.arguments) as? RegistryCommand)
            #expect(command.registryAddr.port == 7000)
            #expect(command.routerAddr.port == 8001)
            #expect(command.metricsAddr.port == 6090)
            #expect(!command.resolveTags.isOn)
            #expect(prepared.sources["registry-addr"] == .flag)
            #expect(prepared.sources["router-addr"] == .variable("ROUTER_ADDR"))
            #expect(prepared.sources["metrics-addr"] == .file(path))
            #expect(prepared.sources["data-dir"] == nil)
        }
    }

    @Test func theVariableNamesTheFileToo() throws {
        try withFile("mirror-resolve-retries: many") { path in
            let prepared = try PreparedArguments(
                arguments: ["registry"],
                environment: ["CONFIG": path],
                root: Spegel.self
            )
            let error = try #require(throws: (any Error).self) { try Spegel.parseAsRoot(prepared.arguments) }
            #expect(prepared.note(onMessage: Spegel.message(for: error)) == "set by the file \(path)")
        }
        #expect(throws: ConfigurationFile.Failure.self) {
            try PreparedArguments(arguments: ["registry", "--config=/nowhere"], environment: [:], root: Spegel.self)
        }
    }

    @Test func whatIsPrintedCanBeReadBack() throws {
        let line = [
            "registry", "--registry-addr=:7000", "--mirrored-registries", "https://docker.io", "https://quay.io",
            "--data-dir=/a \"b\"\\c", "--log-format=json",
        ]
        let prepared = try PreparedArguments(
            arguments: line,
            environment: ["LOG_LEVEL": "debug"],
            root: Spegel.self
        )
        let command = try #require(try Spegel.parseAsRoot(prepared.arguments) as? RegistryCommand)
        let settings = EffectiveSettings(of: command)
        for name in RegistryCommand.settingNames { #expect(settings[name] != nil, "\(name)") }
        let text = settings.yaml(secrets: [], sources: prepared.sources)
        #expect(text.contains("registry-addr: \":7000\"  # flag\n"))
        #expect(text.contains("log-level: \"debug\"  # environment variable LOG_LEVEL\n"))
        #expect(text.contains("mirror-resolve-timeout: \"20ms\"  # default\n"))
        #expect(text.contains("store: null  # default\n"))
        let read = try values(text)
        #expect(read["data-dir"] == ["/a \"b\"\\c"])
        #expect(read["mirrored-registries"] == ["https://docker.io", "https://quay.io"])
        try withFile(text) { path in
            let again = try PreparedArguments(
                arguments: ["registry", "--config=\(path)"],
                environment: [:],
                root: Spegel.self
            )
            let other = try #require(try Spegel.parseAsRoot(again.arguments) as? RegistryCommand)
            let everything = EffectiveSettings(of: other)
            for name in RegistryCommand.settingNames where name != "config" {
                #expect(everything[name] == settings[name], "\(name)")
            }
        }
    }

    @Test func secretsAreNotPrinted() throws {
        let command = try #require(try Spegel.parseAsRoot(["registry", "--data-dir=/hush"]) as? RegistryCommand)
        let text = EffectiveSettings(of: command).yaml(secrets: ["data-dir", "store"], sources: [:])
        #expect(!text.contains("hush"))
        #expect(text.contains("data-dir: \"(secret)\"  # default\n"))
        #expect(text.contains("store: null  # default\n"))
    }

    @Test func theNearestNameIsNearEnough() {
        let names = ["registry-addr", "router-addr", "store"]
        #expect(nearestName(to: "regsitry-addr", among: names) == "registry-addr")
        #expect(nearestName(to: "stor", among: names) == "store")
        #expect(nearestName(to: "Store", among: names) == "store")
        #expect(nearestName(to: "bootstrap", among: names) == nil)
        #expect(nearestName(to: "", among: names) == nil)
        #expect(nearestName(to: "x", among: [String]()) == nil)
    }
}
