import Time

/// Where a ``KademliaNode`` takes time and chance from.
public struct KademliaEnvironment: Sendable {
    /// The time now; it must not go back.
    public var now: @Sendable () -> MonotonicTime
    /// Waits; ends early by throwing when the task is cancelled.
    public var sleep: @Sendable (Duration) async throws -> Void
    /// A random number, of which every value is equally likely.
    public var random: @Sendable () -> UInt64

    /// An environment of the given parts.
    public init(
        now: @escaping @Sendable () -> MonotonicTime,
        sleep: @escaping @Sendable (Duration) async throws -> Void,
        random: @escaping @Sendable () -> UInt64
    ) {
        self.now = now
        self.sleep = sleep
        self.random = random
    }

    /// The machine's own clock, from the moment of the call, and its randomness.
    public static var system: KademliaEnvironment {
        let origin = ContinuousClock.now
        return KademliaEnvironment(
            now: { .zero + (ContinuousClock.now - origin) },
            sleep: { try await Task.sleep(for: $0) },
            random: { UInt64.random(in: .min ... .max) }
        )
    }
}
