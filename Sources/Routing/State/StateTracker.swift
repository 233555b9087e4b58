import ContentStore
import FoundationEssentials
import Logging
import OCI
import ServiceLifecycle
import Synchronization
import Time

/// Keeps the index and the router in step with the store: at start, on each change, and in full at intervals.
///
/// While the store is unavailable, known content stays served and advertised.
public final class StateTracker: Service {
    /// The intervals and deadlines of reading the store.
    public struct Configuration: Sendable {
        /// The interval from one full reading to the next, with or without changes.
        public var fullInterval: Duration = .seconds(300)
        /// How long to gather changes before handling them.
        public var coalescingDelay: Duration = .milliseconds(20)
        /// The delay of a full reading after an image was deleted, because garbage collection sends no event.
        public var collectionDelay: Duration = .seconds(2)
        /// The first and the maximum delay before a retry after a failure.
        public var retryDelay: (first: Duration, longest: Duration) = (.milliseconds(250), .seconds(10))
        /// The maximum delay before a retry while the content is gone. A look at a folder costs little.
        public var lostRetryDelay: Duration = .seconds(1)
        /// The deadline of a request about one image or piece of content.
        public var itemDeadline: Duration = .seconds(5)
        /// The deadline of reading all documents in a full reading. The rest is left for the next one.
        public var documentsDeadline: Duration = .seconds(60)

        /// The defaults.
        public init() {}
    }

    let store: any ContentStore
    let index: ContentIndex
    let router: any Router
    let filter: ContentFilter
    let configuration: Configuration
    let logger: Logger
    let onRegistries: @Sendable (Set<String>) -> Void
    let state = Mutex(State())

    struct State {
        var advertised: Set<String> = []
        var withheld: Set<Digest> = []
        /// The names of the shared images that are references.
        var images: Set<String> = []
        var contentsByRegistry: [RegistryName?: Int] = [:]
        var imagesWithoutLayers = 0
        var synchronised = false
        /// The number of pieces of content that are shared from their files while the store has never been read.
        var contentsOnDisk = 0
        var failure: Failure?
        var outages = 0
        var lastComparison: TrackerSnapshot.Comparison?
        var retryDelay: Duration?
        /// The start time of the change in progress.
        var busySince: MonotonicTime?
        /// The pending changes while the store is followed.
        var pending: PendingChanges?

        /// Back to the state before the first reading.
        mutating func forgetContent() {
            advertised = []
            withheld = []
            images = []
            contentsByRegistry = [:]
            imagesWithoutLayers = 0
            synchronised = false
            contentsOnDisk = 0
        }
    }

    struct Failure {
        var text: String
        var since: MonotonicTime
        /// Whether the content is gone, and not merely out of reach.
        var isLost: Bool
    }

    /// Creates a tracker. It works while ``run()`` does.
    ///
    /// - Parameter onRegistries: receives the registries of shared content as soon as that is known.
    public init(
        store: any ContentStore,
        index: ContentIndex,
        router: any Router,
        filter: ContentFilter,
        configuration: Configuration = Configuration(),
        logger: Logger,
        onRegistries: @escaping @Sendable (Set<String>) -> Void = { _ in }
    ) {
        self.onRegistries = onRegistries
        self.store = store
        self.index = index
        self.router = router
        self.filter = filter
        self.configuration = configuration
        self.logger = logger
        // Until the first reading nothing says of what image any content is.
        if !filter.sharesAllContent { index.share(only: []) }
    }

    /// Ready after the first full reading, and not ready while the content is gone.
    public var readiness: Readiness {
        state.withLock { state in
            if state.synchronised { return .ready("\(state.advertised.count) keys advertised") }
            guard let failure = state.failure else { return .notReady("reading the content store") }
            let onDisk =
                state.contentsOnDisk > 0 ? "; sharing \(state.contentsOnDisk) pieces of content on disk" : ""
            return .notReady("content store unavailable: \(failure.text)\(onDisk)")
        }
    }

    /// When the tracker last began new work; now while it is idle.
    public var lastMove: MonotonicTime {
        state.withLock { $0.busySince ?? .now }
    }

    /// The advertised keys.
    public var advertisedKeys: Set<String> {
        state.withLock { $0.advertised }
    }

    /// The full names of the shared images, by tag or digest.
    public var imageNames: Set<String> { state.withLock { $0.images } }

    /// The present state.
    public var snapshot: TrackerSnapshot {
        let state = self.state.withLock { $0 }
        let store: TrackerSnapshot.Store =
            if let failure = state.failure {
                .away(reason: failure.text, since: failure.since)
            } else {
                state.synchronised ? .followed : .starting
            }
        return TrackerSnapshot(
            store: store,
            outages: state.outages,
            keys: state.advertised.count,
            registries: TrackerSnapshot.registries(images: state.images, contents: state.contentsByRegistry),
            withheldContents: state.withheld.count,
            imagesWithoutLayers: state.imagesWithoutLayers,
            lastComparison: state.lastComparison
        )
    }

    /// Follows the store until the task is cancelled or the service shuts down. Then it withdraws all keys.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                if let faults = self.store.checks?.faults {
                    group.addTask { for await digest in faults { await self.withdrawFaulty(digest) } }
                }
                await self.followUntilCancelled()
                group.cancelAll()
            }
        }
        let keys = state.withLock { state in
            defer { state.advertised = [] }
            return state.advertised
        }
        if !keys.isEmpty { await router.withdraw(keys.sorted()) }
    }

    private func followUntilCancelled() async {
        while !Task.isCancelled {
            do {
                try await follow()
            } catch is CancellationError {
                return
            } catch {
                await storeFailed(error)
            }
            do { try await Task.sleep(for: takeRetryDelay()) } catch { return }
        }
    }

    /// Withdraws content with a digest mismatch at once. The store no longer lists it, so a full reading soon after
    /// handles the tags that reference it.
    private func withdrawFaulty(_ digest: Digest) async {
        index.remove(digest)
        let (wasAdvertised, pending) = state.withLock { ($0.advertised.remove(digest.text) != nil, $0.pending) }
        if wasAdvertised { await router.withdraw([digest.text]) }
        pending?.setCollectionDue(.now + configuration.collectionDelay)
    }

    /// Watches the store from before the first reading, so that no change is missed. Ends only by throwing.
    private func follow() async throws {
        let pending = PendingChanges()
        state.withLock { $0.pending = pending }
        defer { state.withLock { $0.pending = nil } }
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
                for await _ in pending.recheckSignals {
                    while let due = pending.nextRecheck {
                        try await Task.sleep(for: due - .now)
                        pending.addRechecks(now: .now)
                    }
                }
                try Task.checkCancellation()
            }
            group.addTask {
                try await self.work(off: pending)
            }
            try await group.next()
            group.cancelAll()
        }
    }

    /// Reads everything, then handles changes as they come.
    private func work(off pending: PendingChanges) async throws {
        // A watch often begins with an unknown change. Both together cause only one reading.
        pending.add(.unknown)
        for await _ in pending.signals {
            try await Task.sleep(for: configuration.coalescingDelay)
            let changes = pending.take()
            state.withLock { $0.busySince = .now }
            defer { state.withLock { $0.busySince = nil } }
            if changes.contains(.unknown) {
                try await synchronise()
                pending.setFullDue(.now + configuration.fullInterval)
            } else if !changes.isEmpty, await !apply(changes, pending: pending) {
                try Task.checkCancellation()
                // A request failed. If the whole store is down, the next reading finds out.
                pending.setFullDue(.now + configuration.collectionDelay)
            }
            if changes.contains(where: \.isDeletion) {
                pending.setCollectionDue(.now + configuration.collectionDelay)
            }
        }
        try Task.checkCancellation()
    }

    /// Reads everything, and updates index and router.
    private func synchronise() async throws {
        let start = MonotonicTime.now
        let limits = ContentGraph.Limits(document: configuration.itemDeadline, all: configuration.documentsDeadline)
        var unreadable = 0
        let inventory = try await ContentInventory.read(store, filter: filter, limits: limits) { digest, error in
            unreadable += 1
            reportUnreadable(digest, error)
        }
        onRegistries(inventory.registries)
        index.replace(contents: inventory.contents, tags: inventory.tags)
        let keys = inventory.keys
        if !filter.sharesAllContent { index.share(only: keys) }
        let end = MonotonicTime.now
        let (added, removed, first) = state.withLock { state in
            let added = keys.subtracting(state.advertised)
            let removed = state.advertised.subtracting(keys)
            let first = !state.synchronised || state.failure != nil
            state.advertised = keys
            state.withheld = inventory.withheld
            state.images = inventory.images
            state.contentsByRegistry = inventory.contentsByRegistry
            state.imagesWithoutLayers = inventory.imagesWithoutLayers
            state.synchronised = true
            state.contentsOnDisk = 0
            state.failure = nil
            state.retryDelay = nil
            state.lastComparison = TrackerSnapshot.Comparison(
                duration: end - start,
                end: end,
                endTime: Date().timeIntervalSince1970
            )
            return (added, removed, first)
        }
        if !removed.isEmpty { await router.withdraw(removed.sorted()) }
        if !added.isEmpty { await router.advertise(added.sorted()) }
        if first || !added.isEmpty || !removed.isEmpty {
            logger.log(
                level: first ? .info : .debug,
                "content store read",
                metadata: [
                    "contents": .stringConvertible(inventory.contents.count),
                    "tags": .stringConvertible(inventory.tags.count),
                    "advertised": .stringConvertible(added.count), "withdrawn": .stringConvertible(removed.count),
                    "withheld": .stringConvertible(inventory.withheld.count),
                    "unreadable": .stringConvertible(unreadable),
                    "duration": "\(Int((end - start) / .milliseconds(1)))ms",
                ]
            )
        }
    }

    func reportUnreadable(_ digest: Digest, _ error: any Error) {
        logger.debug("manifest unreadable", metadata: ["digest": "\(digest)", "reason": "\(error)"])
    }
}

/// An error for a stream of changes that ended unexpectedly.
struct StoreWatchEnded: Error, CustomStringConvertible {
    var description: String { "watch of the store ended" }
}
