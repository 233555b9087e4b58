import Logging
import OCI

/// A store less the content whose files were found not to be what their digests say: as long as such a file stays as it
/// is, the content counts as not held.
public final class CheckedStore: ContentStore {
    private let base: any ContentStore
    private let contentChecks: ContentChecks

    /// Checks the files of a store.
    ///
    /// - Parameters:
    ///   - advice: what an admin is to do about a faulty file.
    ///   - logger: told of each faulty file.
    public init(_ base: any ContentStore, advice: String, logger: Logger) {
        self.base = base
        contentChecks = ContentChecks(advice: advice, logger: logger)
    }

    /// What checks the files; whoever serves them has it do so.
    public var checks: ContentChecks? { contentChecks }

    /// All images of the store.
    public func images() async throws -> [StoredImage] { try await base.images() }

    /// What the store says that a name stands for.
    public func resolve(_ name: String) async throws -> Descriptor? { try await base.resolve(name) }

    /// All content of the store less what is withheld.
    public func contents() async throws -> [StoredContent] { sound(try await base.contents()) }

    /// What the store knows of content, unless it is withheld.
    public func content(_ digest: Digest) async throws -> StoredContent? {
        isWithheld(digest) ? nil : try await base.content(digest)
    }

    /// The size of content, unless it is withheld.
    public func size(of digest: Digest) async throws -> Int64? {
        isWithheld(digest) ? nil : try await base.size(of: digest)
    }

    /// The content whose files are within reach, less what is withheld.
    public func contentsAtHand() async throws -> [StoredContent] { sound(try await base.contentsAtHand()) }

    /// Opens the file of content, unless it is withheld.
    public func openFile(_ digest: Digest) throws -> ContentFile? {
        guard let file = try base.openFile(digest) else { return nil }
        return contentChecks.isWithheld(digest, file) ? nil : file
    }

    /// Opens content that is not within reach as a file, unless it is withheld.
    public func openReader(_ digest: Digest) async throws -> (any ContentReader)? {
        isWithheld(digest) ? nil : try await base.openReader(digest)
    }

    /// What changes in the store.
    public func changes() -> AsyncThrowingStream<StoreChange, any Error> { base.changes() }

    private func isWithheld(_ digest: Digest) -> Bool {
        contentChecks.isWithheld(digest, try? base.openFile(digest))
    }

    private func sound(_ contents: [StoredContent]) -> [StoredContent] {
        let withheld = contentChecks.withheld { try? base.openFile($0) }
        return withheld.isEmpty ? contents : contents.filter { !withheld.contains($0.digest) }
    }
}
