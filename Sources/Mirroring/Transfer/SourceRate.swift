import Time

/// When a transfer leaves a provider for being slow: in the middle of a body that comes, but far below what is usual.
///
/// The caller takes a sample every ``interval``. A provider is left if all of this holds:
///
/// - Over the last ``windows`` samples its rate is below a quarter of what is expected, and so it is in the last one alone,
///   in which bytes came. A provider that sends nothing is silent, which is another matter.
/// - The client did not limit the rate in any of these samples, nor did the download rate of this node.
/// - The rest would take more than ``minimumRest`` longer than expected.
/// - Another provider is known that this transfer has not asked yet, or that was only slower to its first byte.
/// - The transfer has left fewer than ``maximumLeaves`` providers. A provider that was left is asked again after all
///   others, and then kept. So a transfer never goes back and forth between two slow ones.
///
/// A provider that turns slow is so left after 2 s at most, and half a second later another one sends.
struct SourceRate: Hashable, Sendable {
    static let interval = Duration.milliseconds(500)
    static let windows = 3
    /// How many times slower than expected a slow provider is.
    static let factor = 4.0
    static let maximumLeaves = 2
    static let minimumRest = Duration.seconds(2)
    /// How long bytes must have come unhindered, so that their rate says what is usual.
    static let measuredTime = Duration.seconds(1)

    private struct Window: Hashable, Sendable {
        var bytes: Int64
        var time: Duration
        var isHindered: Bool
    }

    /// How many providers were left.
    private(set) var leaves = 0
    /// When the last sample was taken; `nil` while no body comes.
    private var last: MonotonicTime?
    /// The bytes of the whole transfer at that time.
    private var lastBytes: Int64 = 0
    /// The last samples, the newest last.
    private var samples: [Window] = []
    /// What came unhindered from the present provider.
    private var unhindered = Window(bytes: 0, time: .zero, isHindered: false)

    /// When the next sample is due; `nil` while no body comes.
    var nextSample: MonotonicTime? { last.map { $0 + Self.interval } }

    /// The rate of the present provider, in bytes per second; `nil` if it was hindered for most of the time, or too short.
    var measured: Double? {
        unhindered.time >= Self.measuredTime ? Double(unhindered.bytes) / unhindered.time.inSeconds : nil
    }

    /// A body begins to come from a provider.
    ///
    /// - Parameter bytes: those of the whole transfer before it.
    mutating func begin(bytes: Int64, now: MonotonicTime) {
        last = now
        lastBytes = bytes
        samples = []
        unhindered = Window(bytes: 0, time: .zero, isHindered: false)
    }

    /// No more comes from the provider.
    ///
    /// - Parameter wasLeft: whether it was too slow.
    mutating func end(wasLeft: Bool = false) {
        last = nil
        samples = []
        guard wasLeft else { return }
        leaves += 1
        // What a slow provider gave is not what is usual.
        unhindered = Window(bytes: 0, time: .zero, isHindered: false)
    }

    /// Takes a sample, once it is due.
    ///
    /// - Parameters:
    ///   - bytes: those of the whole transfer by now.
    ///   - isHindered: whether something else than the provider limited the rate since the last sample.
    ///   - rest: how many bytes are still to come.
    ///   - expected: the rate that is usual, in bytes per second.
    /// - Returns: whether the provider is to be left, if another one is known.
    mutating func sample(
        bytes: Int64,
        isHindered: Bool,
        rest: Int64,
        expected: Double,
        now: MonotonicTime
    ) -> Bool {
        guard let last, now >= last + Self.interval else { return false }
        let window = Window(bytes: max(0, bytes - lastBytes), time: now - last, isHindered: isHindered)
        self.last = now
        lastBytes = bytes
        samples = samples.suffix(Self.windows - 1) + [window]
        if !isHindered {
            unhindered.bytes += window.bytes
            unhindered.time += window.time
        }
        assert(samples.count <= Self.windows)
        guard samples.count == Self.windows, leaves < Self.maximumLeaves, window.bytes > 0, expected > 0,
            !samples.contains(where: \.isHindered)
        else { return false }
        let total = samples.reduce(Duration.zero) { $0 + $1.time }.inSeconds
        let rate = Double(samples.reduce(0) { $0 + $1.bytes }) / total
        guard Double(window.bytes) / window.time.inSeconds * Self.factor < expected else { return false }
        let gain = Double(rest) / rate - Double(rest) / expected
        return rate * Self.factor < expected && gain > Self.minimumRest.inSeconds
    }
}

extension Duration {
    fileprivate var inSeconds: Double { Double(clampedNanoseconds) / 1e9 }
}
