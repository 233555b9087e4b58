internal import Kademlia

/// How the simulated network treats what is sent over it. Every node can reach every other; there is no NAT.
public struct NetworkModel: Sendable {
    /// The median time that a message is on its way, one way.
    public var medianLatency: Duration = .microseconds(250)
    /// The sigma of the log-normal distribution around the median; 0.5 makes p99 3.2 times the median.
    public var latencySpread = 0.5
    /// The share of messages that are lost and sent again, as TCP does, after ``retransmissionTimeout``, twice that and
    /// so on. One that is lost six times in a row never arrives.
    public var loss = 0.001
    /// The wait before a lost message is sent again for the first time.
    public var retransmissionTimeout: Duration = .milliseconds(200)
    /// What a node can send, in bits per second; messages queue behind each other.
    public var bandwidth = 1e9
    /// The time a node takes for a message before it answers.
    public var handlingTime: Duration = .microseconds(100)
    /// The round trips before the first message on a new connection: TCP, security, muxer and protocol.
    public var handshakeRoundTrips = 4
    /// After so long, a dial of a place where nobody answers has failed.
    public var dialTimeout: Duration = .seconds(5)
    /// An unused connection is closed after so long.
    public var idleTimeout: Duration = .seconds(900)
    /// A connection on which nothing comes in is asked so often whether it lives.
    public var keepAliveInterval: Duration = .seconds(30)
    /// The time for the answer to that.
    public var keepAliveTimeout: Duration = .seconds(10)

    /// A local network: 0.5 ms there and back, 1 Gbit/s, a message in a thousand lost.
    public init() {}

    /// The bytes around a message: TCP and IP headers, yamux and Noise frames, and its length.
    static let bytesAroundMessage = 110
    /// The bytes of both sides that set up a connection and identify each other.
    static let bytesOfHandshake = 2500
    private static let attempts = 6

    /// How long a message of so many bytes is under way without waiting for others; nil if it never arrives.
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

    /// One way, without losses.
    func latency(using random: inout SimulationRandom) -> Duration {
        let median = medianLatency / .nanoseconds(1)
        return .nanoseconds(Int64(random.logNormal(median: median, sigma: latencySpread)))
    }

    /// How long the handshakes of a new connection take.
    func handshake(using random: inout SimulationRandom) -> Duration {
        var time = Duration.zero
        for _ in 0..<(2 * handshakeRoundTrips) { time += transit(using: &random) ?? dialTimeout }
        return time
    }

    /// How long it takes a node to put so many bytes on the wire.
    func transmission(bytes: Int) -> Duration {
        bandwidth > 0 ? .nanoseconds(Int64(Double(bytes) * 8e9 / bandwidth)) : .zero
    }
}
