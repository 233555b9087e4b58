import Files
import Logging
import OCI
import TestSupport
import Testing

@testable import ContentStore

@Suite("Changes of an image layout", .timeLimit(.minutes(1)), .serialized)
struct ImageLayoutWatchTests {
    private let folder: TemporaryFolder
    private let writer: ImageLayoutWriter
    private let store: ImageLayoutStore

    init() throws {
        folder = try TemporaryFolder()
        writer = try ImageLayoutWriter(path: folder.path)
        store = try ImageLayoutStore(path: folder.path, logger: Logger(label: "test"))
    }

    private func changes(watchFolders: Bool = true) -> AsyncThrowingStream<StoreChange, any Error> {
        let short = Duration.milliseconds(5)
        return store.changes(interval: short, pollingInterval: short, watchFolders: watchFolders)
    }

    private func inotifyCount() throws -> Int {
        try openDescriptors { $0.contains("inotify") }
    }

    @Test("reports new content, new image, deleted image in order")
    func order() async throws {
        var changes = changes().makeAsyncIterator()
        let name = try Reference("docker.io/x:1")
        let target = try writer.addManifest(Array("{\"manifests\":[]}".utf8), name: name)
        #expect(try await changes.next() == .contentAdded(target.digest))
        #expect(try await changes.next() == .imageUpdated(name: "docker.io/x:1"))
        try writer.setImage(name, to: target)
        let other = try writer.addBlob([1])
        #expect(try await changes.next() == .contentAdded(other.digest))
        let next = try writer.addManifest(Array("{\"layers\":[]}".utf8), name: name)
        #expect(try await changes.next() == .contentAdded(next.digest))
        #expect(try await changes.next() == .imageUpdated(name: "docker.io/x:1"))
        try writer.removeImage(name)
        #expect(try await changes.next() == .imageDeleted(name: "docker.io/x:1"))
        try writer.removeBlob(other.digest)
        #expect(try await changes.next() == .unknown)
    }

    @Test("reports no existing content, foreign files or half-written indexes")
    func silence() async throws {
        try writer.addBlob([1])
        var changes = changes().makeAsyncIterator()
        try folder.write("x", to: "blobs/sha256/odd")
        try folder.write("{", to: "index.json")
        try folder.write("x", to: "unrelated")
        let last = try writer.addBlob([2])
        #expect(try await changes.next() == .contentAdded(last.digest))
    }

    @Test("watches folders that are created later")
    func laterFolders() async throws {
        try Files.remove(folder.path + "/blobs")
        var changes = changes().makeAsyncIterator()
        let first = try writer.addBlob([1])
        #expect(try await changes.next() == .unknown)
        #expect(try await store.contents() == [first])
        let sink = try writer.makeBlob(.sha512)
        try sink.write([2])
        _ = try sink.finish()
        // The folder of the other algorithm is new. The content in it may be reported, too.
        var sawUnknown = false
        while !sawUnknown { sawUnknown = try await changes.next() == .unknown }
        let third = try writer.addBlob([3])
        var change: StoreChange?
        repeat { change = try await changes.next() } while change != .contentAdded(third.digest)
        #expect(change == .contentAdded(third.digest))
    }

    @Test("stream fails when the folder is removed", arguments: [true, false])
    func folderGone(watchFolders: Bool) async throws {
        var changes = changes(watchFolders: watchFolders).makeAsyncIterator()
        try Files.rename(folder.path, to: folder.path + "-moved")
        defer { try? Files.remove(folder.path + "-moved") }
        await #expect(throws: ImageLayoutError.notAFolder(path: folder.path)) {
            while try await changes.next() != nil {}
        }
    }

    @Test("polls the folder without inotify")
    func polling() async throws {
        var changes = changes(watchFolders: false).makeAsyncIterator()
        try writer.addBlob([1])
        #expect(try await changes.next() == .unknown)
        let target = Descriptor(
            mediaType: .ociIndex,
            digest: try Digest("sha256:" + String(repeating: "1", count: 64)),
            size: 1
        )
        try writer.setImage(Reference("docker.io/x:1"), to: target)
        #expect(try await changes.next() == .imageUpdated(name: "docker.io/x:1"))
    }

    @Test("coalesces 20,000 new blobs to one change and lists all")
    func flood() async throws {
        var changes = changes().makeAsyncIterator()
        let blobs = folder.path + "/blobs/sha256/"
        for number in 0..<20_000 {
            let hex = String(number, radix: 16)
            try folder.write("", to: "blobs/sha256/" + String(repeating: "0", count: 64 - hex.count) + hex)
        }
        #expect(try await changes.next() == .unknown)
        #expect(try await store.contents().count == 20_000)
        #expect(try Files.names(in: blobs)?.count == 20_000)
    }

    @Test("closes descriptors when the listener stops, is cancelled or never listens")
    func descriptors() async throws {
        let before = try inotifyCount()
        do {
            let unused = changes()
            #expect(try inotifyCount() == before + 1)
            _ = unused
        }
        #expect(try inotifyCount() == before)

        try writer.addBlob([1])
        func listenOnce() async throws {
            let stream = changes()
            try writer.addBlob([2])
            for try await _ in stream { break }
        }
        try await listenOnce()
        #expect(try inotifyCount() == before)

        func listenCancelled() async throws -> Int {
            let stream = changes()
            let task = Task {
                var count = 0
                for try await _ in stream { count += 1 }
                return count
            }
            task.cancel()
            return try await task.value
        }
        #expect(try await listenCancelled() == 0)
        // The cancelled task releases its stream just after it has returned its value.
        while try inotifyCount() > before { await Task.yield() }
        #expect(try inotifyCount() == before)
    }
}
