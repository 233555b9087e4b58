import ContentStore
import Files
import Glibc
import OCI
import TestSupport
import Testing

@testable import ContainerdStore

/// What the content folder tells, without a containerd.
@Suite(.timeLimit(.minutes(1))) struct ContentFolderWatchTests {
    private let digest = "sha256:" + String(repeating: "a", count: 64)

    private func path(_ folder: TestSupport.TemporaryFolder, _ name: String = "") -> String {
        folder.path + "/content/blobs/sha256" + (name.isEmpty ? "" : "/" + name)
    }

    private func next(_ channel: ChangeChannel) async throws -> StoreChange? {
        try await withThrowingTaskGroup(of: StoreChange?.self) { group in
            group.addTask { try await channel.next() }
            group.addTask {
                try await Task.sleep(for: .seconds(10))
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
    }

    @Test func tellsCommitAndRemoval() async throws {
        let folder = try TestSupport.TemporaryFolder()
        try Files.makeFolder(path(folder))
        let channel = ChangeChannel(limit: 16)
        let task = Task { [root = folder.path + "/content"] in await ContentFolderWatch.run(root, into: channel) }
        defer { task.cancel() }
        try await Task.sleep(for: .milliseconds(300))
        let digest = try Digest(digest)
        // As containerd does: written elsewhere, then renamed.
        try Files.replace(folder.path + "/data", with: [1, 2, 3])
        #expect(rename(folder.path + "/data", path(folder, String(digest.hex))) == 0)
        #expect(try await next(channel) == .contentAdded(digest))
        try Files.remove(path(folder, String(digest.hex)))
        #expect(try await next(channel) == .contentRemoved(digest))
    }

    /// A containerd that has never pulled has no folder yet; and a folder may be replaced.
    @Test func followsAFolderThatAppearsOrIsReplaced() async throws {
        let folder = try TestSupport.TemporaryFolder()
        let channel = ChangeChannel(limit: 16)
        let task = Task { [root = folder.path + "/content"] in await ContentFolderWatch.run(root, into: channel) }
        defer { task.cancel() }
        let digest = try Digest(digest)
        for _ in 0..<2 {
            try await Task.sleep(for: .milliseconds(100))
            try Files.makeFolder(path(folder))
            // Something may have changed before the watch.
            #expect(try await next(channel) == .unknown)
            try await Task.sleep(for: .milliseconds(1200))
            try Files.replace(folder.path + "/data", with: [1])
            #expect(rename(folder.path + "/data", path(folder, String(digest.hex))) == 0)
            var change = try await next(channel)
            while change == .unknown { change = try await next(channel) }
            #expect(change == .contentAdded(digest))
            try Files.remove(folder.path + "/content")
            while try await next(channel) != .contentRemoved(digest) {}
        }
    }
}
