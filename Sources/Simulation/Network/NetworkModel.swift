internal import Kademlia

/// The properties of the simulated network. Every node can reach every other; there is no NAT.
public struct NetworkModel: Sendable {
    /// The median one-way latency of a message.
    public var medianLatency: Duration = .microseconds(250)
    /// The sigma of the log-normal latency distribution; with 0.5, p99 is 3.2 times the median.
    public var latencySpread = 0.5
    /// The share of lost messages. They are resent, as by TCP, after ``retransmissionTimeout``, twice that and so on.
    /// After six losses in a row a message never arrives.
    public var loss = 0.001
    /// The delay before the first retransmission.
    public var retransmissionTimeout: Duration = .milliseconds(200)
    /// The uplink bandwidth of a node in bits per second. Messages queue for it.
    public var bandwidth = 1e9
    /// The time that a node takes to handle a message.
    public var handlingTime: Duration = .microseconds(100)
    /// The round trips before the first message of a new connection: TCP, security, muxer and protocol.
    public var handshakeRoundTrips = 4
    /// The time-out of a dial to an unreachable node.
    public var dialTimeout: Duration = .seconds(5)
    /// The time after which an unused connection is closed.
    public var idleTimeout: Duration = .seconds(900)
    /// The interval of keep-alive pings on a silent connection.
    public var keepAliveInterval: Duration = .seconds(30)
    /// The deadline of the answer to such a ping.
    public var keepAliveTimeout: Duration = .seconds(10)

    /// A local network: 0.5 ms round trip, 1 Gbit/s, one lost message in a thousand.
    public init() {}

    /// The overhead of a message in bytes: TCP and IP headers, yamux and Noise frames, and its length.
    static let bytesAroundMessage = 110
    /// The bytes of both sides for the handshakes and identify of a connection.
    static let bytesOfHandshake = 2500
    private static let attempts = 6

    /// The transit time of a message without queueing; `nil` if it never arrives.
    func transit(using random: inout SimulationRandom) -> Duration? {
        var delay = latency(using: &random)
        guard loss > 0 else { return delay }
        var timeout = retransmissionTimeout
        for _ in 0..<Self.attempts {
            guard random.unit() < loss else { return delay }
            delay += timeout
            timeout *= 2
        }
        return nil
    }

    /// The one-way latency without losses.
    func latency(using random: inout SimulationRandom) -> Duration {
        let median = medianLatency / .nanoseconds(1)
        return .nanoseconds(Int64(random.logNormal(median: median, sigma: latencySpread)))
    }

    /// The duration of the handshakes of a new connection.
    func handshake(using random: inout SimulationRandom) -> Duration {
        var time = Duration.zero
        for _ in 0..<(2 * handshakeRoundTrips) { time += transit(using: &random) ?? dialTimeout }
        return time
    }

    /// The time to put a number of bytes on the wire.
    func transmission(bytes: Int) -> Duration {
        bandwidth > 0 ? .nanoseconds(Int64(Double(bytes) * 8e9 / bandwidth)) : .zero
    }
}
