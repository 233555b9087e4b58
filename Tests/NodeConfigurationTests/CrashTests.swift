import Files
import Logging
import Synchronization
import TestSupport
import Testing

@testable import NodeConfiguration

/// Stops the work before every single step in turn, as a crash would, and goes on with another run.
@Suite("A crash in the middle")
struct CrashTests {
    private struct Crash: Error {}

    /// Lets a number of steps through, then fails all.
    private final class Fuse: Sendable {
        private let left: Mutex<Int>

        init(_ steps: Int) {
            left = Mutex(steps)
        }

        var editor: FolderEditor {
            FolderEditor { _ in
                try self.left.withLock { left in
                    guard left > 0 else { throw Crash() }
                    left -= 1
                }
            }
        }
    }

    private static let before = [
        "docker.io/hosts.toml": "[host.\"https://z.lab\"]\nca = \"ca.crt\"\n",
        "docker.io/ca.crt": "certificate",
        "ghcr.io/hosts.toml": "server = \"https://x\"\n",
        "notes": "text",
    ]

    private func make() throws -> (TemporaryFolder, MirrorConfiguration) {
        let folder = try TemporaryFolder()
        for (name, content) in Self.before { try folder.write(content, to: name) }
        let configuration = MirrorConfiguration(
            registryConfigPath: folder.path,
            mirroredRegistries: [try RegistryURL("https://docker.io"), try RegistryURL("http://registry.lab:5000")],
            mirrorTargets: [try RegistryURL("http://127.0.0.1:30020")],
            prependExisting: true
        )
        return (folder, configuration)
    }

    /// Every file from before is somewhere it is found again.
    private func isComplete(_ folder: TemporaryFolder) throws -> Bool {
        try Self.before.allSatisfy { name, content in
            try ["", "_backup/", "_backup.moving/"].contains { try folder.read($0 + name) == content }
        }
    }

    /// Runs with ever more steps until nothing fails; gives how many there were.
    private func countSteps(_ run: (Int) throws -> Bool) throws -> Int {
        for steps in 0..<200 {
            if try run(steps) { return steps }
        }
        Issue.record("never done")
        return 0
    }

    private func crashes(_ work: () throws -> Void) throws -> Bool {
        do {
            try work()
            return false
        } catch is Crash {
            return true
        }
    }

    @Test("while writing: nothing is lost, and the next run ends as if nothing had happened")
    func apply() throws {
        let (reference, configuration) = try make()
        try configuration.apply(logger: Logger(label: "test"))
        let expected = try reference.tree()
        #expect(expected["docker.io/hosts.toml"]?.contains("z.lab") == true)
        let steps = try countSteps { steps in
            let (folder, configuration) = try make()
            let didCrash = try crashes { try configuration.apply(editor: Fuse(steps).editor) }
            #expect(try isComplete(folder))
            try configuration.apply(logger: Logger(label: "test"))
            #expect(try folder.tree() == expected)
            return !didCrash
        }
        #expect(steps > 10)
    }

    @Test("while writing, then put back: all is as it was")
    func applyThenRestore() throws {
        let original = try make().0.tree()
        let steps = try countSteps { steps in
            let (folder, configuration) = try make()
            let didCrash = try crashes { try configuration.apply(editor: Fuse(steps).editor) }
            try MirrorConfiguration.restore(path: folder.path, logger: Logger(label: "test"))
            #expect(try folder.tree() == original)
            return !didCrash
        }
        #expect(steps > 10)
    }

    @Test("while putting back: nothing is lost, and the next run of either kind goes on")
    func restore() throws {
        let (reference, configuration) = try make()
        let original = try reference.tree()
        try configuration.apply(logger: Logger(label: "test"))
        let expected = try reference.tree()
        let steps = try countSteps { steps in
            var didCrash = false
            for applyNext in [true, false] {
                let (folder, configuration) = try make()
                try configuration.apply(logger: Logger(label: "test"))
                didCrash = try crashes {
                    try MirrorConfiguration.restore(path: folder.path, editor: Fuse(steps).editor)
                }
                #expect(try isComplete(folder))
                if applyNext {
                    try configuration.apply(logger: Logger(label: "test"))
                    #expect(try folder.tree() == expected)
                } else {
                    try MirrorConfiguration.restore(path: folder.path, logger: Logger(label: "test"))
                    #expect(try folder.tree() == original)
                }
            }
            return !didCrash
        }
        #expect(steps > 5)
    }

    @Test("twice in a row, at any two steps")
    func twice() throws {
        let (reference, configuration) = try make()
        try configuration.apply(logger: Logger(label: "test"))
        let expected = try reference.tree()
        for first in 0..<12 {
            for second in 0..<12 {
                let (folder, configuration) = try make()
                _ = try crashes { try configuration.apply(editor: Fuse(first).editor) }
                _ = try crashes { try MirrorConfiguration.restore(path: folder.path, editor: Fuse(second).editor) }
                #expect(try isComplete(folder), "after \(first) and \(second) steps")
                try configuration.apply(logger: Logger(label: "test"))
                #expect(try folder.tree() == expected, "after \(first) and \(second) steps")
            }
        }
    }
}
