import Logging
import NIOCore
import ServiceLifecycle
import Synchronization
import Time

/// Takes part in a leader election while it runs, and releases the Lease at the end.
///
/// An unreachable API server does no harm: the leader is then unknown or out of date, and nothing else depends on it.
public final class LeaderElector: Service {
    /// The state of the election.
    public struct Status: Hashable, Sendable {
        /// Whether this node leads.
        public var isLeader: Bool
        /// The last seen holder of the Lease.
        public var holder: String?
        /// The number of changes of the holder.
        public var transitions: Int
        /// The time since this node's last renewal, or `nil` when it never led.
        public var sinceRenewal: Duration?
        /// The time since the last seen change of the Lease, or `nil` when it was never seen.
        public var sinceChange: Duration?
        /// The error of the last request, or `nil` when it succeeded.
        public var error: String?
        /// Whether a request has ended yet.
        public var hasTried: Bool
    }

    private struct State {
        var election: LeaderElection?
        var error: String?
        var hasTried = false
    }

    private let store: any LeaseStore
    private let name: LeaseName
    private let timing: ElectionTiming
    private let identity: @Sendable () -> String?
    private let logger: Logger
    private let state = Mutex(State())

    /// The pause before the identity is requested again.
    private static let identityPause = Duration.seconds(1)
    /// The maximum time for releasing the Lease.
    private static let resignationTimeout = Duration.seconds(3)

    /// Creates an elector that uses the API server.
    ///
    /// - Parameters:
    ///   - identity: The identity of this node in the Lease; called until it returns one, which is then kept.
    ///   - userAgent: The name of this program for the API server's log.
    public convenience init(
        access: ClusterAccess,
        name: LeaseName,
        timing: ElectionTiming,
        identity: @escaping @Sendable () -> String?,
        userAgent: String,
        group: any EventLoopGroup,
        logger: Logger
    ) {
        let client = LeaseClient(access: access, name: name, userAgent: userAgent, group: group)
        self.init(store: client, name: name, timing: timing, identity: identity, logger: logger)
    }

    init(
        store: any LeaseStore,
        name: LeaseName,
        timing: ElectionTiming,
        identity: @escaping @Sendable () -> String?,
        logger: Logger
    ) {
        self.store = store
        self.name = name
        self.timing = timing
        self.identity = identity
        self.logger = logger
    }

    /// The present state.
    public var status: Status {
        let now = self.now
        let (election, error, hasTried) = state.withLock { ($0.election, $0.error, $0.hasTried) }
        return Status(
            isLeader: election?.isLeader(at: now) ?? false,
            holder: election?.holder,
            transitions: Int(election?.transitions ?? 0),
            sinceRenewal: election?.lastRenewal.map { now - $0 },
            sinceChange: election?.lastChange.map { now - $0 },
            error: error,
            hasTried: hasTried
        )
    }

    /// Takes part until the service shuts down or the task is cancelled, then releases a held Lease.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            guard let identity = await self.waitForIdentity() else { return }
            self.logger.info(
                "leader election started",
                metadata: ["lease": "\(self.name)", "identity": "\(identity)"]
            )
            self.state.withLock { state in
                state.election = LeaderElection(identity: identity, timing: self.timing, now: self.now)
            }
            await self.proceed(until: nil)
        }
        state.withLock { $0.election?.resign(at: now) }
        await proceed(until: now + Self.resignationTimeout)
        await store.close()
    }

    // Other nodes count the age of the Lease while this machine is suspended.
    private var now: MonotonicTime { .nowCountingSuspension }

    private func waitForIdentity() async -> String? {
        while !Task.isCancelled {
            if let identity = identity() { return identity }
            try? await Task.sleep(for: Self.identityPause)
        }
        return nil
    }

    /// Carries out the election's steps until it ends, the task is cancelled, or the time is over.
    private func proceed(until end: MonotonicTime?) async {
        while !Task.isCancelled {
            let now = self.now
            if let end, now >= end { return }
            let step = state.withLock { $0.election?.next(at: now) } ?? .finished
            logEvents()
            switch step {
            case .finished:
                return
            case .wait(let until):
                try? await Task.sleep(for: until - now)
            case .send(let request, let deadline):
                let timeout = max(min(deadline, end ?? deadline) - now, .milliseconds(1))
                guard let outcome = await perform(request, timeout: timeout) else { return }
                let later = self.now
                state.withLock { $0.election?.receive(outcome, at: later, random: .random(in: 0...1)) }
            }
        }
        logEvents()
    }

    /// The outcome of a request, or `nil` when the task was cancelled.
    private func perform(_ request: LeaderElection.Request, timeout: Duration) async -> LeaderElection.Outcome? {
        do {
            let outcome = try await store.perform(request, timeout: timeout)
            report(nil)
            return outcome
        } catch {
            if Task.isCancelled { return nil }
            report("\(error)")
            return .failed
        }
    }

    /// Logs a failure when its reason is new, and its end.
    private func report(_ failure: String?) {
        let before = state.withLock { state in
            state.hasTried = true
            defer { state.error = failure }
            return state.error
        }
        guard before != failure else { return }
        if let failure {
            logger.warning(
                "leader election suspended, keeping the current peers",
                metadata: ["lease": "\(name)", "reason": "\(failure)"]
            )
        } else {
            logger.info("leader election resumed", metadata: ["lease": "\(name)"])
        }
    }

    private func logEvents() {
        let events = state.withLock { $0.election?.takeEvents() ?? [] }
        for event in events {
            switch event {
            case .elected: logger.info("elected as leader", metadata: ["lease": "\(name)"])
            case .lost: logger.info("lost leadership", metadata: ["lease": "\(name)"])
            case .holderChanged(let holder):
                logger.info("leader changed", metadata: ["lease": "\(name)", "leader": "\(holder ?? "none")"])
            }
        }
    }
}
