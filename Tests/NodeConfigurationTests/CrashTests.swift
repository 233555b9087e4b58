import Files
import Logging
import Synchronization
import TestSupport
import Testing

@testable import NodeConfiguration

/// Stops before every single step in turn, like a crash, and continues with another run.
@Suite("Crash in the middle")
struct CrashTests {
    private struct Crash: Error {}

    /// Allows a number of steps, then fails all.
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
    /// Changes after the first run, the last one of a written file.
    private static let additions = [
        "new.corp/hosts.toml": "server = \"https://new\"\n",
        "ghcr.io/ca.crt": "another certificate",
        "docker.io/hosts.toml": "[host.\"https://y.lab\"]\n",
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

    /// Whether every previous file is in a place where a later run finds it, and containerd finds each registry's hosts,
    /// in their old or their new form.
    private func isComplete(_ folder: TemporaryFolder) throws -> Bool {
        let isKept = try Self.before.allSatisfy { name, content in
            try ["", "_backup/", "_backup.old/"].contains { try folder.read($0 + name) == content }
        }
        let isInForce = try folder.read("docker.io/hosts.toml")?.contains("z.lab") == true
        return try isKept && isInForce && folder.read("docker.io/ca.crt") == "certificate"
            && folder.read("ghcr.io/hosts.toml") == "server = \"https://x\"\n"
    }

    /// Runs with a growing number of steps until nothing fails. Returns the number of steps.
    private func countSteps(_ run: (Int) throws -> Bool) throws -> Int {
        for steps in 0..<200 {
            if try run(steps) { return steps }
        }
        Issue.record("too many steps")
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

    @Test("while writing: loses nothing, and the next run completes")
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

    @Test("while writing, then restored: has the previous state")
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

    @Test("while restoring: loses nothing, and the next run of either kind completes")
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

    @Test("while taking over changes: loses none of them")
    func changes() throws {
        func changed() throws -> (TemporaryFolder, MirrorConfiguration) {
            let (folder, configuration) = try make()
            try configuration.apply(logger: Logger(label: "test"))
            for (name, content) in Self.additions { try folder.write(content, to: name) }
            return (folder, configuration)
        }
        let (reference, configuration) = try changed()
        try configuration.apply(logger: Logger(label: "test"))
        let expected = try reference.tree()
        try MirrorConfiguration.restore(path: reference.path, logger: Logger(label: "test"))
        let original = try reference.tree()
        for (name, content) in Self.additions { #expect(original[name] == content) }
        for cleansUp in [true, false] {
            let steps = try countSteps { steps in
                let (folder, configuration) = try changed()
                let editor = Fuse(steps).editor
                let didCrash = try crashes {
                    if cleansUp {
                        try MirrorConfiguration.restore(path: folder.path, editor: editor)
                    } else {
                        try configuration.apply(editor: editor)
                    }
                }
                if !cleansUp {
                    try configuration.apply(logger: Logger(label: "test"))
                    #expect(try folder.tree() == expected, "after \(steps) steps")
                }
                try MirrorConfiguration.restore(path: folder.path, logger: Logger(label: "test"))
                #expect(try folder.tree() == original, "after \(steps) steps, cleansUp \(cleansUp)")
                return !didCrash
            }
            #expect(steps > 10)
        }
    }

    @Test("twice in a row, at any two steps: loses nothing")
    func twice() throws {
        let (reference, configuration) = try make()
        try configuration.apply(logger: Logger(label: "test"))
        let expected = try reference.tree()
        for first in stride(from: 0, to: 60, by: 7) {
            for second in stride(from: 0, to: 24, by: 3) {
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
