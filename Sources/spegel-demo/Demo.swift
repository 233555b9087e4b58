import FoundationEssentials
import Glibc
import OCI
import ServiceLifecycle
import UnixSignals

/// The main job on one machine: three nodes on loopback addresses, an image on the first one only, and a pull of it
/// through the third one.
@main
struct Demo {
    let binary: String
    let folder: String

    static func main() async {
        let arguments = CommandLine.arguments
        guard arguments.count == 3 else {
            printError("usage: spegel-demo PATH-OF-SPEGEL WORK-FOLDER")
            exit(64)
        }
        do {
            try await Demo(binary: arguments[1], folder: arguments[2]).runUntilInterrupted()
        } catch is Interrupted {
            print("Interrupted, stopped all nodes.")
            exit(130)
        } catch {
            printError("demo: \(error)")
            exit(1)
        }
    }

    private func runUntilInterrupted() async throws {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
            group.addTask {
                for await _ in signals { throw Interrupted() }
                return false
            }
            group.addTask {
                try await run()
                return true
            }
            _ = try await group.next()
            group.cancelAll()
        }
    }

    private func run() async throws {
        try? FileManager.default.removeItem(atPath: folder)
        let nodes = try (1...3).map { try DemoNode(number: $0, binary: binary, folder: folder) }

        let image = try DemoImage.make(in: nodes[0].store)
        print("Made \(image.reference) in the store of node 1: \(image.layerCount) layers, \(size(image.totalSize)).")

        try await withThrowingTaskGroup(of: Void.self) { group in
            for node in nodes { group.addTask { try await node.run() } }
            group.addTask { try await show(nodes, image) }
            // The demo ends first, unless a node fails to start.
            try await group.next()
            group.cancelAll()
            // Nodes that are stopped end with an error that does not matter.
            while let result = await group.nextResult() { _ = result }
        }
        print("Stopped the nodes. Their logs are in \(folder).")
    }

    private func show(_ nodes: [DemoNode], _ image: DemoImage) async throws {
        let clock = ContinuousClock()
        let formed = try await clock.measure {
            for node in nodes { try await node.waitUntilConnected(peers: nodes.count - 1) }
        }
        let places = nodes.map(\.address).joined(separator: ", ")
        print("Started three nodes on \(places); they formed a network in \(seconds(formed)).")
        print("The page of node 3, while it runs: \(nodes[2].page)")

        print("\nPulling through node 3, which holds nothing:")
        let puller = DemoPull(node: nodes[2], holders: nodes)
        let time = try await clock.measure { try await puller.pull(image) }
        let report = puller.report
        let rate = Double(report.bytes) / time.inSeconds / 1e6
        print("All \(report.count) digests match: \(size(report.bytes)) in \(seconds(time)), \(Int(rate)) MB/s.")

        print("\nRequesting an image from node 3 that no node has:")
        let missing = image.reference.replacing(":1", with: ":no-node-has-this")
        let answer = try await puller.request(.manifest, try Reference(missing))
        let body = answer.body.map { String(decoding: $0, as: UTF8.self) } ?? ""
        guard answer.status == 404 else { throw DemoError("expected 404, got \(answer.status)") }
        print("  404 in \(seconds(answer.time)): \(body)")
        print("  containerd would now ask the upstream registry.\n")
        try await waitForReader(of: nodes[2].page, for: image)
    }

    /// Keeps the nodes running until Enter is pressed, if the demo runs in a terminal.
    private func waitForReader(of page: String, for image: DemoImage) async throws {
        guard isatty(STDIN_FILENO) == 1, isatty(STDOUT_FILENO) == 1 else { return }
        print("The nodes run until you press Enter. Search for \(image.reference) on \(page)")
        var input = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
        while poll(&input, 1, 0) == 0 { try await Task.sleep(for: .milliseconds(100)) }
    }
}

/// Writes a line to standard error.
func printError(_ text: String) {
    let line = Array((text + "\n").utf8)
    _ = write(STDERR_FILENO, line, line.count)
}

/// Thrown on Ctrl-C.
struct Interrupted: Error {}

/// An unexpected result.
struct DemoError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

extension Duration {
    var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}

/// A duration in words.
func seconds(_ duration: Duration) -> String {
    let value = duration.inSeconds
    return value < 1 ? "\(Double(Int(value * 10_000)) / 10) ms" : "\(Double(Int(value * 100)) / 100) s"
}

/// A number of bytes in words.
func size(_ bytes: Int64) -> String {
    switch bytes {
    case ..<10_000: "\(bytes) B"
    case ..<10_000_000: "\(bytes / 1000) kB"
    default: "\(bytes / 1_000_000) MB"
    }
}
