import Time

/// Decides how many bytes a source must have before it wakes the thread.
///
/// Over a real link bytes come a few packets at a time. To move each of them costs several times as much as to move a
/// hundred kilobytes at once, and no client can tell the difference in the middle of a large body. The policy in full:
///
/// - The first bytes of a body go at once, and so does whatever comes until the rate is known.
/// - Then the thread sleeps until as many bytes have come as the source sends in 8 ms, at most 192 KiB. For less than
///   32 KiB it does not wait: such a source is slow, and wakes the thread seldom.
/// - It waits for no more than what is missing, so that the last byte of a body wakes it.
/// - A source that is silent for 100 ms has become slower: what has come goes at once, and the rate is measured anew.
/// - A source whose bytes come in large pieces anyway is left alone.
package struct SourceGathering: Hashable, Sendable {
    /// The most bytes to wait for: less than a pipe holds, so that what has come fits.
    package static let most = 192 << 10
    /// The fewest bytes to wait for.
    static let fewest = 32 << 10
    /// The time in which as many bytes come as are waited for.
    static let time = Duration.milliseconds(8)
    /// The time without a byte after which the rate counts no more.
    package static let patience = Duration.milliseconds(100)
    /// The time over which the rate is measured, at least.
    static let window = Duration.milliseconds(20)

    private var windowStart: MonotonicTime?
    private var windowBytes: Int64 = 0
    private var windowMoves: Int64 = 0
    /// The bytes to wait for, as the last window had it.
    private var target = 1

    /// Nothing is known of the source.
    package init() {}

    /// Whether the thread waits for more than one byte.
    package var isActive: Bool { target > 1 }

    /// The bytes to wait for.
    ///
    /// - Parameter missing: the bytes up to the end of the body.
    package func lowWater(missing: Int64) -> Int {
        max(1, min(target, Int(clamping: missing)))
    }

    /// Notes bytes from the source.
    package mutating func received(_ count: Int64, now: MonotonicTime) {
        guard let start = windowStart else {
            windowStart = now
            return
        }
        windowBytes += max(0, count)
        windowMoves += 1
        let time = now - start
        guard time >= Self.window else { return }
        let expected = Double(windowBytes) * (Self.time / time)
        let average = windowBytes / windowMoves
        if expected < Double(Self.fewest) {
            target = 1
        } else if isActive || average < Self.most / 2 {
            target = Int(min(expected, Double(Self.most)))
        }
        windowStart = now
        windowBytes = 0
        windowMoves = 0
    }

    /// Notes that the source was silent for ``patience``.
    package mutating func fellSilent() { self = SourceGathering() }
}
