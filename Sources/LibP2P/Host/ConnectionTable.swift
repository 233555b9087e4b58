import Multiformats
import NIOCore

/// The established and pending connections of a host, within its limits.
struct ConnectionTable {
    let settings: HostConfiguration

    private(set) var connections: [PeerID: [Connection]] = [:]
    private(set) var count = 0
    /// Accepted channels during their handshake.
    private var pendingInbound: [ObjectIdentifier: (channel: any Channel, network: IPAddress?)] = [:]
    /// The number of pending inbound channels by network, without loopback.
    private var pendingByNetwork: [IPAddress: Int] = [:]
    /// Trimmed connections that have not ended yet.
    private var trimmed: Set<ObjectIdentifier> = []
    private(set) var pendingOutbound = 0
    private(set) var isClosed = false
    /// The dials in flight by peer, with their waiters.
    private(set) var dials: [PeerID: [Waiter<Connection>]] = [:]
    var identified: [PeerID: IdentifyInfo] = [:]

    init(settings: HostConfiguration) {
        self.settings = settings
    }

    private var total: Int { count + pendingInbound.count + pendingOutbound }

    /// Reserves a slot for an accepted channel. Returns `false` at the limit.
    ///
    /// - Parameter address: The source address.
    mutating func beginInbound(_ channel: any Channel, from address: IPAddress?) -> Bool {
        guard !isClosed, pendingInbound.count < settings.maxPendingInboundConnections, total < settings.maxConnections
        else { return false }
        let network = address.flatMap(Self.network)
        if let network {
            let count = pendingByNetwork[network, default: 0]
            guard count < settings.maxPendingInboundPerAddress else { return false }
            pendingByNetwork[network] = count + 1
        }
        pendingInbound[ObjectIdentifier(channel)] = (channel, network)
        return true
    }

    mutating func endInbound(_ channel: any Channel) {
        guard let network = pendingInbound.removeValue(forKey: ObjectIdentifier(channel))?.network,
            let count = pendingByNetwork[network]
        else { return }
        pendingByNetwork[network] = count > 1 ? count - 1 : nil
    }

    /// The network that the per-address limit applies to: an IPv4 address, or the /64 of an IPv6 address. `nil` for
    /// loopback, which all programs of a machine share.
    static func network(of address: IPAddress) -> IPAddress? {
        let address = address.unmapped
        guard !address.isLoopback, address.bytes.count == 16 else { return address.isLoopback ? nil : address }
        return IPAddress(bytes: Array(address.bytes.prefix(8)) + [UInt8](repeating: 0, count: 8)) ?? address
    }

    var pendingInboundCount: Int { pendingInbound.count }

    /// Reserves a slot for an outbound channel.
    mutating func beginOutbound() throws(HostError) {
        guard !isClosed else { throw .notRunning }
        guard total < settings.maxConnections else { throw .tooManyConnections(limit: settings.maxConnections) }
        pendingOutbound += 1
    }

    mutating func endOutbound() { pendingOutbound -= 1 }

    /// Adds an established connection, which still has its pending slot.
    ///
    /// - Returns: Whether it is the first one to its peer.
    mutating func add(_ connection: Connection) throws(HostError) -> Bool {
        guard !isClosed else { throw .notRunning }
        let others = connections[connection.remotePeer, default: []]
        guard others.count < settings.maxConnectionsPerPeer else {
            throw .tooManyConnections(limit: settings.maxConnectionsPerPeer)
        }
        connections[connection.remotePeer] = others + [connection]
        count += 1
        return others.isEmpty
    }

    /// Removes a connection. Returns whether it was the last one to its peer.
    mutating func remove(_ connection: Connection) -> Bool {
        let peer = connection.remotePeer
        guard let all = connections[peer] else { return false }
        let rest = all.filter { $0 !== connection }
        guard rest.count < all.count else { return false }
        count -= 1
        trimmed.remove(ObjectIdentifier(connection))
        connections[peer] = rest.isEmpty ? nil : rest
        if rest.isEmpty { identified[peer] = nil }
        return rest.isEmpty
    }

    /// The connections to close to get back to the high-water mark. Returns each connection once.
    ///
    /// - Parameter newest: The newest connection, which is spared because it had no time to be used.
    mutating func trim(sparing newest: Connection) -> [Connection] {
        guard count - trimmed.count > settings.connectionHighWaterMark else { return [] }
        let candidates = connections.values.flatMap { $0 }
            .filter { $0 !== newest && !trimmed.contains(ObjectIdentifier($0)) }
        let excess = ConnectionTrimming.excess(
            candidates.map(\.activity.use),
            limit: settings.connectionHighWaterMark - 1
        )
        let victims = excess.map { candidates[$0] }
        trimmed.formUnion(victims.map(ObjectIdentifier.init))
        return victims
    }

    /// Joins the dial of a peer, or begins it.
    ///
    /// - Returns: Whether the caller must dial.
    mutating func joinDial(_ peer: PeerID, _ waiter: Waiter<Connection>) throws(HostError) -> Bool {
        guard !isClosed else { throw .notRunning }
        let isFirst = dials[peer] == nil
        dials[peer, default: []].append(waiter)
        return isFirst
    }

    /// Ends the dial of a peer. Returns its waiters.
    mutating func endDial(_ peer: PeerID) -> [Waiter<Connection>] {
        dials.removeValue(forKey: peer) ?? []
    }

    /// Closes the table. Returns its connections and its pending channels.
    mutating func close() -> (connections: [Connection], pending: [any Channel]) {
        isClosed = true
        return (connections.values.flatMap { $0 }, pendingInbound.values.map(\.channel))
    }
}
