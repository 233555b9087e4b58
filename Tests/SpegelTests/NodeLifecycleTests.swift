import ArgumentParser
import FoundationEssentials
import Glibc
import Logging
import Monitoring
import ServiceLifecycle
import Synchronization
import Testing

@testable import spegel

/// A whole node in this process, with an image layout instead of a containerd.
@Suite(.serialized)
struct NodeLifecycleTests {
    /// A folder with an empty image layout, gone afterwards.
    func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = "/tmp/spegel-node-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        let manager = FileManager.default
        try manager.createDirectory(atPath: folder + "/store/blobs/sha256", withIntermediateDirectories: true)
        try Data(#"{"imageLayoutVersion":"1.0.0"}"#.utf8).write(to: URL(filePath: folder + "/store/oci-layout"))
        try Data(#"{"schemaVersion":2,"manifests":[]}"#.utf8).write(to: URL(filePath: folder + "/store/index.json"))
        do {
            try await body(folder)
        } catch {
            try? manager.removeItem(atPath: folder)
            throw error
        }
        try manager.removeItem(atPath: folder)
    }

    /// Lines that are logged, as `LEVEL message`.
    final class Lines: Sendable {
        private let lines = Mutex<[String]>([])

        var all: [String] { lines.withLock { $0 } }

        func add(_ line: String) { lines.withLock { $0.append(line) } }
    }

    func node(_ folder: String, lines: Lines) throws -> Node {
        let command = try #require(
            try Spegel.parseAsRoot([
                "registry", "--store=\(folder)/store", "--data-dir=\(folder)/data", "--registry-addr=127.0.0.1:0",
                "--router-addr=127.0.0.1:0", "--metrics-addr=127.0.0.1:0",
            ]) as? RegistryCommand
        )
        let output = LogOutput(format: .json) { lines.add($0) }
        return Node(command, output: output, logger: output.logger(label: "spegel", level: .info))
    }

    /// Runs a node until it listens, then stops it in good order.
    func startAndStop(_ folder: String, lines: Lines) async throws {
        let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(services: [try node(folder, lines: lines)], logger: quiet)
        )
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            for _ in 0..<4000 where !lines.all.contains(where: { $0.contains("content store read") }) {
                try await Task.sleep(for: .milliseconds(5))
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    func count(_ folder: String) -> Int {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).count
    }

    @Test func aHealthyStartLogsNothingAboveInfo() async throws {
        try await withFolder { folder in
            let lines = Lines()
            try await startAndStop(folder, lines: lines)
            #expect(lines.all.contains { $0.contains(#""level":"INFO","msg":"content store read""#) })
            #expect(lines.all.contains { $0.contains(#""msg":"stopped""#) })
            #expect(lines.all.filter { !$0.contains(#""level":"INFO""#) } == [])
        }
    }

    @Test func aHundredStartsAndStopsLeaveNothingBehind() async throws {
        try await withFolder { folder in
            // What is made once for the whole process is made in the first rounds.
            for _ in 0..<3 { try await startAndStop(folder, lines: Lines()) }
            let descriptors = count("/proc/self/fd")
            let threads = count("/proc/self/task")
            for _ in 0..<100 { try await startAndStop(folder, lines: Lines()) }
            // A thread that has ended may be listed for a moment.
            for _ in 0..<200 where count("/proc/self/task") > threads || count("/proc/self/fd") > descriptors {
                try await Task.sleep(for: .milliseconds(50))
            }
            #expect(count("/proc/self/fd") <= descriptors)
            #expect(count("/proc/self/task") <= threads)
        }
    }
}
