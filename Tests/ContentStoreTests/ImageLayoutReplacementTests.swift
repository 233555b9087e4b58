import Files
import Glibc
import Logging
import OCI
import TestSupport
import Testing

@testable import ContentStore

/// A layout that vanishes, is replaced, or is reached through a link.
@Suite("Replaced image layouts", .timeLimit(.minutes(1)), .serialized)
struct ImageLayoutReplacementTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    private func path(_ name: String) -> String { folder.path + "/" + name }

    private func makeLayout(_ name: String, content: [UInt8]) throws -> StoredContent {
        try ImageLayoutWriter(path: path(name)).addBlob(content)
    }

    private func openStore(_ name: String) throws -> ImageLayoutStore {
        try ImageLayoutStore(path: path(name), logger: Logger(label: "test"))
    }

    private func changes(
        _ store: ImageLayoutStore,
        watchFolders: Bool = true
    ) -> AsyncThrowingStream<StoreChange, any Error>.Iterator {
        let short = Duration.milliseconds(5)
        return store.changes(interval: short, pollingInterval: short, watchFolders: watchFolders).makeAsyncIterator()
    }

    @Test("listings throw while the layout is gone, empty or incomplete, and work again afterwards")
    func listings() async throws {
        let content = try makeLayout("layout", content: [1])
        let store = try openStore("layout")
        #expect(try await store.contents() == [content])
        try Files.rename(path("layout"), to: path("moved"))
        await #expect(throws: ImageLayoutError.notAFolder(path: path("layout"))) { try await store.contents() }
        await #expect(throws: ImageLayoutError.notAFolder(path: path("layout"))) { try await store.images() }
        try Files.makeFolder(path("layout"))
        await #expect(throws: ImageLayoutError.missingLayoutFile(path: path("layout"))) { try await store.contents() }
        try Files.remove(path("layout"))
        try Files.rename(path("moved"), to: path("layout"))
        #expect(try await store.contents() == [content])
    }

    @Test("a watch of a missing layout throws at once", arguments: [true, false])
    func missing(watchFolders: Bool) async throws {
        _ = try makeLayout("layout", content: [1])
        let store = try openStore("layout")
        try Files.remove(path("layout"))
        var changes = changes(store, watchFolders: watchFolders)
        await #expect(throws: ImageLayoutError.notAFolder(path: path("layout"))) { _ = try await changes.next() }
    }

    @Test("a layout that is replaced between two looks is an unknown change", arguments: [true, false])
    func replaced(watchFolders: Bool) async throws {
        _ = try makeLayout("layout", content: [1])
        let store = try openStore("layout")
        var changes = changes(store, watchFolders: watchFolders)
        try Files.remove(path("layout"))
        let content = try makeLayout("layout", content: [2])
        #expect(try await changes.next() == .unknown)
        #expect(try await store.contents() == [content])
        let next = try ImageLayoutWriter(path: path("layout")).addBlob([3])
        var change = try await changes.next()
        while change == .unknown, try await store.contents().count < 2 { change = try await changes.next() }
        #expect(try await store.contents().contains(next))
    }

    /// The part of the path that is a link: the layout, a folder above it, its blobs, or one algorithm's.
    @Test(
        "a link that changes its target is an unknown change",
        arguments: ["layout", "above", "blobs", "blobs/sha256"]
    )
    func flippedLink(place: String) async throws {
        let name = place == "above" ? "above/layout" : "layout"
        let inside = place.hasPrefix("blobs") ? "layout/\(place)" : place
        func target(_ version: String) -> String {
            switch place {
            case "above": "\(version)"
            case "layout": "\(version)/layout"
            default: "\(version)/layout/\(place)"
            }
        }
        let first = try makeLayout("v1/layout", content: [1])
        let second = try makeLayout("v2/layout", content: [2])
        if place.hasPrefix("blobs") {
            _ = try makeLayout("layout", content: [0])
            try Files.remove(path(inside))
        }
        #expect(symlink(path(target("v1")), path(inside)) == 0)
        let store = try openStore(name)
        #expect(try await store.contents() == [first])
        var changes = changes(store)
        #expect(symlink(path(target("v2")), path("new")) == 0)
        try Files.rename(path("new"), to: path(inside))
        #expect(try await changes.next() == .unknown)
        #expect(try await store.contents() == [second])
        // The watch follows the new target.
        let third = try ImageLayoutWriter(path: path("v2/layout")).addBlob([3])
        var change = try await changes.next()
        while change == .unknown { change = try await changes.next() }
        #expect(change == .contentAdded(third.digest))
    }

    @Test("a folder above the layout that is moved away ends the watch")
    func movedParent() async throws {
        _ = try makeLayout("above/layout", content: [1])
        let store = try openStore("above/layout")
        var changes = changes(store)
        try Files.rename(path("above"), to: path("moved"))
        await #expect(throws: ImageLayoutError.notAFolder(path: path("above/layout"))) {
            while try await changes.next() != nil {}
        }
    }

    @Test("many replacements leave no watch behind")
    func watchCount() async throws {
        _ = try makeLayout("v0/layout", content: [0])
        #expect(symlink(path("v0"), path("above")) == 0)
        let store = try openStore("above/layout")
        var changes = changes(store)
        for version in 1...5 {
            _ = try makeLayout("v\(version)/layout", content: [UInt8(version)])
            #expect(symlink(path("v\(version)"), path("new")) == 0)
            try Files.rename(path("new"), to: path("above"))
            #expect(try await changes.next() == .unknown)
        }
        #expect(try watches() <= 4)
    }

    /// The number of inotify watches of this process. No other test of this target runs in this folder's time slot with
    /// more than one layout.
    private func watches() throws -> Int {
        var most = 0
        for name in try Files.names(in: "/proc/self/fdinfo") ?? [] {
            guard let bytes = try? Files.read("/proc/self/fdinfo/" + name, limit: 1 << 16) else { continue }
            most = max(
                most,
                String(decoding: bytes, as: UTF8.self).split(separator: "\n").count { $0.hasPrefix("inotify") }
            )
        }
        return most
    }

    // MARK: Blobs that are links

    @Test("blobs that are links to files are content, links to nothing are logged once")
    func linkedBlobs() async throws {
        let content = try makeLayout("other", content: Array("one".utf8))
        _ = try ImageLayoutWriter(path: path("layout"))
        let file = path("layout/blobs/sha256/\(content.digest.hex)")
        #expect(symlink(path("other/blobs/sha256/\(content.digest.hex)"), file) == 0)
        let (nowhere, cycle) = (String(repeating: "1", count: 64), String(repeating: "2", count: 64))
        #expect(symlink("nowhere", path("layout/blobs/sha256/\(nowhere)")) == 0)
        #expect(symlink(cycle, path("layout/blobs/sha256/\(cycle)")) == 0)
        let log = LogRecorder()
        let store = try ImageLayoutStore(path: path("layout"), logger: log.logger)
        for _ in 0..<2 { #expect(try await store.contents() == [content]) }
        #expect(try await store.size(of: content.digest) == 3)
        #expect(try store.openFile(content.digest)?.readAll(limit: 9) == Array("one".utf8))
        for hex in [nowhere, cycle] { #expect(try store.openFile(Digest("sha256:" + hex)) == nil) }
        #expect(log.messages.count == 1)
        #expect(log.messages.first?.contains("no readable files") == true)
        #expect(log.messages.first?.contains("blobs=2") == true)
    }

    @Test("a new link is new content, symbolic or hard", arguments: [true, false])
    func newLink(isSymbolic: Bool) async throws {
        let content = try makeLayout("other", content: Array("one".utf8))
        _ = try ImageLayoutWriter(path: path("layout"))
        let store = try openStore("layout")
        var changes = changes(store)
        let target = path("other/blobs/sha256/\(content.digest.hex)")
        let place = path("layout/blobs/sha256/\(content.digest.hex)")
        #expect((isSymbolic ? symlink(target, place) : link(target, place)) == 0)
        #expect(try await changes.next() == .contentAdded(content.digest))
        #expect(try await store.contents() == [content])
    }

    @Test(
        "names without a registry are no images, and are logged once",
        arguments: ["foo/bar:1.0.0", "a/b/c:1", "1.0"]
    )
    func shortName(name: String) async throws {
        let writer = try ImageLayoutWriter(path: path("layout"))
        let digest = "sha256:" + String(repeating: "1", count: 64)
        try Files.replace(
            writer.layout.indexFile,
            with: Array(
                #"""
                {"manifests":[{"mediaType":"\#(MediaType.ociManifest)","digest":"\#(digest)","size":3,
                "annotations":{"\#(ImageLayout.refNameAnnotation)":"\#(name)"}}]}
                """#.utf8
            )
        )
        let log = LogRecorder()
        let store = try ImageLayoutStore(path: path("layout"), logger: log.logger)
        for _ in 0..<2 { #expect(try await store.images() == []) }
        #expect(log.messages.count == 1)
        #expect(log.messages.first?.contains("without a registry") == true && log.messages[0].contains(name))
    }
}
