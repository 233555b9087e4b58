import Glibc
import Logging
import OCI
import Synchronization
import TestSupport
import Testing
import Time

@testable import ContentStore

/// Idle checks of files in a temporary folder.
@Suite(.serialized, .timeLimit(.minutes(1)))
struct IdleChecksTests {
    private let folder: TemporaryFolder
    private let index = ContentIndex()
    private let store: CheckedStore
    private let requests = Requests()

    init() throws {
        folder = try TemporaryFolder()
        store = CheckedStore(
            FilesOnly(path: folder.path),
            advice: "repair the disk",
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
    }

    private func makeIdleChecks() throws -> IdleChecks {
        let requests = requests
        let checks = IdleChecks(store, index: index, settleTime: .milliseconds(10)) { requests.counts }
        return try #require(checks)
    }

    /// Puts content into the store.
    ///
    /// - Parameter isCorrupt: whether its bytes are not those of its digest.
    private func add(size: Int, seed: UInt8, isCorrupt: Bool = false) throws -> Digest {
        var bytes = [UInt8](repeating: seed, count: size)
        var hasher = DigestHasher(.sha256)
        bytes.withUnsafeBytes { hasher.update($0) }
        let digest = hasher.finish()
        if isCorrupt { bytes[size / 2] ^= 1 }
        let descriptor = open(folder.path + "/" + digest.hex, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0o600)
        try #require(bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) } == size)
        close(descriptor)
        return digest
    }

    private func list(_ sizes: [Digest: Int]) {
        index.replace(
            contents: sizes.mapValues { ContentIndex.Entry(size: Int64($0), mediaType: nil) },
            tags: [:]
        )
    }

    private func known(_ digest: Digest) throws -> ContentChecks.Result? {
        guard let file = try FilesOnly(path: folder.path).openFile(digest) else { return nil }
        return store.checks?.known(file, digest)
    }

    private func wait(until condition: () throws -> Bool) async throws {
        for _ in 0..<1000 where try !condition() { try await Task.sleep(for: .milliseconds(10)) }
        #expect(try condition())
    }

    @Test func hashesLargeContentOfAnIdleNode() async throws {
        let good = try add(size: 3_000_000, seed: 1)
        let bad = try add(size: 2_000_000, seed: 2, isCorrupt: true)
        let small = try add(size: 1000, seed: 3)
        let checks = try makeIdleChecks()
        let task = Task { await checks.run() }
        list([good: 3_000_000, bad: 2_000_000, small: 1000])
        try await wait { try known(good) == .sound && store.checks?.faultCount == 1 && checks.remainingBytes == 0 }
        // The reader of a small file hashes it on the spot.
        #expect(try known(small) == nil)
        #expect(try store.openFile(bad) == nil)
        #expect(store.checks?.counts.sound == 1 && store.checks?.counts.corrupt == 1)
        task.cancel()
        await task.value
    }

    @Test func hashesNothingAgain() async throws {
        let committed = try add(size: 2_000_000, seed: 1)
        let read = try add(size: 1_000_000, seed: 2)
        let file = try #require(try FilesOnly(path: folder.path).openFile(read))
        store.noteCommitted(StoredContent(digest: committed, size: 2_000_000))
        #expect(store.checks?.checkNow(file, read) == .sound)
        let checks = try makeIdleChecks()
        let task = Task { await checks.run() }
        list([committed: 2_000_000, read: 1_000_000])
        try await Task.sleep(for: .milliseconds(1500))
        #expect(store.checks?.counts.sound == 1)
        task.cancel()
        await task.value
    }

    @Test func pausesUnderTraffic() async throws {
        let digest = try add(size: 40_000_000, seed: 1)
        let checks = try makeIdleChecks()
        let task = Task { await checks.run() }
        list([digest: 40_000_000])
        // In mid-file.
        try await wait { (1..<39_000_000).contains(checks.remainingBytes) }
        requests.counts = (1, 0)
        try await Task.sleep(for: .milliseconds(300))
        let left = checks.remainingBytes
        try #require(left > 0)
        try await Task.sleep(for: .milliseconds(1500))
        #expect(checks.remainingBytes == left)
        #expect(try known(digest) == nil)
        requests.counts = (0, 1)
        try await wait { try known(digest) == .sound }
        task.cancel()
        await task.value
    }

    @Test func leavesAFileThatAReaderHadCheckedMeanwhile() async throws {
        let digest = try add(size: 40_000_000, seed: 1)
        let checks = try makeIdleChecks()
        let task = Task { await checks.run() }
        list([digest: 40_000_000])
        try await wait { (1..<39_000_000).contains(checks.remainingBytes) }
        let file = try #require(try FilesOnly(path: folder.path).openFile(digest))
        #expect(store.checks?.checkNow(file, digest) == .sound)
        try await wait { checks.remainingBytes == 0 }
        #expect(store.checks?.counts.sound == 1)
        task.cancel()
        await task.value
    }

    @Test func stopsSoonInMidFile() async throws {
        let digest = try add(size: 40_000_000, seed: 1)
        let checks = try makeIdleChecks()
        let task = Task { await checks.run() }
        list([digest: 40_000_000])
        try await wait { (1..<39_000_000).contains(checks.remainingBytes) }
        let began = ContinuousClock.now
        task.cancel()
        await task.value
        #expect(ContinuousClock.now - began < .seconds(2))
        #expect(try known(digest) == nil)
    }

    @Test func leavesPagesOutOfTheCacheThatWereNotInIt() async throws {
        let digest = try add(size: 8 << 20, seed: 1)
        let file = try #require(try FilesOnly(path: folder.path).openFile(digest))
        fsync(file.fileDescriptor)
        posix_fadvise(file.fileDescriptor, 0, 0, POSIX_FADV_DONTNEED)
        let before = residentPages(file)
        // A file system in memory has no page cache beside it.
        guard before < 512 else { return }
        let checks = try makeIdleChecks()
        let task = Task { await checks.run() }
        list([digest: 8 << 20])
        try await wait { try known(digest) == .sound }
        #expect(residentPages(file) < 512)
        task.cancel()
        await task.value
    }

    /// What is listed for a check is bounded, whatever the store holds.
    @Test func picksTheLargestOfALargeStore() {
        var contents: [Digest: ContentIndex.Entry] = [:]
        for number in 0..<50_000 {
            var hasher = DigestHasher(.sha256)
            withUnsafeBytes(of: number) { hasher.update($0) }
            contents[hasher.finish()] = ContentIndex.Entry(size: Int64(number) * 100, mediaType: nil)
        }
        index.replace(contents: contents, tags: [:])
        let largest = index.largest(1000, above: IdleChecks.smallFile)
        #expect(largest.map(\.size) == (49_000..<50_000).reversed().map { Int64($0) * 100 })
        #expect(index.largest(1000, above: 4_999_800).map(\.size) == [4_999_900])
        #expect(index.largest(1000, above: 5_000_000).isEmpty)
    }

    private func residentPages(_ file: ContentFile) -> Int {
        let size = Int(file.size)
        guard let address = mmap(nil, size, PROT_READ, MAP_SHARED, file.fileDescriptor, 0), address != MAP_FAILED else {
            return 0
        }
        defer { munmap(address, size) }
        var pages = [UInt8](repeating: 0, count: (size + 4095) / 4096)
        guard mincore(address, size, &pages) == 0 else { return 0 }
        return pages.count { $0 & 1 == 1 }
    }
}

/// The requests that a node answers.
private final class Requests: Sendable {
    private let state = Mutex((running: 0, ended: 0))

    var counts: (running: Int, ended: Int) {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }
}

/// A store of files that are named by the hex digits of their digests. It hashes them before they get their places.
private struct FilesOnly: ContentStore {
    let path: String
    var verifiesCommits: Bool { true }

    func images() async throws -> [StoredImage] { [] }
    func resolve(_ name: String) async throws -> Descriptor? { nil }
    func contents() async throws -> [StoredContent] { [] }
    func size(of digest: Digest) async throws -> Int64? { nil }
    func openFile(_ digest: Digest) throws -> ContentFile? { try ContentFile.open(path: path + "/" + digest.hex) }
    func openReader(_ digest: Digest) async throws -> (any ContentReader)? { nil }
    func changes() -> AsyncThrowingStream<StoreChange, any Error> { AsyncThrowingStream { $0.finish() } }
}
