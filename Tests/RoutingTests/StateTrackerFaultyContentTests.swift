import ContentStore
import Glibc
import Logging
import OCI
import RoutingTestSupport
import Testing

@testable import Routing

/// Content with a digest mismatch is withdrawn until its file is replaced.
@Suite(.timeLimit(.minutes(1)))
struct StateTrackerFaultyContentTests {
    private let path: String

    init() {
        var template = Array("/tmp/routing-tests-XXXXXX".utf8CString)
        path = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp"
        mkdir(path + "/blobs", 0o700)
        mkdir(path + "/blobs/sha256", 0o700)
        write(Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8), to: "oci-layout")
    }

    private func write(_ bytes: [UInt8], to name: String) {
        let descriptor = open("\(path)/\(name)", O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0o600)
        _ = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        close(descriptor)
    }

    private func digest(_ bytes: [UInt8]) -> Digest {
        var hasher = DigestHasher(.sha256)
        bytes.withUnsafeBytes { hasher.update($0) }
        return hasher.finish()
    }

    private func expectAdvertised(_ keys: Set<String>, by router: MemoryRouter) async throws {
        for _ in 0..<2000 where router.advertised != keys { try await Task.sleep(for: .milliseconds(5)) }
        #expect(router.advertised == keys)
    }

    @Test func withdrawsFaultyContentUntilReplaced() async throws {
        let (good, other): ([UInt8], [UInt8]) = ([1, 2, 3], [4, 5, 6])
        let (key, otherKey) = (digest(good), digest(other))
        write([3, 2, 1], to: "blobs/sha256/\(key.hex)")
        write(other, to: "blobs/sha256/\(otherKey.hex)")
        let logger = Logger(label: "test") { [log = RecordingLog()] _ in log }
        let store = CheckedStore(try ImageLayoutStore(path: path, logger: logger), advice: "", logger: logger)
        let (index, router) = (ContentIndex(), MemoryRouter())
        var configuration = StateTracker.Configuration()
        configuration.coalescingDelay = .milliseconds(1)
        configuration.collectionDelay = .milliseconds(20)
        let tracker = StateTracker(
            store: store,
            index: index,
            router: router,
            filter: ContentFilter(),
            configuration: configuration,
            logger: logger
        )
        let task = Task { try await tracker.run() }
        try await expectAdvertised([key.text, otherKey.text], by: router)
        let file = try #require(try store.openFile(key))
        guard case .faulty? = store.checks?.checkNow(file, key) else {
            Issue.record("a faulty file passed the check")
            return
        }
        try await expectAdvertised([otherKey.text], by: router)
        #expect(index.entry(key) == nil)
        // The full reading soon after has the same result.
        let before = tracker.snapshot.lastComparison?.end
        for _ in 0..<1000 where tracker.snapshot.lastComparison?.end == before {
            try await Task.sleep(for: .milliseconds(5))
        }
        #expect(tracker.snapshot.lastComparison?.end != before && router.advertised == [otherKey.text])
        unlink("\(path)/blobs/sha256/\(key.hex)")
        write(good, to: "blobs/sha256/\(key.hex)")
        try await expectAdvertised([key.text, otherKey.text], by: router)
        task.cancel()
        try await task.value
        for name in ["blobs/sha256/\(key.hex)", "blobs/sha256/\(otherKey.hex)", "oci-layout"] {
            unlink("\(path)/\(name)")
        }
        for name in ["/blobs/sha256", "/blobs", ""] { rmdir(path + name) }
    }
}
