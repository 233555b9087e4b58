/// Which piece of a file is sent next, and what waits for the check of the file: a value without I/O.
struct FilePieces: Hashable, Sendable {
    private enum State: Hashable {
        /// `rest` goes piece by piece. `tail` follows it once the check of the file allows. Goes to `holding`, `done`.
        case sending(rest: Range<Int64>, tail: Range<Int64>?)
        /// All but the tail was handed over; the tail waits for the check. Goes to `sending`.
        case holding(tail: Range<Int64>)
        /// Everything was handed over.
        case done
    }

    /// How much of a file is handed to the channel at a time. A client that reads as fast as it is sent to would keep
    /// the event loop in one call of sendfile(2) until it has all.
    static let pieceSize: Int64 = 1 << 20
    /// How much of the end of a large file waits for the file's check.
    static let tailSize: Int64 = 64 << 10

    private var state: State

    /// - Parameters:
    ///   - part: what is sent of the file.
    ///   - holdsTail: whether the end waits for the check; only where the part is longer.
    init(_ part: Range<Int64>, holdsTail: Bool) {
        let split = part.upperBound - Self.tailSize
        if holdsTail, split > part.lowerBound {
            state = .sending(rest: part.lowerBound..<split, tail: split..<part.upperBound)
        } else {
            state = part.isEmpty ? .done : .sending(rest: part, tail: nil)
        }
    }

    /// Whether a piece can go now.
    var hasNext: Bool { if case .sending = state { true } else { false } }
    /// Whether nothing but the tail is left, which waits.
    var isHolding: Bool { if case .holding = state { true } else { false } }
    /// Whether everything was handed over.
    var isDone: Bool { state == .done }

    /// Takes the next piece; `nil` when none can go now.
    mutating func next() -> Range<Int64>? {
        guard case .sending(let rest, let tail) = state else { return nil }
        let end = min(rest.upperBound, rest.lowerBound + Self.pieceSize)
        if end < rest.upperBound {
            state = .sending(rest: end..<rest.upperBound, tail: tail)
        } else if let tail {
            state = .holding(tail: tail)
        } else {
            state = .done
        }
        return rest.lowerBound..<end
    }

    /// The tail waits no longer.
    ///
    /// - Returns: whether pieces that had ceased to go can go on.
    mutating func releaseTail() -> Bool {
        switch state {
        case .sending(let rest, let tail?):
            state = .sending(rest: rest.lowerBound..<tail.upperBound, tail: nil)
            return false
        case .holding(let tail):
            state = .sending(rest: tail, tail: nil)
            return true
        case .sending, .done: return false
        }
    }
}
