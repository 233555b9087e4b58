import Time

/// The progress of one transfer from a source socket through a pipe to a destination socket, and its next step. A value
/// without I/O and without a clock: the caller carries out ``step`` and reports the outcome.
///
/// ```
///              filled                        hashed
///   filling ───────────┬────────▶ hashing ───────────┬──────▶ verifying
///    ▲                 │ (no hash)   ▲               │            │ verified
///    │ drained:        ▼             │ drained:      ▼            │
///    │ pipe empty   draining ◀───────┼────────── draining ◀───────┘
///    └──────────────── │ ▲ ──────────┘ pipe has unhashed bytes
///         would block  ▼ │ destinationBecameReady
///                    blocked
/// ```
///
/// Every state but `ended` can change to `ended`, and `ended` is final. ``State`` lists the transitions of each state.
///
/// A fill starts only while the pipe is empty. This has three effects. The numbers of received and of delivered bytes are
/// exact. A source that would block is never mistaken for a full pipe. When the source fails, all that it sent has reached
/// the destination, so that another source can continue from there.
///
/// In a transfer that is hashed, no byte leaves the pipe before the hash covers it. The last bytes leave only after the
/// digest has matched.
package struct SpliceProgress: Hashable, Sendable {
    /// A state of the transfer. `ended` follows from every other state on ``SpliceProgress/stop()``.
    package enum State: Hashable, Sendable {
        /// The pipe is empty, and the source has more to send.
        ///
        /// - `filled` with bytes: `hashing` if the transfer is hashed, else `draining`.
        /// - `filled` with the end or an error of the source: `ended`.
        /// - `timePassed` after the deadline: `ended(.stalled)`.
        case filling
        /// The pipe has bytes, and none of them is hashed.
        ///
        /// - `hashed` with bytes: `verifying` if they are the last of the transfer, else `draining`.
        /// - `hashed` with anything else: `ended(.hashFailed)`.
        case hashing
        /// The hash covers all bytes of the transfer; the last of them are in the pipe.
        ///
        /// - `verified`: `draining` if the digest matches, else `ended(.digestMismatch)`.
        case verifying
        /// The first bytes in the pipe may leave for the destination.
        ///
        /// - `drained` with some of these bytes: `draining`.
        /// - `drained` with all of these bytes: `hashing` if the pipe has more, else `filling`, or `ended(.complete)` at the
        ///   end of the transfer, or `ended(.stopped)` after ``SpliceProgress/stopWhenEmpty()``.
        /// - `drained` with `wouldBlock`: `blocked`.
        /// - `drained` with an error: `ended(.destinationFailed)`.
        case draining
        /// As `draining`, but the destination accepts no bytes.
        ///
        /// - `destinationBecameReady`: `draining`.
        case blocked
        /// The transfer is over. No event changes this state.
        case ended(End)
    }

    /// The next action of the caller.
    package enum Step: Hashable, Sendable {
        /// Move at most this many bytes from the source to the pipe, then call ``SpliceProgress/filled(_:now:)``.
        case fill(Int)
        /// Hash at most this many bytes, the first in the pipe, and leave them there. Then call
        /// ``SpliceProgress/hashed(_:)``.
        case hash(Int)
        /// Compare the digest of all hashed bytes, then call ``SpliceProgress/verified(matches:)``.
        case verify
        /// Move at most this many bytes from the pipe to the destination, then call ``SpliceProgress/drained(_:now:)``.
        case drain(Int)
        /// Wait until the source can be read, or until ``SpliceProgress/deadline``.
        case waitForSource
        /// Wait until the destination can be written to. The state of the source does not matter meanwhile.
        case waitForDestination
        /// The transfer is over.
        case end(End)
    }

    /// The reason for the end of a transfer.
    package enum End: Hashable, Sendable {
        /// All bytes have reached the destination.
        case complete
        /// The source closed the connection before its last byte.
        case sourceClosed
        /// The source failed with this error number.
        case sourceFailed(Int32)
        /// The source sent no byte until the deadline, while the destination accepted all bytes.
        case stalled
        /// The destination failed with this error number.
        case destinationFailed(Int32)
        /// Hashing the bytes in the pipe failed with this error number.
        case hashFailed(Int32)
        /// The content does not have the expected digest. Its last bytes have not reached the destination.
        case digestMismatch
        /// The caller stopped the transfer.
        case stopped
    }

    /// The size of the transfer in bytes.
    package let total: Int64
    private let largestFill: Int
    private let timeout: Duration
    private let isHashed: Bool
    /// The current state.
    package private(set) var state: State
    /// The number of bytes that the source has sent.
    package private(set) var received: Int64 = 0
    /// The number of received bytes that the hash covers.
    package private(set) var hashed: Int64 = 0
    /// The number of bytes that have reached the destination.
    package private(set) var delivered: Int64 = 0
    /// Whether the source may have bytes. It is kept beside the state because an event of the source can come in any state.
    private var sourceIsReady = true
    /// Whether the transfer ends as soon as the pipe is empty.
    private var stopsWhenEmpty = false
    /// The time at which bytes last moved.
    package private(set) var lastMove: MonotonicTime

    /// The progress of a transfer that has not begun.
    ///
    /// - Parameters:
    ///   - largestFill: the most bytes in the pipe.
    ///   - timeout: the longest pause of the source while the destination accepts bytes.
    ///   - isHashed: whether the bytes are hashed, and the digest is compared before the last of them leaves.
    package init(total: Int64, largestFill: Int, timeout: Duration, isHashed: Bool = false, now: MonotonicTime) {
        self.total = max(0, total)
        self.isHashed = isHashed
        self.largestFill = max(1, largestFill)
        self.timeout = timeout
        state = total > 0 ? .filling : isHashed ? .verifying : .ended(.complete)
        lastMove = now
        assert(checkInvariants() == nil)
    }

    // MARK: Questions

    /// The number of bytes in the pipe.
    package var piped: Int64 { received - delivered }

    /// The next action of the caller.
    package var step: Step {
        switch state {
        case .filling: sourceIsReady ? .fill(min(largestFill, Int(clamping: total - received))) : .waitForSource
        case .hashing: .hash(Int(clamping: piped))
        case .verifying: .verify
        case .draining: .drain(Int(clamping: releasable))
        case .blocked: .waitForDestination
        case .ended(let end): .end(end)
        }
    }

    /// The time at which ``timePassed(now:)`` ends the transfer. It is `nil` while the pipe has bytes: the source is not
    /// responsible for a slow destination.
    package var deadline: MonotonicTime? {
        state == .filling ? lastMove + timeout : nil
    }

    /// The number of bytes in the pipe that may leave for the destination.
    private var releasable: Int64 { (isHashed ? hashed : received) - delivered }

    // MARK: Events

    /// Takes the outcome of the step `fill`.
    package mutating func filled(_ outcome: MoveOutcome, now: MonotonicTime) {
        guard case .fill(let requested) = step else { return }
        switch outcome {
        case .moved(let count) where count > 0 && count <= requested:
            received += Int64(count)
            lastMove = now
            // After a short read the socket is mostly empty.
            sourceIsReady = count == requested
            state = isHashed ? .hashing : .draining
        case .moved(0), .closed: state = .ended(.sourceClosed)
        case .moved: state = .ended(.stopped)
        case .wouldBlock: sourceIsReady = false
        case .failed(let number): state = .ended(.sourceFailed(number))
        }
        assert(checkInvariants() == nil)
    }

    /// Takes the outcome of the step `hash`.
    package mutating func hashed(_ outcome: MoveOutcome) {
        guard case .hash(let requested) = step else { return }
        switch outcome {
        case .moved(let count) where count > 0 && count <= requested:
            hashed += Int64(count)
            state = hashed == total ? .verifying : .draining
        case .failed(let number): state = .ended(.hashFailed(number))
        case .moved, .wouldBlock, .closed: state = .ended(.hashFailed(0))
        }
        assert(checkInvariants() == nil)
    }

    /// Takes the outcome of the step `verify`.
    package mutating func verified(matches: Bool) {
        guard state == .verifying else { return }
        if !matches {
            state = .ended(.digestMismatch)
        } else {
            state = delivered < total ? .draining : .ended(.complete)
        }
        assert(checkInvariants() == nil)
    }

    /// Takes the outcome of the step `drain`.
    package mutating func drained(_ outcome: MoveOutcome, now: MonotonicTime) {
        guard case .drain(let requested) = step else { return }
        switch outcome {
        case .moved(let count) where count > 0 && count <= requested:
            delivered += Int64(count)
            lastMove = now
            state = stateAfterDrain
        case .moved(0), .wouldBlock: state = .blocked
        case .moved, .closed: state = .ended(.stopped)
        case .failed(let number): state = .ended(.destinationFailed(number))
        }
        assert(checkInvariants() == nil)
    }

    private var stateAfterDrain: State {
        if releasable > 0 { return .draining }
        if piped > 0 { return .hashing }
        guard received < total else { return .ended(.complete) }
        return stopsWhenEmpty ? .ended(.stopped) : .filling
    }

    /// Notes that the source can be read, or has ended.
    package mutating func sourceBecameReady() {
        sourceIsReady = true
        assert(checkInvariants() == nil)
    }

    /// Notes that the destination can be written to, or has ended.
    package mutating func destinationBecameReady() {
        if state == .blocked { state = .draining }
        assert(checkInvariants() == nil)
    }

    /// Ends the transfer if the deadline has passed.
    package mutating func timePassed(now: MonotonicTime) {
        guard let deadline, now >= deadline else { return }
        state = .ended(.stalled)
        assert(checkInvariants() == nil)
    }

    /// Ends the transfer as soon as the destination has all bytes that the source has sent.
    package mutating func stopWhenEmpty() {
        stopsWhenEmpty = true
        if state == .filling { state = .ended(.stopped) }
        assert(checkInvariants() == nil)
    }

    /// Ends the transfer. The bytes in the pipe are lost.
    package mutating func stop() {
        if case .ended = state { return }
        state = .ended(.stopped)
        assert(checkInvariants() == nil)
    }

    // MARK: Invariants

    /// Compares the counters with each other and with the state.
    ///
    /// - Returns: the violated invariant, or `nil`.
    package func checkInvariants() -> String? {
        guard 0 <= delivered, delivered <= received, received <= total else { return "delivered <= received <= total" }
        guard piped <= Int64(largestFill) else { return "the pipe has at most \(largestFill) bytes" }
        guard isHashed ? (delivered <= hashed && hashed <= received) : hashed == 0 else {
            return "delivered <= hashed <= received"
        }
        switch state {
        case .filling:
            return piped == 0 && received < total ? nil : "filling: the pipe is empty, and bytes are missing"
        case .hashing:
            return isHashed && hashed == delivered && piped > 0 ? nil : "hashing: the pipe has unhashed bytes only"
        case .verifying:
            return isHashed && hashed == total && (piped > 0 || total == 0)
                ? nil : "verifying: the hash covers all bytes, and the pipe has the last of them"
        case .draining, .blocked:
            return releasable > 0 ? nil : "draining: the pipe has bytes that may leave"
        case .ended(.complete):
            return delivered == total ? nil : "complete: all bytes are delivered"
        case .ended(.sourceClosed), .ended(.sourceFailed), .ended(.stalled):
            return piped == 0 && received < total ? nil : "source ended: all received bytes are delivered"
        case .ended(.digestMismatch):
            return isHashed && hashed == total && (piped > 0 || total == 0)
                ? nil : "digest mismatch: the last bytes are not delivered"
        case .ended(.hashFailed):
            return isHashed && hashed == delivered ? nil : "hash failed: no unhashed byte is delivered"
        case .ended(.destinationFailed), .ended(.stopped):
            return nil
        }
    }
}
