import Listening
import Mirroring
import NIOCore

/// The idle connections of one event loop to peers, to be used there only. What was used last is taken first, so that
/// what is not needed grows old and is closed.
final class PeerConnectionPool {
    private struct Idle {
        var connection: PeerConnection
        var expires: NIODeadline
    }

    private let eventLoop: any EventLoop
    private let idleTimeout: TimeAmount
    private let perAddress: Int
    private let inAll: Int
    private let timer: LazyTimer
    private var idle: [PeerAddress: [Idle]] = [:]
    private(set) var count = 0
    private var isClosed = false

    init(eventLoop: any EventLoop, _ configuration: RegistryConfiguration) {
        self.eventLoop = eventLoop
        idleTimeout = TimeAmount(configuration.peers.idleTimeout)
        perAddress = configuration.peers.maximumIdlePerAddress
        inAll = configuration.peers.maximumIdle
        timer = LazyTimer(eventLoop: eventLoop)
        timer.onDeadline = { [weak self] in self?.closeExpired(now: .now()) }
    }

    /// Takes out an idle connection that is still open.
    func take(_ address: PeerAddress) -> PeerConnection? {
        while var connections = idle[address], let last = connections.popLast() {
            count -= 1
            idle[address] = connections.isEmpty ? nil : connections
            if last.connection.isReusable { return last.connection }
            last.connection.cancel()
        }
        return nil
    }

    /// Takes back a connection whose answer was read to its end, or closes it when it cannot serve again or there are
    /// enough.
    func put(_ connection: PeerConnection, now: NIODeadline) {
        connection.detach()
        connection.rejoin(eventLoop) { self.keep(connection, now: now) }
    }

    private func keep(_ connection: PeerConnection, now: NIODeadline) {
        guard !isClosed, connection.isReusable, count < inAll, idle[connection.address]?.count ?? 0 < perAddress else {
            return connection.cancel()
        }
        count += 1
        idle[connection.address, default: []].append(Idle(connection: connection, expires: now + idleTimeout))
        if timer.deadline == nil { timer.deadline = now + idleTimeout }
    }

    /// Closes all connections and takes no more.
    func close() {
        isClosed = true
        timer.stop()
        for connections in idle.values {
            for idle in connections { idle.connection.cancel() }
        }
        idle.removeAll()
        count = 0
    }

    private func closeExpired(now: NIODeadline) {
        var next: NIODeadline?
        for (address, connections) in idle {
            var kept: [Idle] = []
            for idle in connections {
                if idle.expires <= now || !idle.connection.isReusable {
                    idle.connection.cancel()
                    count -= 1
                } else {
                    kept.append(idle)
                    next = next.map { min($0, idle.expires) } ?? idle.expires
                }
            }
            idle[address] = kept.isEmpty ? nil : kept
        }
        timer.deadline = next
    }
}
