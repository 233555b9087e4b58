import Files
import Glibc
import Logging
import OCI
import Synchronization
import TestSupport
import Testing
import Time

@testable import ContentStore

/// Checks of files in a temporary folder.
@Suite(.serialized, .timeLimit(.minutes(1)))
struct ContentChecksTests {
    private let folder: TemporaryFolder
    private let log = CountingLog()

    init() throws {
        folder = try TemporaryFolder()
    }

    private func makeChecks() -> ContentChecks {
        ContentChecks(advice: "repair the disk", logger: Logger(label: "test") { [log] _ in log })
    }

    private func write(_ bytes: [UInt8], _ name: String = "file") throws -> String {
        let path = folder.path + "/" + name
        let descriptor = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0o600)
        _ = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        close(descriptor)
        return path
    }

    private func digest(_ bytes: [UInt8]) -> Digest {
        var hasher = DigestHasher(.sha256)
        bytes.withUnsafeBytes { hasher.update($0) }
        return hasher.finish()
    }

    private func check(_ checks: ContentChecks, _ path: String, _ digest: Digest) async throws -> ContentChecks.Result {
        let file = try #require(try ContentFile.open(path: path))
        return await withCheckedContinuation { continuation in
            checks.check(file, digest, isUrgent: false) { continuation.resume(returning: $0) }
        }
    }

    /// What the store has hashed before is not hashed again, until it changes; a fault that was found counts more.
    @Test func committedFileIsKnownToBeSound() async throws {
        let checks = makeChecks()
        let bytes = [UInt8](repeating: 7, count: 300_000)
        let expected = digest(bytes)
        let path = try write(bytes)
        var file = try #require(try ContentFile.open(path: path))
        checks.noteCommitted(file, expected)
        #expect(checks.known(file, expected) == .sound && checks.counts.sound == 0)
        try await Task.sleep(for: .milliseconds(20))
        var other = bytes
        other[5] ^= 1
        _ = try write(other)
        file = try #require(try ContentFile.open(path: path))
        #expect(checks.known(file, expected) == nil)
        guard case .faulty = checks.checkNow(file, expected) else {
            Issue.record("a faulty file passed the check")
            return
        }
        checks.noteCommitted(file, expected)
        guard case .faulty? = checks.known(file, expected) else {
            Issue.record("a fault was forgotten")
            return
        }
    }

    @Test(arguments: [0, 1, 300_000, 1_000_000])
    func detectsAnyChangedByte(size: Int) async throws {
        let checks = makeChecks()
        var bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let expected = digest(bytes)
        let path = try write(bytes)
        #expect(try await check(checks, path, expected) == .sound)
        let file = try #require(try ContentFile.open(path: path))
        #expect(checks.known(file, expected) == .sound)
        #expect(checks.checkNow(file, expected) == .sound)
        // Flip one bit, or add one byte.
        if size > 0 { bytes[size / 2] ^= 16 } else { bytes = [0] }
        let other = try write(bytes, "other")
        guard case .faulty(let fault) = try await check(checks, other, expected) else {
            Issue.record("a faulty file passed the check")
            return
        }
        #expect(fault.kind == .corrupt(found: digest(bytes)) && fault.path == other)
        let wrong = try #require(try ContentFile.open(path: other))
        #expect(checks.known(wrong, expected) == .faulty(fault))
        #expect(checks.faultCount == 1 && checks.counts.corrupt == 1 && checks.counts.sound == 2)
        var faults = checks.faults.makeAsyncIterator()
        #expect(await faults.next() == expected)
    }

    @Test func resultHoldsForTheCheckedStateOnly() async throws {
        let checks = makeChecks()
        let good = [UInt8](repeating: 3, count: 1000)
        let expected = digest(good)
        let path = try write([UInt8](repeating: 4, count: 1000))
        guard case .faulty = try await check(checks, path, expected) else {
            Issue.record("a faulty file passed the check")
            return
        }
        #expect(checks.isWithheld(expected, try ContentFile.open(path: path)?.stamp))
        #expect(checks.faultyDigests == [expected])
        // The fault is logged once, however often the file is checked.
        _ = try await check(checks, path, expected)
        #expect(log.errors == 1)
        unlink(path)
        _ = try write(good)
        #expect(try !checks.isWithheld(expected, ContentFile.open(path: path)?.stamp) && checks.faultCount == 0)
        let file = try #require(try ContentFile.open(path: path))
        #expect(checks.known(file, expected) == nil)
        #expect(try await check(checks, path, expected) == .sound)
        // A removed file is not withheld.
        unlink(path)
        _ = try write([1])
        _ = try await check(checks, path, expected)
        unlink(path)
        #expect(!checks.isWithheld(expected, nil) && checks.faultCount == 0)
    }

    @Test func fileDeletedWhileOpenIsSound() async throws {
        let checks = makeChecks()
        let bytes = [UInt8](repeating: 9, count: 5000)
        let path = try write(bytes)
        let file = try #require(try ContentFile.open(path: path))
        unlink(path)
        #expect(checks.checkNow(file, digest(bytes)) == .sound)
    }

    @Test func fileBeingWrittenIsUndecided() async throws {
        let checks = makeChecks()
        let path = try write([1, 2, 3])
        let file = try #require(try ContentFile.open(path: path))
        _ = try write([1, 2, 3, 4])
        #expect(checks.checkNow(file, digest([7])) == .undecided)
        #expect(checks.faultCount == 0 && log.errors == 0)
    }

    @Test func soundResultExpiresAtMaximumAge() async throws {
        let checks = makeChecks()
        let path = try write([5])
        let file = try #require(try ContentFile.open(path: path))
        _ = checks.checkNow(file, digest([5]))
        #expect(checks.known(file, digest([5]), maximumAge: .seconds(1000)) == .sound)
        #expect(checks.known(file, digest([5]), maximumAge: .seconds(-1)) == nil)
    }

    @Test func concurrentChecksAllReturnResults() async throws {
        let checks = makeChecks()
        let bytes = [UInt8](repeating: 1, count: 100_000)
        let paths = try (0..<50).map { try write(bytes, "\($0)") }
        let expected = digest(bytes)
        await withTaskGroup(of: Bool.self) { group in
            for path in paths { group.addTask { (try? await check(checks, path, expected)) == .sound } }
            for await isRight in group { #expect(isRight) }
        }
    }

    @Test func memoryIsBounded() throws {
        var memory = CheckMemory()
        let path = try write([1])
        let stamp = try #require(try ContentFile.open(path: path)).stamp
        func digest(_ number: Int) -> Digest {
            let bytes = (0..<32).map { UInt8(truncatingIfNeeded: number >> ($0 * 8 % 64)) }
            return Digest(algorithm: .sha256, bytes: bytes) ?? digest(0)
        }
        for number in 0..<3 * CheckMemory.soundLimit {
            memory.noteSound(digest(number), stamp, now: .now)
            #expect(memory.isSound(digest(number), stamp))
        }
        #expect(memory.soundCount <= 2 * CheckMemory.soundLimit)
        #expect(memory.isSound(digest(3 * CheckMemory.soundLimit - CheckMemory.soundLimit + 1), stamp))
        #expect(!memory.isSound(digest(0), stamp))
        for number in 0..<2 * CheckMemory.faultLimit {
            let isNews = memory.noteFault(
                digest(number),
                ContentFault(kind: .unreadable(5), path: path, stamp: stamp)
            )
            #expect(isNews)
        }
        #expect(memory.faultCount == CheckMemory.faultLimit && memory.faultyDigests.count == memory.faultCount)
        #expect(memory.fault(digest(0)) == nil && memory.fault(digest(2 * CheckMemory.faultLimit - 1)) != nil)
    }

    @Test func checkedStoreWithholdsFaultyContent() async throws {
        let good: [UInt8] = [1, 2, 3]
        let layout = folder.path
        try Files.makeFolder(layout + "/blobs/sha256")
        try folder.write(#"{"imageLayoutVersion":"1.0.0"}"#, to: "oci-layout")
        let blob = "\(layout)/blobs/sha256/\(digest(good).hex)"
        func put(_ bytes: [UInt8]) {
            let descriptor = open(blob, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0o600)
            _ = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            close(descriptor)
        }
        put([3, 2, 1])
        let logger = Logger(label: "test") { [log] _ in log }
        let store = CheckedStore(try ImageLayoutStore(path: layout, logger: logger), advice: "", logger: logger)
        let checks = try #require(store.checks)
        let expected = digest(good)
        #expect(try await store.contents().map(\.digest) == [expected])
        let file = try #require(try store.openFile(expected))
        _ = checks.checkNow(file, expected)
        #expect(try store.openFile(expected) == nil)
        #expect(try await store.contents().isEmpty)
        #expect(try await store.content(expected) == nil)
        #expect(try await store.size(of: expected) == nil)
        #expect(try await store.openReader(expected) == nil)
        put(good)
        #expect(try await store.contents().map(\.digest) == [expected])
        #expect(try store.openFile(expected) != nil)
    }
}

/// Counts events of level error.
private final class CountingLog: LogHandler {
    private let count = Mutex(0)

    var errors: Int { count.withLock { $0 } }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }
    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    var logLevel: Logger.Level {
        get { .trace }
        set {}
    }

    func log(event: LogEvent) {
        if event.level == .error { count.withLock { $0 += 1 } }
    }
}
