import NIOCore
import Synchronization

/// What holds for all client connections of a server.
final class ConnectionRules: Sendable {
    /// The most bytes that are read at a time, which bounds the requests that wait.
    static let maximumReadSize = 16 << 10
    /// The most parts of requests that wait while one is being answered; a single read cannot hold more.
    static let maximumQueuedParts = 4096
    /// The most bytes of a request's body that are read, only to be thrown away.
    static let maximumBodySize = 1 << 20
    /// How long a client may take to close after the last answer was sent.
    static let lingerTimeout = TimeAmount.seconds(2)
    /// How often the connection looks whether an answer makes progress, unless the answer says otherwise.
    static let progressInterval = TimeAmount.seconds(1)
    /// How many bytes wait in a client's channel before it takes no more.
    static let writeBuffer = ChannelOptions.Types.WriteBufferWaterMark(low: 24 << 10, high: 48 << 10)

    let requestTimeout: TimeAmount
    let idleTimeout: TimeAmount
    let stallTimeout: TimeAmount
    private let draining = Atomic(false)
    private let crowded = Atomic(false)

    init(_ configuration: RegistryConfiguration) {
        requestTimeout = TimeAmount(configuration.clients.requestTimeout)
        idleTimeout = TimeAmount(configuration.clients.idleTimeout)
        stallTimeout = TimeAmount(configuration.clients.stallTimeout)
    }

    /// Whether the server shuts down: every connection closes after its current answer.
    var isDraining: Bool { draining.load(ordering: .relaxed) }

    func drain() {
        draining.store(true, ordering: .relaxed)
    }

    /// Whether only the reserved connections are left: each connection closes after its current answer, and a new one
    /// gets answers to health checks only.
    var isCrowded: Bool { crowded.load(ordering: .relaxed) }

    func setCrowded(_ isCrowded: Bool) {
        crowded.store(isCrowded, ordering: .relaxed)
    }
}
