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

    /// Runs an operation, and cancels it when it takes longer than `limit`.
    ///
    /// - Throws: ``DeadlineExceeded``, or the operation's own error.
    func withDeadline<Result: Sendable>(
        _ limit: Duration,
        _ operation: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask { try await operation() }
            group.addTask {
                try await sleep(limit)
                return nil
            }
            defer { group.cancelAll() }
            // The group has two tasks, so there is a first result.
            guard let first = try await group.next(), let result = first else { throw DeadlineExceeded(limit: limit) }
            return result
        }
    }
}

/// A peer did not answer in time.
struct DeadlineExceeded: Error, CustomStringConvertible {
    let limit: Duration

    var description: String { "expected an answer within \(limit), got none" }
}

/// Feeds the environment's randomness to what takes a generator.
struct EnvironmentRandomness: RandomNumberGenerator {
    let random: @Sendable () -> UInt64

    mutating func next() -> UInt64 { random() }
}
