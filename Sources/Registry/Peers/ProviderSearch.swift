import Listening
import Mirroring
import NIOCore
import Routing

/// The lookup for the providers of one key, on behalf of one transfer and its event loop.
///
/// Providers that are found in the same turn of the event loop are handed over together, so that the best of them is asked
/// first.
final class ProviderSearch {
    /// What is found, in order: `started` once the lookup has its place, then providers, then `ended`.
    enum Event {
        case started
        case found([Peer], mayCut: Bool)
        case ended
    }

    private let router: any Router
    private let key: String
    private let eventLoop: any EventLoop
    private let executor: EventLoopTaskExecutor
    /// Called on the event loop until ``stop()``.
    var onEvent: (Event) -> Void = { _ in }
    private var task: Task<Void, Never>?
    /// Tells this lookup from one that was cancelled before it.
    private var number = 0
    /// Those found in this turn of the event loop.
    private var batch: [Peer] = []

    init(_ key: String, router: any Router, eventLoop: any EventLoop, executor: EventLoopTaskExecutor) {
        self.key = key
        self.router = router
        self.eventLoop = eventLoop
        self.executor = executor
    }

    /// Looks for up to `limit` providers; an earlier lookup is cancelled.
    func start(limit: Int) {
        stop()
        let number = number
        if let known = router.knownProviders(of: key, limit: limit) {
            onEvent(.started)
            batch = known.map(Peer.init)
            return end(number)
        }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let (router, key) = (router, key)
        task = Task(executorPreference: executor) { [eventLoop] in
            let providers = router.providers(of: key, limit: limit) {
                eventLoop.execute { bound.value.report(.started, number) }
            }
            for await provider in providers {
                eventLoop.execute { bound.value.found(provider, number) }
            }
            eventLoop.execute { bound.value.end(number) }
        }
    }

    /// Finds no more; what was found is still handed over, and then the end.
    func cut() {
        task?.cancel()
    }

    /// Ends the lookup without another event.
    func stop() {
        number += 1
        batch = []
        task?.cancel()
        task = nil
    }

    /// Hands over what was found in this turn before it ends.
    func handOver() {
        guard !batch.isEmpty else { return }
        let found = batch
        batch = []
        onEvent(.found(found, mayCut: task != nil))
    }

    private func report(_ event: Event, _ number: Int) {
        if number == self.number { onEvent(event) }
    }

    private func found(_ provider: Provider, _ number: Int) {
        guard number == self.number else { return }
        batch.append(Peer(provider))
        guard batch.count == 1 else { return }
        eventLoop.assumeIsolated().execute { [weak self] in
            if number == self?.number { self?.handOver() }
        }
    }

    private func end(_ number: Int) {
        guard number == self.number else { return }
        handOver()
        guard number == self.number else { return }
        task = nil
        onEvent(.ended)
    }
}
