import NIOCore
import Synchronization

/// The open connections that a listener has accepted.
package final class OpenConnections: Sendable {
    private let channels = Mutex<[ObjectIdentifier: any Channel]>([:])

    /// Creates an empty set.
    package init() {}

    /// The open connections, in no particular order.
    package var all: [any Channel] { channels.withLock { Array($0.values) } }

    /// The number of open connections.
    package var count: Int { channels.withLock { $0.count } }

    func insert(_ channel: any Channel) {
        channels.withLock { $0[ObjectIdentifier(channel)] = channel }
    }

    func remove(_ channel: any Channel) {
        channels.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(channel)) }
    }
}
