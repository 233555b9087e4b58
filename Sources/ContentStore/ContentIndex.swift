import OCI
import Synchronization

/// The content of a node in memory, so that a request does not ask the store.
///
/// The state tracker writes it and the registry reads it. It lags behind the store by the latency of change events, so
/// it is no authority on what can be opened.
public final class ContentIndex: Sendable {
    private struct State {
        var contents: [Digest: Entry] = [:]
        var tags: [String: Descriptor] = [:]
        /// The keys of what may leave this node; `nil` for all content.
        var shared: Set<String>?
        /// Whether the first complete list was entered.
        var isFilled = false
        var observers: [@Sendable (Arrival) -> Void] = []
    }

    /// Content that is held.
    public enum Arrival: Sendable {
        /// The first complete list.
        case first([Digest: Entry])
        /// Later additions; some may have been held before.
        case later([Digest: Entry])
    }

    /// The metadata of one piece of content.
    public struct Entry: Hashable, Sendable {
        /// The size in bytes.
        public var size: Int64
        /// The media type, known for content that a manifest, an index or an image references.
        public var mediaType: MediaType?

        /// Creates an entry.
        public init(size: Int64, mediaType: MediaType?) {
            self.size = size
            self.mediaType = mediaType
        }
    }

    private let state = Mutex(State())

    /// Creates an empty index.
    public init() {}

    /// The metadata of content, or `nil` when the index lacks it.
    public func entry(_ digest: Digest) -> Entry? {
        state.withLock { $0.contents[digest] }
    }

    /// The metadata of content, or `nil` when the index lacks it, and whether the content may leave this node.
    public func find(_ digest: Digest) -> (entry: Entry?, isShared: Bool) {
        state.withLock { ($0.contents[digest], $0.shared?.contains(digest.text) ?? true) }
    }

    /// Withholds all content but that with these keys, however it is asked for.
    public func share(only keys: Set<String>) {
        state.withLock { $0.shared = keys }
    }

    /// Changes the keys of the content that is not withheld; without effect where none is.
    public func share(_ added: Set<String>, andWithhold removed: Set<String>) {
        state.withLock { state in
            guard state.shared != nil else { return }
            state.shared?.formUnion(added)
            state.shared?.subtract(removed)
        }
    }

    /// The manifest or index of a full tag name (`docker.io/library/alpine:3`).
    public func resolve(tagName: String) -> Descriptor? {
        state.withLock { $0.tags[tagName] }
    }

    /// Replaces all entries and tags.
    public func replace(contents: [Digest: Entry], tags: [String: Descriptor]) {
        let (isFirst, observers) = state.withLock { state in
            defer { state.isFilled = true }
            state.contents = contents
            state.tags = tags
            return (!state.isFilled, state.observers)
        }
        for observer in observers { observer(isFirst ? .first(contents) : .later(contents)) }
    }

    /// Sets the observer of arriving content. The index calls it at once, so it must return soon.
    public func observe(_ observer: @escaping @Sendable (Arrival) -> Void) {
        state.withLock { $0.observers.append(observer) }
    }

    /// Adds content or updates its metadata. A known media type is kept.
    public func insert(_ digest: Digest, size: Int64, mediaType: MediaType?) {
        let (entry, observers) = state.withLock { state in
            let known = state.contents[digest]
            let entry = Entry(size: size, mediaType: mediaType ?? known?.mediaType)
            state.contents[digest] = entry
            return (entry, known == nil && state.isFilled ? state.observers : [])
        }
        for observer in observers { observer(.later([digest: entry])) }
    }

    /// Removes content.
    public func remove(_ digest: Digest) {
        state.withLock { _ = $0.contents.removeValue(forKey: digest) }
    }

    /// Sets the target of a full tag name; `nil` removes the tag.
    public func setTag(_ tagName: String, to target: Descriptor?) {
        state.withLock { $0.tags[tagName] = target }
    }

    /// The largest content.
    ///
    /// - Parameters:
    ///   - limit: the most pieces that are returned, and half of what is kept meanwhile.
    ///   - size: smaller pieces and those of this size are left out.
    /// - Returns: digests and sizes, the largest first.
    public func largest(_ limit: Int, above size: Int64) -> [(digest: Digest, size: Int64)] {
        state.withLock { state in
            var kept: [(digest: Digest, size: Int64)] = []
            var floor = size
            func cut() {
                kept.sort { ($1.size, $0.digest.text) < ($0.size, $1.digest.text) }
                guard kept.count > limit else { return }
                kept.removeSubrange(limit...)
                floor = kept.last?.size ?? size
            }
            for (digest, entry) in state.contents where entry.size > floor {
                kept.append((digest, entry.size))
                if kept.count >= 2 * limit { cut() }
            }
            cut()
            return kept
        }
    }

    /// The targets of all full tag names.
    public var tags: [String: Descriptor] { state.withLock { $0.tags } }

    /// The number of entries and of tags.
    public var counts: (contents: Int, tags: Int) {
        state.withLock { ($0.contents.count, $0.tags.count) }
    }
}
