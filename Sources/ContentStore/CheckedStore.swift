import Logging
import OCI

/// A store that withholds faulty content: content whose digest check failed counts as missing until it changes.
public final class CheckedStore: ContentStore {
    private let base: any ContentStore
    private let contentChecks: ContentChecks

    /// Wraps a store.
    ///
    /// - Parameters:
    ///   - advice: what an admin can do about faulty content, for the log.
    ///   - logger: logs each fault.
    public init(_ base: any ContentStore, advice: String, logger: Logger) {
        self.base = base
        contentChecks = ContentChecks(advice: advice, logger: logger)
    }

    /// The digest checks that the parts which serve content use.
    public var checks: ContentChecks? { contentChecks }

    /// All images of the store.
    public func images() async throws -> [StoredImage] { try await base.images() }

    /// The descriptor that the store has for a name.
    public func resolve(_ name: String) async throws -> Descriptor? { try await base.resolve(name) }

    /// All content of the store except withheld content.
    public func contents() async throws -> [StoredContent] { await sound(try await base.contents()) }

    /// Metadata of content, or `nil` when it is missing or withheld.
    public func content(_ digest: Digest) async throws -> StoredContent? {
        await isWithheld(digest) ? nil : try await base.content(digest)
    }

    /// The size of content, or `nil` when it is missing or withheld.
    public func size(of digest: Digest) async throws -> Int64? {
        await isWithheld(digest) ? nil : try await base.size(of: digest)
    }

    /// The content on disk except withheld content.
    public func contentsOnDisk() async throws -> [StoredContent] { await sound(try await base.contentsOnDisk()) }

    /// Opens content as a file, unless it is withheld.
    public func openFile(_ digest: Digest) throws -> ContentFile? {
        guard let file = try base.openFile(digest) else { return nil }
        return contentChecks.isWithheld(digest, file.stamp) ? nil : file
    }

    /// Opens content that is not accessible as a file, unless it is withheld.
    public func openReader(_ digest: Digest) async throws -> (any ContentReader)? {
        guard let reader = try await base.openReader(digest) else { return nil }
        return contentChecks.isWithheld(digest, reader.stamp) ? nil : reader
    }

    /// Whether the store hashes content before it gets its place.
    public var verifiesCommits: Bool { base.verifiesCommits }

    /// Takes content for sound that the store has hashed just now, in the state that its file has.
    public func noteCommitted(_ content: StoredContent) {
        guard base.verifiesCommits, let file = try? base.openFile(content.digest), file.size == content.size else {
            return
        }
        contentChecks.noteCommitted(file, content.digest)
    }

    /// The changes of the store.
    public func changes() -> AsyncThrowingStream<StoreChange, any Error> { base.changes() }

    private func isWithheld(_ digest: Digest) async -> Bool {
        guard let fault = contentChecks.fault(digest) else { return false }
        do {
            let file = try? base.openFile(digest)
            let stamp = if let file { file.stamp } else { try await base.openReader(digest)?.stamp }
            return contentChecks.isWithheld(digest, stamp, as: fault)
        } catch {
            // The store cannot tell the present state, so the fault still applies.
            return true
        }
    }

    private func sound(_ contents: [StoredContent]) async -> [StoredContent] {
        var withheld: Set<Digest> = []
        for digest in contentChecks.faultyDigests where await isWithheld(digest) { withheld.insert(digest) }
        return withheld.isEmpty ? contents : contents.filter { !withheld.contains($0.digest) }
    }
}
