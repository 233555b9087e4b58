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
        /// Whether everything was entered once, so that what comes is new.
        var isFilled = false
        var observers: [@Sendable (Arrival) -> Void] = []
    }

    /// What is told of content that is held.
    public enum Arrival: Sendable {
        /// The first list of all: this was held before anybody looked.
        case first([Digest: Entry])
        /// This is held, and some of it may not have been before.
        case later([Digest: Entry])
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
        let (isFirst, observers) = state.withLock { state in
            defer { state.isFilled = true }
            state.contents = contents
            state.tags = tags
            return (!state.isFilled, state.observers)
        }
        for observer in observers { observer(isFirst ? .first(contents) : .later(contents)) }
    }

    /// Has somebody told of content that is held now. The observer is called at once and must return soon.
    public func observe(_ observer: @escaping @Sendable (Arrival) -> Void) {
        state.withLock { $0.observers.append(observer) }
    }

    /// Adds content or what is newly known of it; a media type that was known stays known.
    public func insert(_ digest: Digest, size: Int64, mediaType: MediaType?) {
        let (entry, observers) = state.withLock { state in
            let known = state.contents[digest]
            let entry = Entry(size: size, mediaType: mediaType ?? known?.mediaType)
            state.contents[digest] = entry
            return (entry, known == nil && state.isFilled ? state.observers : [])
        }
        for observer in observers { observer(.later([digest: entry])) }
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
