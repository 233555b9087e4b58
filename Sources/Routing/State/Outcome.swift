/// The outcome of one request to a store.
enum Outcome<Value: Sendable>: Sendable {
    case found(Value)
    case absent
    case failed(any Error)

    /// Runs a request with a deadline. The request must support cancellation.
    static func of(within limit: Duration, _ ask: @Sendable @escaping () async throws -> Value?) async -> Outcome {
        await withTaskGroup(of: Outcome.self) { group in
            group.addTask {
                do {
                    return try await ask().map { .found($0) } ?? .absent
                } catch {
                    return .failed(error)
                }
            }
            group.addTask {
                try? await Task.sleep(for: limit)
                return .failed(TookTooLong(limit: limit))
            }
            let first = await group.next() ?? .absent
            group.cancelAll()
            return first
        }
    }
}

/// An error for a request that exceeds its deadline.
struct TookTooLong: Error, CustomStringConvertible {
    let limit: Duration

    var description: String { "timed out after \(limit)" }
}

/// Applies a function to each item, some concurrently. Returns the results in order of completion.
func concurrently<Item: Sendable, Result: Sendable>(
    _ items: [Item],
    width: Int,
    _ body: @Sendable @escaping (Item) async -> Result
) async -> [Result] {
    await withTaskGroup(of: Result.self) { group in
        var rest = items[...]
        for item in rest.prefix(width) { group.addTask { await body(item) } }
        rest = rest.dropFirst(width)
        var results: [Result] = []
        results.reserveCapacity(items.count)
        while let result = await group.next() {
            results.append(result)
            if let item = rest.popFirst() { group.addTask { await body(item) } }
        }
        return results
    }
}
