import ContentStore
import Glibc
import Logging
import OCI
import TestSupport
import Testing

@testable import ContainerdStore

/// The store of a real containerd.
@Suite(
    .serialized,
    .timeLimit(.minutes(3)),
    .enabled(if: RealContainerd.isAvailable, "containerd and ctr must be installed, and the tests run as root")
)
struct RealContainerdTests {
    private static let absent = "sha256:" + String(repeating: "00", count: 32)

    @Test func listsImagesAndContent() async throws {
        let containerd = try await RealContainerd()
        let name = "registry.example/team/app:1"
        let layers = [Self.bytes(count: 3 * 1_048_576 + 17, seed: 1), Self.bytes(count: 100, seed: 2), [7]]
        let archive = try ImageArchive(name: name, layers: layers, in: containerd.folder)
        try containerd.load(archive)

        try await withStore(socketPath: containerd.socketPath, contentPath: containerd.contentPath) { store in
            let version = try await store.verify()
            print("tested with containerd \(version)")
            #expect(version.contains(".") && version.contains { $0.isNumber }, "\(version)")
            #expect(try await store.contentFolderProblem() == nil)

            let target = Descriptor(
                mediaType: .ociManifest,
                digest: archive.manifest,
                size: Int64(archive.contents[archive.manifest]?.count ?? 0)
            )
            #expect(try await store.images() == [StoredImage(name: name, target: target)])
            #expect(try await store.resolve(name) == target)
            #expect(try await store.resolve("registry.example/team/app:2") == nil)
            #expect(try await store.resolve("") == nil)

            let held = Dictionary(try await store.contents().map { ($0.digest, $0.size) }, uniquingKeysWith: { $1 })
            for (digest, bytes) in archive.contents {
                #expect(held[digest] == Int64(bytes.count))
                #expect(try await store.size(of: digest) == Int64(bytes.count))
                #expect(try store.openFile(digest)?.readAll(limit: 1 << 23) == bytes)
                let reader = try #require(try await store.openReader(digest))
                #expect(reader.size == Int64(bytes.count))
                let read = try await collect(reader, 0..<reader.size)
                #expect(read.bytes == bytes)
                #expect(read.largest <= 1 << 20)
            }
            let absent = try Digest(Self.absent)
            #expect(try await store.size(of: absent) == nil)
            #expect(try store.openFile(absent) == nil)
            #expect(try await store.openReader(absent) == nil)
        }
        try await withStore(socketPath: containerd.socketPath, namespace: "other") { store in
            let images = try await store.images()
            #expect(images.isEmpty)
            #expect(try await store.contents().isEmpty)
            #expect(try await store.size(of: archive.manifest) == nil)
        }
    }

    @Test func readsRangesWithoutContentFolder() async throws {
        let containerd = try await RealContainerd()
        let layer = Self.bytes(count: 2 * 1_048_576 + 5, seed: 3)
        let archive = try ImageArchive(name: "registry.example/a:1", layers: [layer], in: containerd.folder)
        try containerd.load(archive)
        let digest = try #require(archive.contents.first { $0.value == layer }?.key)

        try await withStore(socketPath: containerd.socketPath) { store in
            #expect(try await store.contentFolderProblem() == nil)
            #expect(try store.openFile(digest) == nil)
            #expect(try await store.readDocument(archive.manifest) == archive.contents[archive.manifest])
            let reader = try #require(try await store.openReader(digest))
            for range in [0..<1, 5..<5, 1_048_570..<1_048_590, 1..<reader.size] as [Range<Int64>] {
                let part = Array(layer[Int(range.lowerBound)..<Int(range.upperBound)])
                #expect((try await collect(reader, range).bytes == part) == true)
            }
            await #expect(throws: ContentError.truncated(at: reader.size, expected: reader.size + 1)) {
                try await collect(reader, 5..<reader.size + 1)
            }
            // Stops in the middle: the rest is never requested.
            for try await chunk in reader.read(0..<reader.size) {
                #expect((chunk == Array(layer.prefix(ContainerdReader.chunkSize))) == true)
                break
            }
            try containerd.ctr("content", "rm", digest.text)
            await #expect(throws: ContainerdError.contentGone(digest)) { try await collect(reader, 0..<10) }
        }
        let elsewhere = try TemporaryFolder()
        try elsewhere.makeFolder("blobs/sha256")
        try await withStore(socketPath: containerd.socketPath, contentPath: elsewhere.path) { store in
            let problem = try await store.contentFolderProblem()
            #expect(problem?.contains("lacks") == true)
        }
    }

    private enum Damage: CaseIterable {
        case bit
        case end
    }

    /// Bit rot on the disk of a node without access to the content folder.
    @Test(arguments: Damage.allCases) private func withholdsDamagedContentReadThroughContainerd(damage: Damage)
        async throws
    {
        let containerd = try await RealContainerd()
        let layer = Self.bytes(count: 2 * 1_048_576 + 5, seed: 5)
        let archive = try ImageArchive(name: "registry.example/a:1", layers: [layer, [8]], in: containerd.folder)
        try containerd.load(archive)
        let digest = try #require(archive.contents.first { $0.value == layer }?.key)
        let path = "\(containerd.contentPath)/blobs/sha256/\(digest.hex)"
        chmod(path, 0o600)
        if damage == .bit {
            let descriptor = open(path, O_WRONLY | O_CLOEXEC)
            var byte = ~layer[1_500_000]
            #expect(pwrite(descriptor, &byte, 1, 1_500_000) == 1)
            close(descriptor)
        } else {
            truncate(path, 1_500_000)
        }

        try await withStore(socketPath: containerd.socketPath) { store in
            let checked = CheckedStore(store, advice: "", logger: Logger(label: "test"))
            let checks = try #require(checked.checks)
            func check(_ digest: Digest) async throws -> ContentChecks.Result {
                let reader = try #require(try await checked.openReader(digest))
                return await withCheckedContinuation { continuation in
                    checks.check(reader, digest, isUrgent: false) { continuation.resume(returning: $0) }
                }
            }
            let other = try #require(archive.contents.first { $0.value == [8] }?.key)
            #expect(try await check(other) == .sound)
            guard case .faulty(let fault) = try await check(digest) else {
                Issue.record("damaged content passed the check")
                return
            }
            switch fault.kind {
            case .corrupt: #expect(damage == .bit)
            case .cutShort(let end): #expect(damage == .end && end == 1_500_000)
            case .unreadable: Issue.record("\(fault)")
            }
            #expect(fault.path.contains(containerd.socketPath) && checks.counts.corrupt == 1)
            // It counts as missing, whatever its labels.
            try containerd.ctr("content", "label", digest.text, "spegel.test/label=1")
            #expect(try await checked.openReader(digest) == nil)
            #expect(try await checked.size(of: digest) == nil)
            let held = Set(try await checked.contents().map(\.digest))
            // containerd keeps the archive's own index until it collects garbage.
            #expect(held.intersection(archive.contents.keys) == Set(archive.contents.keys).subtracting([digest]))

            // Stored anew, the content has no known result.
            try containerd.ctr("images", "rm", "--sync", "registry.example/a:1")
            for _ in 0..<200 where access(path, F_OK) == 0 { try await Task.sleep(for: .milliseconds(50)) }
            #expect(try await store.size(of: digest) == nil)
            try containerd.load(archive)
            #expect(try await check(digest) == .sound)
            #expect(checks.faultCount == 0)
        }
    }

    @Test func reportsChanges() async throws {
        let containerd = try await RealContainerd()
        let name = "registry.example/team/app:1"
        let archive = try ImageArchive(name: name, layers: [Self.bytes(count: 1000, seed: 4)], in: containerd.folder)
        try await withStore(socketPath: containerd.socketPath) { store in
            let isV2 = try await store.verify().drop { $0 == "v" }.hasPrefix("2")
            var changes = store.changes().makeAsyncIterator()
            #expect(try await changes.next() == .unknown)
            // The subscription is under way. containerd answers this call after it has seen the subscription.
            _ = try await store.verify()

            try containerd.load(archive)
            var seen: Set<StoreChange> = []
            while !seen.contains(.imageUpdated(name: name)), let change = try await changes.next() {
                seen.insert(change)
            }
            if isV2 {
                for digest in archive.contents.keys { #expect(seen.contains(.contentAdded(digest))) }
            }
            // Events of other namespaces are not reported.
            try containerd.ctr(namespace: "other", "images", "import", "--no-unpack", archive.path)
            try containerd.ctr("images", "tag", name, "registry.example/team/app:2")
            #expect(try await changes.next() == .imageUpdated(name: "registry.example/team/app:2"))
            try containerd.ctr("images", "rm", name)
            #expect(try await changes.next() == .imageDeleted(name: name))
        }
    }

    @Test func reconnectsAfterContainerdRestarts() async throws {
        let containerd = try await RealContainerd()
        let archive = try ImageArchive(name: "registry.example/a:1", layers: [[1]], in: containerd.folder)
        try await withStore(socketPath: containerd.socketPath) { store in
            for signal in [SIGKILL, SIGTERM] {
                var changes = store.changes().makeAsyncIterator()
                #expect(try await changes.next() == .unknown)

                containerd.signal(signal)
                await #expect(throws: ContainerdError.self) { while try await changes.next() != nil {} }
                #expect(try await changes.next() == nil)
                await #expect(throws: ContainerdError.self) { try await store.images() }
                await #expect(throws: ContainerdError.self) { for try await _ in store.changes() {} }

                try await containerd.start()
                _ = try await eventually { try await store.images() }
                var again = store.changes().makeAsyncIterator()
                #expect(try await again.next() == .unknown)
                _ = try await store.verify()
                try containerd.load(archive)
                while let change = try await again.next(), change != .imageUpdated(name: "registry.example/a:1") {}
                #expect(try await store.resolve("registry.example/a:1")?.digest == archive.manifest)
            }
        }
    }

    @Test func callsTimeOutWhenContainerdHangs() async throws {
        let containerd = try await RealContainerd()
        let deadlines = ContainerdStore.Deadlines(call: .milliseconds(500), listing: .milliseconds(700))
        try await withStore(socketPath: containerd.socketPath, deadlines: deadlines) { store in
            _ = try await store.verify()
            containerd.signal(SIGSTOP)
            let path = containerd.socketPath
            await #expect(
                throws: ContainerdError.timedOut(operation: "look up an image", path: path, after: deadlines.call)
            ) { try await store.resolve("a") }
            await #expect(
                throws: ContainerdError.timedOut(operation: "list content", path: path, after: deadlines.listing)
            ) { try await store.contents() }
            containerd.signal(SIGCONT)
            #expect(try await eventually { try await store.resolve("a") } == nil)
        }
    }

    @Test func abandonedWatchEnds() async throws {
        let containerd = try await RealContainerd()
        try await withStore(socketPath: containerd.socketPath) { store in
            for _ in 0..<20 {
                for try await _ in store.changes() { break }
                let waiter = Task { for try await change in store.changes() where change != .unknown {} }
                waiter.cancel()
                _ = await waiter.result
            }
            try await eventually {
                guard store.connection.watchCount == 0 else {
                    throw TestError("\(store.connection.watchCount) watches remain")
                }
            }
            // Closing the store ends a watch.
            var changes = store.changes().makeAsyncIterator()
            #expect(try await changes.next() == .unknown)
            store.close()
            await #expect(throws: ContainerdError.closed) { try await changes.next() }
        }
    }

    @Test func cancellationEndsCall() async throws {
        let containerd = try await RealContainerd()
        try await withStore(socketPath: containerd.socketPath) { store in
            _ = try await store.verify()
            containerd.signal(SIGSTOP)
            let call = Task { try await store.images() }
            try await Task.sleep(for: .milliseconds(100))
            call.cancel()
            await #expect(throws: CancellationError.self) { try await call.value }
            containerd.signal(SIGCONT)
        }
    }

    /// `SPEGEL_TEST_CONTENTS` sets the number, to measure a long listing.
    @Test func listsThousandsOfBlobs() async throws {
        let containerd = try await RealContainerd()
        let count = getenv("SPEGEL_TEST_CONTENTS").flatMap { Int(String(cString: $0)) } ?? 350
        let layers = (0..<count).map { Array("layer \($0)".utf8) }
        try containerd.load(ImageArchive(name: "registry.example/a:1", layers: layers, in: containerd.folder))
        try await withStore(socketPath: containerd.socketPath) { store in
            let before = peakMemory()
            let clock = ContinuousClock()
            let start = clock.now
            let contents = try await store.contents()
            let time = clock.now - start
            // The archive's index is content, too.
            #expect(Set(contents.map(\.digest)).count >= count + 2)
            #expect(contents.count == Set(contents).count)
            print("listed \(contents.count) contents in \(time), peak memory \(before) to \(peakMemory()) KiB")
        }
    }

    private func peakMemory() -> Int {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage.ru_maxrss
    }

    private static func bytes(count: Int, seed: UInt64) -> [UInt8] {
        var random = SeededGenerator(seed: seed)
        return (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
    }
}
