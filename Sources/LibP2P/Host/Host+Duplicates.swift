import NIOCore
import Synchronization
import Time

/// The end of connections that another one between the same nodes makes superfluous.
extension Host {
    /// Looks after the connections to the peer of a new one: each that gives way is closed as soon as it has had no
    /// stream for ``HostConfiguration/duplicateTime``.
    func watchDuplicates(of connection: Connection) {
        let connections = state.withLock { $0.table.connections[connection.remotePeer] ?? [] }
        guard connections.count > 1 else { return }
        for connection in connections where isDuplicate(connection) { watchDuplicate(connection) }
    }

    private func watchDuplicate(_ connection: Connection) {
        let time = TimeAmount(configuration.duplicateTime)
        connection.channel.eventLoop.scheduleTask(in: time) { [weak self] in
            guard let self, connection.channel.isActive, isDuplicate(connection) else { return }
            let use = connection.activity.use
            if use.isInUse || MonotonicTime.now - use.lastUse < configuration.duplicateTime {
                watchDuplicate(connection)
            } else {
                connection.close(reason: "duplicate of another connection")
            }
        }
    }

    /// Whether a connection gives way to another one that is open.
    private func isDuplicate(_ connection: Connection) -> Bool {
        guard
            DuplicateConnections.givesWay(
                isInbound: connection.isInbound,
                own: peerID,
                remote: connection.remotePeer
            )
        else { return false }
        let others = state.withLock { $0.table.connections[connection.remotePeer] ?? [] }
        return others.contains { $0.isInbound != connection.isInbound && $0.channel.isActive }
    }
}
