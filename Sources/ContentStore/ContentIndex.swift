import OCI
import Synchronization

/// What a node is known to hold, in memory, so that no request needs to ask the store.
///
/// Whoever follows the store (the state tracker) writes it, whoever answers requests reads it. It may lag behind the
/// store by the time that a change takes to be told; it is never the authority on what can be opened.
public final class ContentIndex: Sendable {
    private struct State {
        var contents: [Digest: Entry] = [:]
        var tags: [String: Descriptor] = [:]
    }

    /// What is known of one piece of content.
    public struct Entry: Hashable, Sendable {
        /// The size in bytes.
        public var size: Int64
        /// The media type, known for content that some manifest, index or image names.
        public var mediaType: MediaType?

        /// Makes an entry.
        public init(size: Int64, mediaType: MediaType?) {
            self.size = size
            self.mediaType = mediaType
        }
    }

    private let state = Mutex(State())

    /// Makes an empty index.
    public init() {}

    /// What is known of the content with this digest, or `nil` when it is not held as far as is known.
    public func entry(_ digest: Digest) -> Entry? {
        state.withLock { $0.contents[digest] }
    }

    /// The manifest or index that a full tag name (`docker.io/library/alpine:3`) stands for here.
    public func resolve(tagName: String) -> Descriptor? {
        state.withLock { $0.tags[tagName] }
    }

    /// Replaces everything.
    public func replace(contents: [Digest: Entry], tags: [String: Descriptor]) {
        state.withLock {
            $0.contents = contents
            $0.tags = tags
        }
    }

    /// Adds content or what is newly known of it; a media type that was known stays known.
    public func insert(_ digest: Digest, size: Int64, mediaType: MediaType?) {
        state.withLock {
            let known = $0.contents[digest]?.mediaType
            $0.contents[digest] = Entry(size: size, mediaType: mediaType ?? known)
        }
    }

    /// Forgets content that turned out to be gone.
    public func remove(_ digest: Digest) {
        state.withLock { _ = $0.contents.removeValue(forKey: digest) }
    }

    /// Sets what a full tag name stands for; `nil` forgets the tag.
    public func setTag(_ tagName: String, to target: Descriptor?) {
        state.withLock { $0.tags[tagName] = target }
    }

    /// What the full tag names stand for.
    public var tags: [String: Descriptor] { state.withLock { $0.tags } }

    /// How many pieces of content and how many tags are known.
    public var counts: (contents: Int, tags: Int) {
        state.withLock { ($0.contents.count, $0.tags.count) }
    }
}
