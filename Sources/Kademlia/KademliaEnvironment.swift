import Time

/// The clock and randomness of a ``KademliaNode``.
public struct KademliaEnvironment: Sendable {
    /// The current time, which must not go back.
    public var now: @Sendable () -> MonotonicTime
    /// Sleeps. Throws when the task is cancelled.
    public var sleep: @Sendable (Duration) async throws -> Void
    /// A uniformly distributed random number.
    public var random: @Sendable () -> UInt64

    /// Creates an environment.
    public init(
        now: @escaping @Sendable () -> MonotonicTime,
        sleep: @escaping @Sendable (Duration) async throws -> Void,
        random: @escaping @Sendable () -> UInt64
    ) {
        self.now = now
        self.sleep = sleep
        self.random = random
    }

    /// The system's clock and random numbers. The clock counts suspensions, because other nodes' records of this one
    /// expire meanwhile.
    public static var system: KademliaEnvironment {
        KademliaEnvironment(
            now: { .nowCountingSuspension },
            sleep: { try await Task.sleep(for: $0) },
            random: { UInt64.random(in: .min ... .max) }
        )
    }
}
