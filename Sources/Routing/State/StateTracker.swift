import ContentStore
import FoundationEssentials
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
        /// How long one image or piece of content may hold up the rest.
        public var itemDeadline: Duration = .seconds(5)
        /// How long all documents together may take in a full reading; the rest is left for the next one.
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
    let state = Mutex(State())

    struct State {
        var advertised: Set<String> = []
        var withheld: Set<Digest> = []
        /// The names of the shared images that are references.
        var images: Set<String> = []
        var contentsByRegistry: [RegistryName?: Int] = [:]
        var imagesWithoutLayers = 0
        var synchronised = false
        /// How many pieces of content are shared from their files while the store has never been read.
        var contentsOnDisk = 0
        var failure: (text: String, since: ContinuousClock.Instant)?
        var outages = 0
        var lastComparison: TrackerSnapshot.Comparison?
        var retryDelay: Duration?
        /// Since when a change is being acted on.
        var busySince: SuspendingClock.Instant?
        /// What waits to be acted on while the store is followed.
        var pending: PendingChanges?
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
            guard let failure = state.failure else { return .notReady("reading the content store") }
            let atHand =
                state.contentsOnDisk > 0 ? "; \(state.contentsOnDisk) pieces of content are shared meanwhile" : ""
            return .notReady("the content store cannot be read: \(failure.text)\(atHand)")
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

    /// The full names of the images that are shared, by tag or digest.
    public var imageNames: Set<String> { state.withLock { $0.images } }

    /// What is known and advertised now.
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

    /// Follows the store until the task is cancelled or the service shuts down; then all keys are withdrawn.
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

    /// The file of some content is not what its digest says: the content is taken back at once. The store no longer shows
    /// it, so a reading of everything, soon after, does the rest, for the tags that stand for it.
    private func withdrawFaulty(_ digest: Digest) async {
        index.remove(digest)
        let (wasAdvertised, pending) = state.withLock { ($0.advertised.remove(digest.text) != nil, $0.pending) }
        if wasAdvertised { await router.withdraw([digest.text]) }
        pending?.setCollectionDue(.now + configuration.collectionDelay)
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
                        try await Task.sleep(until: due)
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
            } else if !changes.isEmpty, await !apply(changes, pending: pending) {
                try Task.checkCancellation()
                // Something could not be asked. If it is the store as a whole, the next reading finds out.
                pending.setFullDue(.now + configuration.collectionDelay)
            }
            if changes.contains(where: \.isDeletion) {
                pending.setCollectionDue(.now + configuration.collectionDelay)
            }
        }
        try Task.checkCancellation()
    }

    /// Reads everything, and brings index and router to it.
    private func synchronise() async throws {
        let clock = ContinuousClock()
        let start = clock.now
        let limits = ContentGraph.Limits(document: configuration.itemDeadline, all: configuration.documentsDeadline)
        var unreadable = 0
        let inventory = try await ContentInventory.read(store, filter: filter, limits: limits) { digest, error in
            unreadable += 1
            reportUnreadable(digest, error)
        }
        index.replace(contents: inventory.contents, tags: inventory.tags)
        let keys = inventory.keys
        let end = clock.now
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
                    "contents": "\(inventory.contents.count)", "tags": "\(inventory.tags.count)",
                    "advertised": "+\(added.count)", "withdrawn": "-\(removed.count)",
                    "withheld": "\(inventory.withheld.count)", "unreadable": "\(unreadable)",
                    "duration": "\(Int((end - start) / .milliseconds(1)))ms",
                ]
            )
        }
    }

    func reportUnreadable(_ digest: Digest, _ error: any Error) {
        logger.debug("a manifest could not be read", metadata: ["digest": "\(digest)", "reason": "\(error)"])
    }

    private func storeFailed(_ error: any Error) async {
        let text = "\(error)"
        let (isNews, wasRead) = state.withLock { state in
            let isNews = state.failure == nil
            state.failure = (text, state.failure?.since ?? .now)
            if isNews { state.outages += 1 }
            return (isNews, state.synchronised)
        }
        // Once for each outage; an admin needs the fact, not a line for each attempt.
        logger.log(
            level: isNews ? .warning : .debug,
            "the content store cannot be followed; trying again until it can",
            metadata: ["reason": "\(text)"]
        )
        if isNews, !wasRead { await shareContentOnDisk() }
    }

    /// Shares what can be served without the store: the content whose files are within reach. Nothing is known of its
    /// origin, so it is not advertised where that matters; it is served all the same to whoever knows the digest.
    private func shareContentOnDisk() async {
        guard filter.sharesAllContent else { return }
        do {
            let contents = try await store.contentsOnDisk()
            guard !contents.isEmpty else { return }
            let keys = Set(contents.map(\.digest.text))
            for content in contents { index.insert(content.digest, size: content.size, mediaType: nil) }
            state.withLock { state in
                state.advertised.formUnion(keys)
                state.contentsOnDisk = contents.count
            }
            await router.advertise(keys.sorted())
            logger.info(
                "sharing what lies in the content folder meanwhile",
                metadata: ["contents": "\(contents.count)"]
            )
        } catch {
            logger.debug("the content folder cannot be listed", metadata: ["reason": "\(error)"])
        }
    }
}

/// A store's stream of changes ended although nobody wanted it to.
struct StoreWatchEnded: Error, CustomStringConvertible {
    var description: String { "the store no longer tells of changes" }
}
