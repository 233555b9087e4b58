import ContentStore
import OCI
import Synchronization

/// A store in memory that a test controls.
final class FakeStore: ContentStore {
    struct Failure: Error {}
    struct Lost: LostContent {}

    private struct State {
        var images: [String: Descriptor] = [:]
        var documents: [Digest: [UInt8]] = [:]
        var sizes: [Digest: Int64] = [:]
        var sources: [Digest: [ContentSource]] = [:]
        var hanging: Set<String> = []
        var atHand: [StoredContent] = []
        /// The error of all calls, if they fail.
        var failure: (any Error)?
        var isAway: Bool { failure != nil }
        var readings = 0
        var watchers: [AsyncThrowingStream<StoreChange, any Error>.Continuation] = []
    }

    private let state = Mutex(State())

    /// The number of full readings.
    var readings: Int { state.withLock { $0.readings } }

    /// The digests of all content.
    var digests: [Digest] { state.withLock { Array($0.sizes.keys) } }

    func set(image name: String, to target: Descriptor?) {
        state.withLock { $0.images[name] = target }
    }

    func add(_ digest: Digest, size: Int64) {
        state.withLock { $0.sizes[digest] = size }
    }

    func add(_ digest: Digest, document: String) {
        state.withLock {
            $0.sizes[digest] = Int64(document.utf8.count)
            $0.documents[digest] = Array(document.utf8)
        }
    }

    func remove(_ digest: Digest) {
        state.withLock {
            $0.sizes[digest] = nil
            $0.documents[digest] = nil
        }
    }

    func setSources(of digest: Digest, _ names: String...) {
        let sources = names.compactMap { name -> ContentSource? in
            guard let reference = try? Reference(name + ":1") else { return nil }
            return ContentSource(registry: reference.registry, repository: reference.repository)
        }
        state.withLock { $0.sources[digest] = sources }
    }

    /// Sets whether calls about this name or digest hang.
    func setHanging(_ subject: String, _ hangs: Bool = true) {
        state.withLock { state in
            if hangs { state.hanging.insert(subject) } else { state.hanging.remove(subject) }
        }
    }

    /// Sets the content that is accessible while calls fail.
    func setAtHand(_ contents: [StoredContent]) {
        state.withLock { $0.atHand = contents }
    }

    /// Sets whether calls fail. Going away ends all watches.
    func setAway(_ isAway: Bool) { setFailure(isAway ? Failure() : nil) }

    /// Sets whether the content is gone.
    func setLost(_ isLost: Bool) { setFailure(isLost ? Lost() : nil) }

    private func setFailure(_ failure: (any Error)?) {
        let watchers = state.withLock { state in
            state.failure = failure
            defer { if failure != nil { state.watchers = [] } }
            return failure != nil ? state.watchers : []
        }
        for watcher in watchers { watcher.finish(throwing: failure) }
    }

    func tell(_ change: StoreChange) {
        for watcher in state.withLock({ $0.watchers }) { watcher.yield(change) }
    }

    func images() async throws -> [StoredImage] {
        try check()
        return state.withLock { $0.images.map { StoredImage(name: $0.key, target: $0.value) } }
    }

    func resolve(_ name: String) async throws -> Descriptor? {
        try await check(name)
        return state.withLock { $0.images[name] }
    }

    func contents() async throws -> [StoredContent] {
        try check()
        return state.withLock { state in
            state.readings += 1
            return state.sizes.map {
                StoredContent(digest: $0.key, size: $0.value, sources: state.sources[$0.key] ?? [])
            }
        }
    }

    func contentsOnDisk() async throws -> [StoredContent] {
        state.withLock { $0.atHand }
    }

    func content(_ digest: Digest) async throws -> StoredContent? {
        try await check(digest.text)
        return state.withLock { state in
            state.sizes[digest].map {
                StoredContent(digest: digest, size: $0, sources: state.sources[digest] ?? [])
            }
        }
    }

    func size(of digest: Digest) async throws -> Int64? {
        try check()
        return state.withLock { $0.sizes[digest] }
    }

    func openFile(_ digest: Digest) throws -> ContentFile? { nil }

    func openReader(_ digest: Digest) async throws -> (any ContentReader)? {
        try await check(digest.text)
        return state.withLock { $0.documents[digest] }.map { MemoryReader(bytes: $0) }
    }

    func changes() -> AsyncThrowingStream<StoreChange, any Error> {
        let (stream, continuation) = AsyncThrowingStream<StoreChange, any Error>.makeStream()
        let failure = state.withLock { state in
            if !state.isAway { state.watchers.append(continuation) }
            return state.failure
        }
        if let failure { continuation.finish(throwing: failure) } else { continuation.yield(.unknown) }
        return stream
    }

    private func check() throws {
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }

    private func check(_ subject: String) async throws {
        try check()
        while state.withLock({ $0.hanging.contains(subject) }) { try await Task.sleep(for: .milliseconds(5)) }
    }
}

private struct MemoryReader: ContentReader {
    let bytes: [UInt8]

    var size: Int64 { Int64(bytes.count) }

    func read(_ range: Range<Int64>) -> AsyncThrowingStream<[UInt8], any Error> {
        AsyncThrowingStream { continuation in
            continuation.yield(Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)]))
            continuation.finish()
        }
    }
}

/// A digest of 64 equal digits.
func digest(_ digit: Character) throws -> Digest {
    try Digest("sha256:" + String(repeating: digit, count: 64))
}

/// A manifest that references a configuration and layers.
func manifest(
    config: Digest,
    layers: [Digest],
    layerType: String = "application/vnd.oci.image.layer.v1.tar"
) -> String {
    let layers = layers.map { #"{"mediaType":"\#(layerType)","digest":"\#($0)","size":7}"# }
    return #"""
        {"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
        "config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"\#(config)","size":3},
        "layers":[\#(layers.joined(separator: ","))]}
        """#
}

/// An index that references manifests, with unknown media types.
func index(manifests: [Digest], mediaType: String = "application/vnd.example.odd") -> String {
    let manifests = manifests.map { #"{"mediaType":"\#(mediaType)","digest":"\#($0)","size":9}"# }
    return #"{"schemaVersion":2,"manifests":[\#(manifests.joined(separator: ","))]}"#
}

extension Int {
    /// A digest that is distinct for each number.
    var digest: Digest {
        get throws {
            let digits = String(self, radix: 16)
            return try Digest("sha256:" + String(repeating: "0", count: 64 - digits.utf8.count) + digits)
        }
    }
}
