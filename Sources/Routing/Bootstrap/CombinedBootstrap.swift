import Multiformats

/// The addresses of several sources.
public struct CombinedBootstrap: BootstrapSource {
    private let sources: [any BootstrapSource]

    /// Creates a source from others.
    public init(_ sources: [any BootstrapSource]) {
        self.sources = sources
    }

    /// No source has an address, and at least one has failed.
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private enum Answer {
        case addresses([Multiaddr])
        case failure(any Error)
    }

    /// The addresses of all sources, which are read concurrently. A failing source does not affect the others.
    public func addresses() async throws -> [Multiaddr] {
        let answers = await withTaskGroup(of: Answer.self) { group in
            for source in sources {
                group.addTask {
                    do { return .addresses(try await source.addresses()) } catch { return .failure(error) }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        var seen: Set<Multiaddr> = []
        var failures: [String] = []
        for answer in answers {
            switch answer {
            case .addresses(let addresses): seen.formUnion(addresses)
            case .failure(let error): failures.append("\(error)")
            }
        }
        if seen.isEmpty, !failures.isEmpty { throw Failure(description: failures.sorted().joined(separator: "; ")) }
        return Array(seen)
    }
}
