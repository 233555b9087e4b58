import NIOCore
import Synchronization

/// The connections that a listener has accepted and that are open, for whoever has to close them.
package final class OpenConnections: Sendable {
    private let channels = Mutex<[ObjectIdentifier: any Channel]>([:])

    /// There are none yet.
    package init() {}

    /// The connections, in no order.
    package var all: [any Channel] { channels.withLock { Array($0.values) } }

    /// How many there are.
    package var count: Int { channels.withLock { $0.count } }

    func insert(_ channel: any Channel) {
        channels.withLock { $0[ObjectIdentifier(channel)] = channel }
    }

    func remove(_ channel: any Channel) {
        channels.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(channel)) }
    }
}
