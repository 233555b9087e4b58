import Logging
import NIOCore
import ServiceLifecycle
import Synchronization

/// Takes part in an election for as long as it runs, and lets go of the Lease in the end.
///
/// An API server that is away does no harm: who leads is then unknown or out of date, and nothing else depends on it.
public final class LeaderElector: Service {
    /// What is known of the election.
    public struct Status: Hashable, Sendable {
        /// Whether this node leads.
        public var isLeader: Bool
        /// Who holds the Lease, if anybody is known to.
        public var holder: String?
        /// How many times the holder has changed.
        public var transitions: Int
        /// How long ago this node last renewed, or `nil` when it never led.
        public var sinceRenewal: Duration?
        /// How long ago the Lease was last seen to change, or `nil` when it was never seen.
        public var sinceChange: Duration?
        /// Why the last request failed, or `nil` when it did not.
        public var error: String?
        /// Whether any request was answered or failed yet.
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
    private let origin = ContinuousClock.now
    private let state = Mutex(State())

    /// How long a node waits for an address of its own before it looks again.
    private static let identityPause = Duration.seconds(1)
    /// The longest time that letting go of the Lease may take.
    private static let resignationTimeout = Duration.seconds(3)

    /// Makes an elector that uses the API server.
    ///
    /// - Parameters:
    ///   - identity: What stands for this node in the Lease; asked until there is an answer, then kept.
    ///   - userAgent: What the API server's log says of this program.
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

    /// What is known now.
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

    /// Takes part until the service shuts down or the task is cancelled; then lets go of the Lease if it is held.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            guard let identity = await self.waitForIdentity() else { return }
            self.logger.info(
                "taking part in the election",
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

    private var now: Duration { ContinuousClock.now - origin }

    private func waitForIdentity() async -> String? {
        while !Task.isCancelled {
            if let identity = identity() { return identity }
            try? await Task.sleep(for: Self.identityPause)
        }
        return nil
    }

    /// Does what the election asks for until it is finished, the task is cancelled, or the time is over.
    private func proceed(until end: Duration?) async {
        while !Task.isCancelled {
            let now = self.now
            if let end, now >= end { return }
            let step = state.withLock { $0.election?.next(at: now) } ?? .finished
            tell()
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
        tell()
    }

    /// The outcome of a request, or `nil` when the task was cancelled.
    private func perform(_ request: LeaderElection.Request, timeout: Duration) async -> LeaderElection.Outcome? {
        do {
            let outcome = try await store.perform(request, timeout: timeout)
            note(nil)
            return outcome
        } catch {
            if Task.isCancelled { return nil }
            note("\(error)")
            return .failed
        }
    }

    /// Tells of a failure when its reason is a new one, and of its end.
    private func note(_ failure: String?) {
        let before = state.withLock { state in
            state.hasTried = true
            defer { state.error = failure }
            return state.error
        }
        guard before != failure else { return }
        if let failure {
            logger.warning(
                "the election is suspended; the network goes on with the peers that it has",
                metadata: ["lease": "\(name)", "reason": "\(failure)"]
            )
        } else {
            logger.info("the election goes on", metadata: ["lease": "\(name)"])
        }
    }

    private func tell() {
        let events = state.withLock { $0.election?.takeEvents() ?? [] }
        for event in events {
            switch event {
            case .elected: logger.info("this node leads", metadata: ["lease": "\(name)"])
            case .lost: logger.info("this node leads no longer", metadata: ["lease": "\(name)"])
            case .holderChanged(let holder):
                logger.info("the leader changed", metadata: ["lease": "\(name)", "leader": "\(holder ?? "nobody")"])
            }
        }
    }
}
