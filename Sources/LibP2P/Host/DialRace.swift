import Multiformats

/// In which order, and when, a peer's addresses are dialled (RFC 8305, sections 4 and 5): the families take turns, IPv6
/// first; the next address is tried a little after the previous one, or as soon as that one fails.
///
/// A pure value: the driver carries out the actions and reports what becomes of them.
struct DialRace {
    /// What the driver has to do.
    enum Action: Equatable {
        /// Dial an address.
        case dial(Multiaddr)
        /// Wait for the stagger, then call ``DialRace/waited(_:)`` with this number.
        case wait(Int)
        /// All failed.
        case giveUp
    }

    private var rest: [Multiaddr]
    private var running = 0
    private var waits = 0
    /// What failed so far, and why.
    private(set) var failures: [(address: Multiaddr, reason: String)] = []

    init(_ addresses: [Multiaddr]) {
        rest = Self.interleaved(addresses).reversed()
    }

    /// The first actions.
    mutating func start() -> [Action] { next() }

    /// An attempt failed.
    mutating func failed(_ address: Multiaddr, reason: String) -> [Action] {
        failures.append((address, reason))
        running -= 1
        return next()
    }

    /// A wait is over. Those that a failure made pointless do nothing.
    mutating func waited(_ number: Int) -> [Action] {
        number == waits ? next() : []
    }

    private mutating func next() -> [Action] {
        guard let address = rest.popLast() else { return running == 0 ? [.giveUp] : [] }
        running += 1
        waits += 1
        return rest.isEmpty ? [.dial(address)] : [.dial(address), .wait(waits)]
    }

    /// The addresses with the families taking turns, IPv6 first, names last of each round; each family in its order.
    static func interleaved(_ addresses: [Multiaddr]) -> [Multiaddr] {
        let families = [16, 4, nil].map { size in addresses.filter { $0.ipAddress?.bytes.count == size } }
        let longest = families.map(\.count).max() ?? 0
        return (0..<longest).flatMap { index in families.compactMap { $0.dropFirst(index).first } }
    }
}
