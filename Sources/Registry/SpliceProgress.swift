import NIOCore

/// How the moving of a body from a peer's socket through a pipe to a client's socket has come along, and what is to be
/// done next. A value without I/O or clock; ``SpliceThread`` carries out its steps.
///
/// The pipe is filled only when it is empty, so that what came from the peer and what has reached the client are known
/// to the byte, and a peer that would block is never taken for a pipe that is full. Whatever happens to the peer, the
/// pipe is emptied to the client first: the next peer goes on from there.
///
/// Where the body is hashed, nothing leaves the pipe before it was, and the last of it not before the digest was checked.
struct SpliceProgress: Hashable, Sendable {
    /// What to do now.
    enum Step: Hashable, Sendable {
        /// Move at most so many bytes from the peer's socket to the pipe.
        case fill(Int)
        /// Hash at most so many bytes, the first in the pipe, and leave them there.
        case hash(Int)
        /// Check the digest of all that was hashed.
        case check
        /// Move at most so many bytes from the pipe to the client's socket.
        case drain(Int)
        /// Wait until the peer has sent something, or the time is up.
        case waitForPeer
        /// Wait until the client takes something; the peer's socket is of no interest meanwhile.
        case waitForClient
        /// Nothing more is to be done.
        case end(End)
    }

    /// How it has ended.
    enum End: Hashable, Sendable {
        /// All bytes have gone out.
        case complete
        /// The peer has closed the connection before it had sent all.
        case peerClosed
        /// The peer's socket has failed, with this error number.
        case peerFailed(Int32)
        /// The peer has sent nothing for too long while the client would have taken it.
        case stalled
        /// The client's socket has failed, with this error number.
        case clientFailed(Int32)
        /// What is in the pipe could not be hashed, with this error number.
        case hashFailed(Int32)
        /// All has come, and it is not what the digest says; the last of it has not gone to the client.
        case corrupt
        /// It was called off.
        case stopped
    }

    /// What a step has brought.
    enum Outcome: Hashable, Sendable {
        case moved(Int)
        case wouldBlock
        /// There is nothing more to read.
        case closed
        /// The system's error number.
        case failed(Int32)
    }

    /// How many bytes are to be moved.
    let total: Int64
    private let largestFill: Int
    private let timeout: TimeAmount
    private let isHashed: Bool
    /// How many bytes have come from the peer.
    private(set) var taken: Int64 = 0
    /// How many bytes have gone to the client.
    private(set) var given: Int64 = 0
    /// How many of the bytes from the peer were hashed.
    private(set) var hashed: Int64 = 0
    private var isChecked = false
    private var peerIsReady = true
    private var clientIsReady = true
    /// Set as soon as the peer can give no more; what is in the pipe goes out all the same.
    private var peerEnd: End?
    /// Set when nothing can go out any more.
    private var finalEnd: End?
    /// When bytes moved last.
    private(set) var lastMove: NIODeadline

    /// - Parameters:
    ///   - largestFill: how many bytes the pipe gets at a time at most.
    ///   - timeout: how long the peer may send nothing while the client takes what comes.
    ///   - isHashed: whether the bytes are hashed, and the digest is checked before the last of them leaves.
    init(total: Int64, largestFill: Int, timeout: TimeAmount, isHashed: Bool = false, now: NIODeadline) {
        self.total = total
        self.isHashed = isHashed
        self.largestFill = max(1, largestFill)
        self.timeout = timeout
        lastMove = now
    }

    /// How many bytes are in the pipe.
    var piped: Int64 { taken - given }

    /// What to do next.
    var step: Step {
        if let finalEnd { return .end(finalEnd) }
        guard piped == 0 else { return nextOfPipe }
        if taken >= total { return .end(.complete) }
        if let peerEnd { return .end(peerEnd) }
        return peerIsReady ? .fill(min(largestFill, Int(clamping: total - taken))) : .waitForPeer
    }

    private var nextOfPipe: Step {
        guard clientIsReady else { return .waitForClient }
        guard isHashed else { return .drain(Int(clamping: piped)) }
        if hashed <= given { return .hash(Int(clamping: piped)) }
        return hashed < total || isChecked ? .drain(Int(clamping: hashed - given)) : .check
    }

    /// When ``timePassed(now:)`` would end it; `nil` while the client takes nothing, for which no peer is blamed.
    var deadline: NIODeadline? {
        guard finalEnd == nil, peerEnd == nil, piped == 0, taken < total else { return nil }
        return lastMove + timeout
    }

    /// The step `fill` was carried out.
    mutating func filled(_ outcome: Outcome, now: NIODeadline) {
        guard case .fill(let wanted) = step else { return }
        switch outcome {
        case .moved(let count) where count > 0 && count <= wanted:
            taken += Int64(count)
            lastMove = now
            // Less than was wanted mostly is all there was.
            peerIsReady = count == wanted
        case .moved(0), .closed: peerEnd = .peerClosed
        case .moved: finalEnd = .stopped
        case .wouldBlock: peerIsReady = false
        case .failed(let number): peerEnd = .peerFailed(number)
        }
    }

    /// The step `hash` was carried out.
    mutating func hashed(_ outcome: Outcome) {
        guard case .hash(let wanted) = step else { return }
        switch outcome {
        case .moved(let count) where count > 0 && count <= wanted: hashed += Int64(count)
        case .failed(let number): finalEnd = .hashFailed(number)
        case .moved, .wouldBlock, .closed: finalEnd = .hashFailed(0)
        }
    }

    /// The step `check` was carried out.
    mutating func checked(matches: Bool) {
        guard case .check = step else { return }
        if matches { isChecked = true } else { finalEnd = .corrupt }
    }

    /// The step `drain` was carried out.
    mutating func drained(_ outcome: Outcome, now: NIODeadline) {
        guard case .drain(let wanted) = step else { return }
        switch outcome {
        case .moved(let count) where count > 0 && count <= wanted:
            given += Int64(count)
            lastMove = now
        case .moved(0), .wouldBlock: clientIsReady = false
        case .moved, .closed: finalEnd = .stopped
        case .failed(let number): finalEnd = .clientFailed(number)
        }
    }

    /// The peer's socket can be read, or has come to an end.
    mutating func peerBecameReady() {
        peerIsReady = true
    }

    /// The client's socket can be written to, or has come to an end.
    mutating func clientBecameReady() {
        clientIsReady = true
    }

    /// Time has passed.
    mutating func timePassed(now: NIODeadline) {
        guard let deadline, now >= deadline else { return }
        peerEnd = .stalled
    }

    /// It is called off; what is in the pipe is lost.
    mutating func stop() {
        if finalEnd == nil { finalEnd = .stopped }
    }
}
