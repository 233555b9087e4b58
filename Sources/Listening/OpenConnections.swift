import NIOCore
import Synchronization

/// The open connections of a listener, and the order in which they became idle.
///
/// A server that marks its connections as idle or busy lets the listener close the oldest idle one for a new one. A
/// connection without a mark stays open.
package final class OpenConnections: Sendable {
    /// Asks a connection to close, unless it has a request by now. It answers with ``makeRoom()`` if it stays open.
    package struct GiveWay: Sendable {}

    private struct State {
        var connections: [ObjectIdentifier: Connection] = [:]
        var lastIdle: UInt64 = 0
        /// Whether the next connection that becomes idle has to close.
        var needsRoom = false
    }

    private struct Connection {
        enum Use {
            /// It was accepted. -> idle
            case new
            /// It waits for a request, since this place in the order. -> busy, leaving
            case idle(UInt64)
            /// It has a request. -> idle
            case busy
            /// It was asked to close. -> busy
            case leaving
        }

        var channel: any Channel
        var use = Use.new
    }

    private let state = Mutex(State())

    /// Creates an empty set.
    package init() {}

    /// The open connections, in no particular order.
    package var all: [any Channel] { state.withLock { $0.connections.values.map(\.channel) } }

    /// The number of open connections.
    package var count: Int { state.withLock { $0.connections.count } }

    /// Notes that a connection waits for a request.
    package func markIdle(_ channel: any Channel) {
        let isInTheWay = state.withLock { state in
            let id = ObjectIdentifier(channel)
            guard let connection = state.connections[id] else { return false }
            if state.needsRoom, case .busy = connection.use {
                state.needsRoom = false
                state.connections[id]?.use = .leaving
                return true
            }
            state.lastIdle += 1
            state.connections[id]?.use = .idle(state.lastIdle)
            return false
        }
        if isInTheWay { channel.pipeline.fireUserInboundEventTriggered(GiveWay()) }
    }

    /// Notes that a connection has a request.
    package func markBusy(_ channel: any Channel) {
        state.withLock { $0.connections[ObjectIdentifier(channel)]?.use = .busy }
    }

    /// Asks the connection that has been idle for the longest time to close, or else the next that becomes idle.
    package func makeRoom() {
        let oldest = state.withLock { state -> (any Channel)? in
            var oldest: (id: ObjectIdentifier, place: UInt64, channel: any Channel)?
            for (id, connection) in state.connections {
                guard case .idle(let place) = connection.use, place < oldest?.place ?? .max else { continue }
                oldest = (id, place, connection.channel)
            }
            guard let oldest else {
                state.needsRoom = true
                return nil
            }
            state.connections[oldest.id]?.use = .leaving
            return oldest.channel
        }
        oldest?.pipeline.fireUserInboundEventTriggered(GiveWay())
    }

    func insert(_ channel: any Channel) {
        state.withLock { $0.connections[ObjectIdentifier(channel)] = Connection(channel: channel) }
    }

    func remove(_ channel: any Channel) {
        state.withLock { state in
            _ = state.connections.removeValue(forKey: ObjectIdentifier(channel))
            state.needsRoom = false
        }
    }
}
