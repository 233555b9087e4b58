import Logging
import OCI

/// A store less the content that was found not to be what its digest says: as long as it stays as it is, it counts as not
/// held.
public final class CheckedStore: ContentStore {
    private let base: any ContentStore
    private let contentChecks: ContentChecks

    /// Checks the content of a store.
    ///
    /// - Parameters:
    ///   - advice: what an admin is to do about faulty content.
    ///   - logger: told of each piece of it.
    public init(_ base: any ContentStore, advice: String, logger: Logger) {
        self.base = base
        contentChecks = ContentChecks(advice: advice, logger: logger)
    }

    /// What checks the content; whoever serves it has it do so.
    public var checks: ContentChecks? { contentChecks }

    /// All images of the store.
    public func images() async throws -> [StoredImage] { try await base.images() }

    /// What the store says that a name stands for.
    public func resolve(_ name: String) async throws -> Descriptor? { try await base.resolve(name) }

    /// All content of the store less what is withheld.
    public func contents() async throws -> [StoredContent] { await sound(try await base.contents()) }

    /// What the store knows of content, unless it is withheld.
    public func content(_ digest: Digest) async throws -> StoredContent? {
        await isWithheld(digest) ? nil : try await base.content(digest)
    }

    /// The size of content, unless it is withheld.
    public func size(of digest: Digest) async throws -> Int64? {
        await isWithheld(digest) ? nil : try await base.size(of: digest)
    }

    /// The content whose files are within reach, less what is withheld.
    public func contentsAtHand() async throws -> [StoredContent] { await sound(try await base.contentsAtHand()) }

    /// Opens the file of content, unless it is withheld.
    public func openFile(_ digest: Digest) throws -> ContentFile? {
        guard let file = try base.openFile(digest) else { return nil }
        return contentChecks.isWithheld(digest, file.stamp) ? nil : file
    }

    /// Opens content that is not within reach as a file, unless it is withheld.
    public func openReader(_ digest: Digest) async throws -> (any ContentReader)? {
        guard let reader = try await base.openReader(digest) else { return nil }
        return contentChecks.isWithheld(digest, reader.stamp) ? nil : reader
    }

    /// What changes in the store.
    public func changes() -> AsyncThrowingStream<StoreChange, any Error> { base.changes() }

    private func isWithheld(_ digest: Digest) async -> Bool {
        guard let fault = contentChecks.fault(digest) else { return false }
        do {
            let file = try? base.openFile(digest)
            let stamp = if let file { file.stamp } else { try await base.openReader(digest)?.stamp }
            return contentChecks.isWithheld(digest, stamp, as: fault)
        } catch {
            // Where nobody can tell what is there now, nothing has changed.
            return true
        }
    }

    private func sound(_ contents: [StoredContent]) async -> [StoredContent] {
        var withheld: Set<Digest> = []
        for digest in contentChecks.faultyDigests where await isWithheld(digest) { withheld.insert(digest) }
        return withheld.isEmpty ? contents : contents.filter { !withheld.contains($0.digest) }
    }
}
