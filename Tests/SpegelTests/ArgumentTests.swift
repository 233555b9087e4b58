import ArgumentParser
import Kubernetes
import Logging
import Multiformats
import OCI
import Registry
import Routing
import TestSupport
import Testing

@testable import spegel

struct ArgumentTests {
    func parse(_ line: [String], _ environment: [String: String] = [:]) throws -> RegistryCommand {
        let prepared = try PreparedArguments(arguments: line, environment: environment, root: Spegel.self)
        return try #require(try Spegel.parseAsRoot(prepared.arguments) as? RegistryCommand)
    }

    @Test func defaultsAreSpegels() throws {
        let command = try parse(["registry"])
        #expect(command.registryAddr.port == 5000 && command.registryAddr.host == nil)
        #expect(command.routerAddr.port == 5001)
        #expect(command.metricsAddr.port == 9090)
        #expect(command.mirrorResolveTimeout.duration == .milliseconds(20))
        #expect(command.mirrorResolveRetries == 3)
        #expect(command.resolveTags.isOn)
        #expect("\(command.verify)" == "auto")
        #expect(command.containerdSock == "/run/containerd/containerd.sock")
        #expect(command.containerdNamespace == "k8s.io")
        #expect(command.dataDir == "/var/lib/spegel")
        #expect(try command.registryNames() == nil)
        #expect(try command.bootstrap.places().isEmpty)
    }

    @Test func everySettingHasAVariable() throws {
        let help = RegistryCommand.helpMessage(includeHidden: true, columns: 200)
        for setting in RegistryCommand.settingNames { #expect(help.contains("--\(setting)"), "\(setting)") }
        for setting in ConfigurationCommand.settingNames {
            #expect(
                ConfigurationCommand.helpMessage(includeHidden: true, columns: 200).contains("--\(setting)"),
                "\(setting)"
            )
        }
        for setting in CleanupCommand.settingNames {
            #expect(
                CleanupCommand.helpMessage(includeHidden: true, columns: 200).contains("--\(setting)"),
                "\(setting)"
            )
        }
        for setting in CleanupWaitCommand.settingNames {
            #expect(CleanupWaitCommand.helpMessage(columns: 200).contains("--\(setting)"), "\(setting)")
        }
    }

    @Test func aFlagWinsOverItsVariable() throws {
        let environment = ["REGISTRY_ADDR": "127.0.0.1:7000", "ROUTER_ADDR": ":7001", "RESOLVE_TAGS": "false"]
        let command = try parse(["registry", "--registry-addr", ":6000"], environment)
        #expect(command.registryAddr.port == 6000)
        #expect(command.routerAddr.port == 7001)
        #expect(!command.resolveTags.isOn)
    }

    @Test(arguments: [
        ("docker.io", "docker.io"), ("index.docker.io", "docker.io"), ("registry-1.docker.io", "docker.io"),
        ("Registry.Corp:5000", "Registry.Corp:5000"), ("", nil),
    ])
    func defaultRegistryIsAName(text: String, name: String?) throws {
        #expect(
            try parse(["registry", "--default-registry", text]).registryConfiguration().defaultRegistry?.text == name
        )
        #expect(try parse(["registry"], ["DEFAULT_REGISTRY": text]).defaultRegistryName()?.text == name)
        #expect(try parse(["registry"]).registryConfiguration().defaultRegistry == nil)
        let mirrored = ["--mirrored-registries", "https://docker.io", "https://Registry.Corp:5000"]
        #expect(try parse(["registry", "--default-registry", text] + mirrored).defaultRegistryName()?.text == name)
    }

    @Test func verificationIsChosen() throws {
        #expect("\(try parse(["registry", "--verify=always"]).verify)" == "always")
        #expect("\(try parse(["registry"], ["VERIFY": "always"]).verify)" == "always")
    }

    @Test func flagsBeforeTheCommandAndBareSwitchesAreUnderstood() throws {
        let command = try parse(["--log-level", "DEBUG", "registry", "--resolve-tags", "--data-dir=/x"])
        #expect(command.common.logLevel == .debug)
        #expect(command.resolveTags.isOn)
        #expect(command.dataDir == "/x")
        #expect(try !parse(["registry", "--resolve-tags", "false"]).resolveTags.isOn)
        #expect(try !parse(["registry", "--resolve-tags=false"]).resolveTags.isOn)
    }

    @Test(arguments: Spegel.configuration.subcommands.compactMap { $0.configuration.commandName })
    func helpExplainsTheCommand(_ name: String) throws {
        let prepared = try PreparedArguments(arguments: ["help", name], environment: [:], root: Spegel.self)
        #expect(prepared.arguments == ["help", name])
        let error = try #require(throws: (any Error).self) {
            var command = try Spegel.parseAsRoot(prepared.arguments)
            try command.run()
        }
        #expect(Spegel.exitCode(for: error).isSuccess)
        #expect(Spegel.fullMessage(for: error).contains("spegel \(name)"))
    }

    @Test(arguments: [
        ("regsitry", "'registry'"), ("stauts", "'status'"), ("clean", "expected one of registry"),
        ("nothing", "expected one of registry"), ("Registry", "'registry'"), ("cleanup-wiat", "'cleanup-wait'"),
    ])
    func unknownCommandIsAnErrorWithASuggestion(_ word: String, _ part: String) throws {
        for line in [[word], [word, "--log-level=debug"], ["--log-level", "debug", word]] {
            let error = try #require(throws: PreparedArguments.UnknownCommand.self) {
                try PreparedArguments(arguments: line, environment: [:], root: Spegel.self)
            }
            #expect(error.description.contains("'\(word)'") && error.description.contains(part), "\(error)")
        }
    }

    @Test(arguments: [
        (["--zone", "pull", "registry"], "registry"), (["--zone", "status", "registry", "--strict"], "registry"),
        (["--mirrored-registries", "https://a.b", "https://c.d", "registry"], "registry"),
        (["--resolve-tags", "false", "registry"], "registry"), (["pull", "help"], "pull"),
        (["pull", "registry"], "pull"),
    ])
    func valueOfAFlagIsNoCommand(_ line: [String], _ name: String) throws {
        let prepared = try PreparedArguments(arguments: line, environment: [:], root: Spegel.self)
        #expect(prepared.commandPath == "spegel \(name)" && prepared.arguments.first == name)
    }

    @Test(arguments: [["--version"], ["--help"], ["-h"], [], ["help"], ["--generate-completion-script", "bash"]])
    func lineWithoutACommandIsTheParsers(_ line: [String]) throws {
        #expect(try PreparedArguments(arguments: line, environment: [:], root: Spegel.self).arguments == line)
    }

    @Test(arguments: [
        ["--mirrored-registries", "https://docker.io", "http://registry.lab:5000"],
        ["--mirrored-registries=https://docker.io,http://registry.lab:5000"],
        ["--mirrored-registries", "https://docker.io", "--mirrored-registries", "http://registry.lab:5000"],
    ])
    func listsAreTakenInEachForm(_ line: [String]) throws {
        let names = try parse(["registry"] + line).registryNames()
        #expect(Set((names ?? []).map(\.text)) == ["docker.io", "registry.lab:5000"])
    }

    @Test(arguments: [
        ("100kB", 100_000), ("10MB", 10_000_000), ("10MB/s", 10_000_000), ("1.5MiB", 1_572_864),
        ("1GiB", 1_073_741_824),
        ("1Gbit", 125_000_000), ("800kbit/s", 100_000), ("2GB", 2_000_000_000), ("200000B", 200_000),
    ])
    func ratesHaveUnits(text: String, expected: Int) throws {
        #expect(try parse(["registry", "--upload-rate", text]).uploadRate?.bytesPerSecond == expected)
        #expect(try parse(["registry"], ["DOWNLOAD_RATE": text]).downloadRate?.bytesPerSecond == expected)
    }

    @Test func thereIsNoRateByDefaultAndWrongOnesAreRefused() throws {
        #expect(try parse(["registry"]).uploadRate == nil)
        #expect(try parse(["registry", "--upload-rate", "0"]).uploadRate?.bytesPerSecond == nil)
        for wrong in ["", "10", "10mb", "10Mb", "MB", "1e9B", "-1MB", "99kB", "2000GB", "10MB/m", "10 MB", "nanMB"] {
            #expect(throws: (any Error).self, "\(wrong)") { try parse(["registry", "--upload-rate=\(wrong)"]) }
        }
        for wrong in ["0", "-1", "100001", "many"] {
            #expect(throws: (any Error).self) { try parse(["registry", "--max-uploads=\(wrong)"]) }
        }
    }

    @Test func aZoneIsReadAndWhatIsNoneIsRefused() throws {
        #expect(try parse(["registry"]).ownZone() == nil)
        #expect(try parse(["registry", "--zone", "eu-central-1a"]).ownZone()?.text == "eu-central-1a")
        #expect(try parse(["registry"], ["ZONE": "rack_1.row-2"]).ownZone()?.text == "rack_1.row-2")
        // As the downward API gives it on a node without the label.
        #expect(try parse(["registry"], ["ZONE": ""]).ownZone() == nil)
        for wrong in ["-a", "a b", "a/b", "zöne", String(repeating: "z", count: 64)] {
            #expect(throws: (any Error).self) { try parse(["registry", "--zone=\(wrong)"]) }
        }
    }

    @Test func rangesOfAddressesAreRead() throws {
        #expect(try parse(["registry"]).allowedRanges() == nil)
        let command = try parse(["registry", "--allow-from", "10.0.0.0/8,fd00::/8"])
        #expect(try command.allowedRanges()?.map { "\($0)" } == ["10.0.0.0/8", "fd00::/8"])
        let variable = try parse(["registry"], ["ALLOW_FROM": "192.0.2.1 10.0.0.0/8"])
        #expect(try variable.allowedRanges()?.map { "\($0)" } == ["192.0.2.1/32", "10.0.0.0/8"])
        for wrong in ["10.0.0.1/8", "10.0.0.0/33", "node1"] {
            #expect(throws: (any Error).self) { try parse(["registry", "--allow-from", wrong]) }
        }
    }

    @Test func clientsAreRestrictedByRangesOrKey() throws {
        let address = try IPAddress("192.0.2.1")
        let plain = try parse(["registry"])
        #expect(try plain.clientAccess(hasKey: false, hasPassword: false) == nil)
        #expect(try plain.clientAccess(hasKey: false, hasPassword: true) == nil)
        #expect(try plain.clientAccess(hasKey: true, hasPassword: true) == nil)
        let own = try #require(try plain.clientAccess(hasKey: true, hasPassword: false))
        #expect(own.allows(try IPAddress("127.0.0.1")))
        #expect(!own.allows(address))
        let named = try parse(["registry", "--allow-from", "gateway 192.0.2.0/24"])
        for (hasKey, hasPassword) in [(false, false), (true, false), (true, true)] {
            let access = try #require(try named.clientAccess(hasKey: hasKey, hasPassword: hasPassword))
            #expect(access.allows(address))
            #expect(!access.allows(try IPAddress("198.51.100.1")))
        }
    }

    @Test func passwordIsNotSentWithClusterKey() throws {
        #expect(try parse(["registry"]).basicAuthToPeers == .proof)
        #expect(try parse(["registry", "--basic-auth-to-peers", "plain"]).basicAuthToPeers == .plain)
        #expect(throws: (any Error).self) {
            try parse(["registry", "--basic-auth-to-peers", "plain", "--cluster-key-file", "/key"])
        }
        #expect(throws: (any Error).self) { try parse(["registry", "--basic-auth-to-peers", "both"]) }
    }

    @Test func theBootstrapKindFollowsFromWhatIsGiven() throws {
        let peers = try parse(["registry", "--static-bootstrap-peers", "/ip4/10.0.0.1/tcp/5001"])
        guard case .addresses(let addresses)? = try peers.bootstrap.places().first else {
            Issue.record("not static")
            return
        }
        #expect(addresses.map { "\($0)" } == ["/ip4/10.0.0.1/tcp/5001"])
        let dns = try parse(["registry", "--dns-bootstrap-domain", "x.svc"])
        guard case .domain("x.svc")? = try dns.bootstrap.places().first else {
            Issue.record("not dns")
            return
        }
        let http = try parse(["registry", "--http-bootstrap-peer", "http://10.0.0.1:5002/id"])
        guard case .http(nil, let url?, _)? = try http.bootstrap.places().first else {
            Issue.record("not http")
            return
        }
        #expect("\(url)" == "http://10.0.0.1:5002/id")
        let other = ["--http-bootstrap-url", "https://10.0.0.1/peers", "--http-bootstrap-cert-dir", "/certs"]
        guard case .http(nil, let url?, let tls)? = try parse(["registry"] + other).bootstrap.places().first else {
            Issue.record("not http")
            return
        }
        #expect("\(url)" == "https://10.0.0.1/peers" && tls.folder == "/certs")
    }

    /// A script that sets a log level for all commands may ask for the version, too.
    @Test(arguments: [
        (["version"], "spegel \(Version.text)"), (["--log-level=debug", "version"], "spegel \(Version.text)"),
        (["--log-level", "debug", "--config=/x", "version"], "spegel \(Version.text)"),
        (["version", "--format", "json"], #"{"version":"\#(Version.text)"}"#),
        (["--log-format", "json", "version", "--output=json"], #"{"version":"\#(Version.text)"}"#),
    ])
    func versionHasTwoFormats(_ line: [String], _ text: String) throws {
        let prepared = try PreparedArguments(arguments: line, environment: [:], root: Spegel.self)
        let command = try #require(try Spegel.parseAsRoot(prepared.arguments) as? VersionCommand)
        #expect(command.text == text)
    }

    @Test(arguments: [
        ["--bootstrap-kind=kubernetes,dns"], ["--bootstrap-kind", "kubernetes", "dns"],
        ["--bootstrap-kind=kubernetes", "--bootstrap-kind=dns", "--bootstrap-kind=dns"],
    ])
    func severalKindsMayBeGiven(_ line: [String]) throws {
        let command = try parse(["registry", "--dns-bootstrap-domain=x.svc"] + line)
        let places = try command.bootstrap.places()
        #expect(places.count == 2)
        guard case .election(let setting)? = places.first, case .domain? = places.last else {
            Issue.record("not an election and DNS")
            return
        }
        #expect(setting.name == "spegel-leader-election" && setting.namespace == nil && setting.kubeconfig == nil)
        #expect(setting.timing == ElectionTiming())
    }

    @Test(arguments: [
        ["--mirror-resolve-retries=0"], ["--mirror-resolve-timeout=20"], ["--mirror-resolve-timeout=0s"],
        ["--registry-addr=5000"], ["--registry-addr=:70000"], ["--router-addr=::1:5"], ["--bootstrap-kind=dns"],
        ["--bootstrap-kind=static"], ["--bootstrap-kind=magic"], ["--static-bootstrap-peers=10.0.0.1:5001"],
        ["--static-bootstrap-peers=/ip4/10.0.0.1"], ["--mirrored-registries=docker.io"], ["--log-level=loud"],
        ["--mirrored-registries=https://docker.io/library"], ["--resolve-tags=maybe"], ["--no-such-flag"],
        ["--bootstrap-kind=http"], ["--bootstrap-kind=dns,magic"], ["--http-bootstrap-peer=10.0.0.1:5002"],
        ["--http-bootstrap-peer=http://h/id", "--http-bootstrap-ca=/ca"],
        ["--http-bootstrap-peer=https://h/id", "--http-bootstrap-cert=/c"],
        ["--http-bootstrap-url=10.0.0.1:5002"], ["--http-bootstrap-url=http://a", "--http-bootstrap-peer=http://b"],
        ["--bootstrap-kind=kubernetes", "--leader-election-renew-deadline=10s"],
        ["--bootstrap-kind=kubernetes", "--leader-election-name=A"],
        ["--bootstrap-kind=kubernetes", "--leader-election-namespace=a/b"],
        ["--bootstrap-kind=kubernetes", "--pod-ip=10.0.0"], ["--pod-ip=1.2.3"], ["--pod-ip=host"],
        ["--leader-election-name=A"],
        ["--kademlia-prefix=spegel"], ["--provider-ttl=0s"], ["--provider-ttl=5m"], ["--provider-refresh=10m"],
        ["--provider-refresh=0s"], ["--provider-ttl=25h"], ["--verify=never"],
        ["--default-registry=https://docker.io"], ["--default-registry=docker.io/library"],
        ["--default-registry=docker.io", "--mirrored-registries=https://quay.io"],
    ])
    func wrongValuesAreUsageErrors(_ line: [String]) throws {
        let error = try #require(throws: (any Error).self) { try parse(["registry"] + line) }
        #expect(Spegel.exitCode(for: error).rawValue == 64)
    }

    @Test func anErrorNamesTheVariableThatCausedIt() throws {
        let environment = ["MIRROR_RESOLVE_RETRIES": "many"]
        let prepared = try PreparedArguments(arguments: ["registry"], environment: environment, root: Spegel.self)
        let error = try #require(throws: (any Error).self) { try Spegel.parseAsRoot(prepared.arguments) }
        let note = prepared.note(onMessage: Spegel.message(for: error))
        #expect(note == "set by the environment variable MIRROR_RESOLVE_RETRIES")
    }

    @Test(arguments: [
        ("20ms", Duration.milliseconds(20)), ("1.5s", .milliseconds(1500)), ("1m30s", .seconds(90)),
        ("2h", .seconds(7200)), ("0", .zero), ("100us", .microseconds(100)), ("1ns", .nanoseconds(1)),
    ])
    func timesAreReadAsGoWritesThem(_ text: String, _ expected: Duration) throws {
        #expect(TimeSpan(argument: text)?.duration == expected)
    }

    @Test(arguments: [
        (Duration.milliseconds(20), "20ms"), (.seconds(2), "2s"), (.seconds(600), "10m"), (.seconds(90), "90s"),
        (.seconds(7200), "2h"), (.milliseconds(1500), "1500ms"), (.microseconds(7), "7us"),
        (.nanoseconds(1001), "1001ns"),
        (.zero, "0"),
    ])
    func timesAreWrittenInTheLargestWholeUnit(_ duration: Duration, _ text: String) {
        #expect(TimeSpan(duration).description == text)
        #expect(TimeSpan(argument: text)?.duration == duration)
    }

    @Test(arguments: ["", "20", "ms", "-1s", "1 s", "1x", "1e3s", "99999999h", "1..2s", "infs", "nans"])
    func whatIsNoTimeIsRefused(_ text: String) {
        #expect(TimeSpan(argument: text) == nil)
    }

    @Test(
        arguments: [
            (":5000", nil, 5000), ("0.0.0.0:1", "0.0.0.0", 1), ("[::]:5000", "::", 5000),
            ("[fd00::1]:65535", "fd00::1", 65535),
        ] as [(String, String?, UInt16)]
    )
    func addressesAreRead(_ text: String, _ host: String?, _ port: UInt16) throws {
        let address = try #require(ListenAddress(argument: text))
        #expect(address.host == host && address.port == port)
        #expect(ListenAddress(argument: address.description) == address)
    }

    @Test(arguments: [UInt64.random(in: 0...UInt64.max)])
    func randomArgumentsNeverTrap(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let alphabet = Array("-=:,./ 0123456789abcmsh[]éµ\u{0}")
        for _ in 0..<5000 {
            let count = Int.random(in: 0...20, using: &generator)
            let text = String((0..<count).map { _ in alphabet.randomElement(using: &generator) ?? "-" })
            if let span = TimeSpan(argument: text) { #expect(span.duration >= .zero) }
            if let address = ListenAddress(argument: text) {
                #expect(ListenAddress(argument: address.description) == address)
            }
        }
        for _ in 0..<100 {
            let line = (0..<4).map { _ in String((alphabet.shuffled(using: &generator)).prefix(6)) }
            let prepared = try PreparedArguments(arguments: ["registry"] + line, environment: [:], root: Spegel.self)
            _ = try? Spegel.parseAsRoot(prepared.arguments)
        }
    }
}
