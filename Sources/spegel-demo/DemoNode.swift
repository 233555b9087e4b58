import ContentStore
import Glibc
import Subprocess
import SystemPackage

/// A node of the demo: a process with a loopback address and a store of its own.
struct DemoNode: Sendable {
    static let registryPort: UInt16 = 15000
    static let routerPort = 15001
    static let metricsPort = 19090

    let number: Int
    let binary: String
    let folder: String

    var address: String { "127.0.0.\(10 + number)" }
    /// The URL of the node's page.
    var page: String { "http://\(address):\(Self.metricsPort)/debug/web/" }
    var store: String { "\(folder)/node\(number)/store" }
    private var log: String { "\(folder)/node\(number)/log" }

    init(number: Int, binary: String, folder: String) throws {
        self.number = number
        self.binary = binary
        self.folder = folder
        _ = try ImageLayoutWriter(path: store)
    }

    /// Runs the node until the task is cancelled, then stops it, by force after five seconds.
    func run() async throws {
        let output = try FileDescriptor.open(
            FilePath(log),
            .writeOnly,
            options: [.create, .truncate],
            permissions: .ownerReadWrite
        )
        var options = PlatformOptions()
        options.teardownSequence = [.gracefulShutDown(allowedDurationToNextStep: .seconds(5))]
        let result = try await Subprocess.run(
            .path(FilePath(binary)),
            arguments: [
                "registry",
                "--store=\(store)",
                "--data-dir=\(folder)/node\(number)/data",
                "--registry-addr=\(address):\(Self.registryPort)",
                "--router-addr=\(address):\(Self.routerPort)",
                "--metrics-addr=\(address):\(Self.metricsPort)",
                "--bootstrap-kind=static",
                "--static-bootstrap-peers=/ip4/127.0.0.11/tcp/\(Self.routerPort)",
            ],
            platformOptions: options,
            input: .none,
            output: .fileDescriptor(output, closeAfterSpawningProcess: false),
            error: .fileDescriptor(output, closeAfterSpawningProcess: true)
        )
        if !Task.isCancelled {
            throw DemoError("node \(number) ended unexpectedly (\(result.terminationStatus)); see \(log)")
        }
    }

    /// Waits until the node is ready and knows a number of peers.
    func waitUntilConnected(peers: Int) async throws {
        var last = "not listening"
        for _ in 0..<1000 {
            if let answer = try? await HTTPFetch.get(address, Self.registryPort, "/readyz"), let body = answer.body {
                last = String(decoding: body, as: UTF8.self)
                if answer.status == 200, last.contains("\(peers) peers") { return }
            }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw DemoError("expected \(peers) peers of node \(number) within 10 s: \(last); see \(log)")
    }
}
