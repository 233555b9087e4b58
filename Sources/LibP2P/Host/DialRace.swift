import Multiformats

/// The order and timing of dials to a peer's addresses (RFC 8305, sections 4 and 5). IPv6 and IPv4 alternate, IPv6
/// first. The next dial begins after a stagger, or as soon as the previous one fails.
///
/// A pure value: the driver carries out the actions and reports the results.
struct DialRace {
    /// An action for the driver.
    enum Action: Equatable {
        /// Dial an address.
        case dial(Multiaddr)
        /// Wait for the stagger, then call ``DialRace/waited(_:)`` with this number.
        case wait(Int)
        /// All addresses failed.
        case giveUp
    }

    private var rest: [Multiaddr]
    private var running = 0
    private var waits = 0
    /// The failed addresses with their reasons.
    private(set) var failures: [(address: Multiaddr, reason: String)] = []

    init(_ addresses: [Multiaddr]) {
        rest = Self.interleaved(addresses).reversed()
    }

    /// The first actions.
    mutating func start() -> [Action] { next() }

    /// Reports a failed dial.
    mutating func failed(_ address: Multiaddr, reason: String) -> [Action] {
        failures.append((address, reason))
        running -= 1
        return next()
    }

    /// Reports the end of a wait. Ignores a wait that a failure has overtaken.
    mutating func waited(_ number: Int) -> [Action] {
        number == waits ? next() : []
    }

    private mutating func next() -> [Action] {
        guard let address = rest.popLast() else { return running == 0 ? [.giveUp] : [] }
        running += 1
        waits += 1
        return rest.isEmpty ? [.dial(address)] : [.dial(address), .wait(waits)]
    }

    /// The addresses with alternating families, IPv6 first, names last of each round. Keeps the order in a family.
    static func interleaved(_ addresses: [Multiaddr]) -> [Multiaddr] {
        let families = [16, 4, nil].map { size in addresses.filter { $0.ipAddress?.bytes.count == size } }
        let longest = families.map(\.count).max() ?? 0
        return (0..<longest).flatMap { index in families.compactMap { $0.dropFirst(index).first } }
    }
}
