import ContentStore
import Logging
import OCI
import ServiceLifecycle
import Synchronization

/// Keeps the index and the router in step with the store: at start, on each change, and now and then in full.
///
/// A store that cannot be reached is waited for; what was known before stays served and advertised meanwhile.
public final class StateTracker: Service {
    /// How often and how patiently the store is read.
    public struct Configuration: Sendable {
        /// How long after the last full reading the next one comes, changes or not.
        public var fullInterval: Duration = .seconds(300)
        /// How long changes are gathered before they are acted on.
        public var coalescingDelay: Duration = .milliseconds(20)
        /// How long after an image was deleted the store is read again; garbage collection tells nobody.
        public var collectionDelay: Duration = .seconds(2)
        /// The first and the longest wait before a store that failed is asked again.
        public var retryDelay: (first: Duration, longest: Duration) = (.milliseconds(250), .seconds(10))

        /// The defaults.
        public init() {}
    }

    private let store: any ContentStore
    private let index: ContentIndex
    private let router: any Router
    private let filter: ContentFilter
    private let configuration: Configuration
    private let logger: Logger
    private let state = Mutex(State())

    private struct State {
        var advertised: Set<String> = []
        var synchronised = false
        var failure: String?
        var retryDelay: Duration?
        /// Since when a change is being acted on.
        var busySince: SuspendingClock.Instant?
    }

    /// Makes a tracker; it works while ``run()`` does.
    public init(
        store: any ContentStore,
        index: ContentIndex,
        router: any Router,
        filter: ContentFilter,
        configuration: Configuration = Configuration(),
        logger: Logger
    ) {
        self.store = store
        self.index = index
        self.router = router
        self.filter = filter
        self.configuration = configuration
        self.logger = logger
    }

    /// Ready once the store was read in full for the first time.
    public var readiness: Readiness {
        state.withLock { state in
            if state.synchronised { return .ready("\(state.advertised.count) keys advertised") }
            return .notReady(
                state.failure.map { "the content store cannot be read: \($0)" } ?? "reading the content store"
            )
        }
    }

    /// When the tracker last took up something new to do, or now while it has nothing to do.
    public var lastMove: SuspendingClock.Instant {
        state.withLock { $0.busySince ?? .now }
    }

    /// The keys that are advertised.
    public var advertisedKeys: Set<String> {
        state.withLock { $0.advertised }
    }

    /// Why the store cannot be followed now; `nil` when it can, or when that is not known yet.
    public var storeFailure: String? {
        state.withLock { $0.failure }
    }

    /// Follows the store until the task is cancelled or the service shuts down; then all keys are withdrawn.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do {
                    try await self.follow()
                } catch is CancellationError {
                    return
                } catch {
                    self.storeFailed(error)
                }
                do { try await Task.sleep(for: self.takeRetryDelay()) } catch { return }
            }
        }
        let keys = state.withLock { state in
            defer { state.advertised = [] }
            return state.advertised
        }
        if !keys.isEmpty { await router.withdraw(keys.sorted()) }
    }

    /// The wait before the next try; it doubles until the store was read again.
    private func takeRetryDelay() -> Duration {
        state.withLock { state in
            let delay = state.retryDelay ?? configuration.retryDelay.first
            state.retryDelay = min(delay * 2, configuration.retryDelay.longest)
            return delay
        }
    }

    /// Watches the store from before it is first read, so that nothing falls between. Returns by throwing only.
    private func follow() async throws {
        let pending = PendingChanges()
        try await withThrowingTaskGroup(of: Void.self) { group in
            let stream = store.changes()
            group.addTask {
                for try await change in stream { pending.add(change) }
                try Task.checkCancellation()
                throw StoreWatchEnded()
            }
            group.addTask {
                while true {
                    try await Task.sleep(for: .seconds(1))
                    pending.addFullIfDue(now: .now)
                }
            }
            group.addTask {
                try await self.work(off: pending)
            }
            try await group.next()
            group.cancelAll()
        }
    }

    /// Reads everything, then acts on changes as they come.
    private func work(off pending: PendingChanges) async throws {
        // A store whose watch begins by saying that anything may have changed is so read only once.
        pending.add(.unknown)
        for await _ in pending.signals {
            try await Task.sleep(for: configuration.coalescingDelay)
            let changes = pending.take()
            state.withLock { $0.busySince = .now }
            defer { state.withLock { $0.busySince = nil } }
            if changes.contains(.unknown) {
                try await synchronise()
                pending.setFullDue(.now + configuration.fullInterval)
            } else {
                try await apply(changes)
            }
            if changes.contains(where: \.isDeletion) {
                pending.setFullDue(.now + configuration.collectionDelay)
            }
        }
        try Task.checkCancellation()
    }

    /// Reads everything, and brings index and router to it.
    private func synchronise() async throws {
        let inventory = try await ContentInventory.read(store, filter: filter, report: reportUnreadable)
        index.replace(contents: inventory.contents, tags: inventory.tags)
        let keys = inventory.keys
        let (added, removed, first) = state.withLock { state in
            let added = keys.subtracting(state.advertised)
            let removed = state.advertised.subtracting(keys)
            let first = !state.synchronised
            let recovered = state.failure != nil
            state.advertised = keys
            state.synchronised = true
            state.failure = nil
            state.retryDelay = nil
            return (added, removed, first || recovered)
        }
        if !removed.isEmpty { await router.withdraw(removed.sorted()) }
        if !added.isEmpty { await router.advertise(added.sorted()) }
        if first || !added.isEmpty || !removed.isEmpty {
            logger.log(
                level: first ? .info : .debug,
                "content store read",
                metadata: [
                    "contents": "\(inventory.contents.count)", "tags": "\(inventory.tags.count)",
                    "advertised": "+\(added.count)", "withdrawn": "-\(removed.count)",
                ]
            )
        }
    }

    /// Acts on single changes without reading everything.
    private func apply(_ changes: Set<StoreChange>) async throws {
        var added: Set<String> = []
        var removed: Set<String> = []
        // Deletions first: what was deleted and made again is then found by its update.
        for change in changes.filter(\.isDeletion) + changes.filter({ !$0.isDeletion }) {
            switch change {
            case .imageUpdated(let name):
                try await imageUpdated(name, added: &added, removed: &removed)
            case .imageDeleted(let name):
                if let tagName = filter.tagName(ofImage: name) {
                    index.setTag(tagName, to: nil)
                    removed.insert(tagName)
                }
            case .contentAdded(let digest):
                guard let size = try await store.size(of: digest) else { continue }
                index.insert(digest, size: size, mediaType: nil)
                added.insert(digest.text)
            case .unknown:
                continue
            }
        }
        let (newly, gone) = state.withLock { state in
            let newly = added.subtracting(state.advertised)
            let gone = removed.intersection(state.advertised)
            state.advertised.formUnion(newly)
            state.advertised.subtract(gone)
            return (newly, gone)
        }
        if !gone.isEmpty { await router.withdraw(gone.sorted()) }
        if !newly.isEmpty { await router.advertise(newly.sorted()) }
    }

    private func imageUpdated(_ name: String, added: inout Set<String>, removed: inout Set<String>) async throws {
        guard let target = try await store.resolve(name) else { return }
        guard filter.allowsContent(ofImage: name) else { return }
        if let tagName = filter.tagName(ofImage: name) {
            index.setTag(tagName, to: target)
            removed.remove(tagName)
            added.insert(tagName)
        }
        var visited: Set<Digest> = []
        var found: [Digest: ContentIndex.Entry] = [:]
        let walker = ContentWalker(store: store, report: reportUnreadable)
        try await walker.walk(from: target, visited: &visited) { digest in
            try await store.size(of: digest)
        } visit: { digest, size, mediaType in
            found[digest] = ContentIndex.Entry(size: size, mediaType: mediaType)
        }
        for (digest, entry) in found {
            index.insert(digest, size: entry.size, mediaType: entry.mediaType)
            added.insert(digest.text)
        }
    }

    private func reportUnreadable(_ digest: Digest, _ error: any Error) {
        logger.debug("a manifest could not be read", metadata: ["digest": "\(digest)", "reason": "\(error)"])
    }

    private func storeFailed(_ error: any Error) {
        let text = "\(error)"
        let isNews = state.withLock { state in
            defer { state.failure = text }
            return state.failure == nil
        }
        // Once for each outage; an admin needs the fact, not a line for each attempt.
        logger.log(
            level: isNews ? .warning : .debug,
            "the content store cannot be followed; trying again until it can",
            metadata: ["reason": "\(text)"]
        )
    }
}

/// A store's stream of changes ended although nobody wanted it to.
struct StoreWatchEnded: Error, CustomStringConvertible {
    var description: String { "the store no longer tells of changes" }
}

extension StoreChange {
    fileprivate var isDeletion: Bool {
        if case .imageDeleted = self { true } else { false }
    }
}
