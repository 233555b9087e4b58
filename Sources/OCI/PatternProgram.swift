/// A parsed pattern as a tree.
indirect enum PatternNode: Sendable {
    /// One byte of a set.
    case bytes(ByteSet)
    /// A condition on a position.
    case condition(PatternCondition)
    /// Nodes in order; an empty sequence matches the empty text.
    case sequence([PatternNode])
    /// One of several nodes.
    case alternatives([PatternNode])
    /// A node repeated at least `minimum` and at most `maximum` times; `nil` means no maximum.
    case repeated(PatternNode, minimum: Int, maximum: Int?)
}

/// A condition on a position between two bytes.
enum PatternCondition: Hashable, Sendable {
    case start, end, wordBoundary, noWordBoundary
}

/// A set of bytes.
struct ByteSet: Hashable, Sendable {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    init() {}

    init(_ ranges: ClosedRange<UInt8>...) {
        for range in ranges { insert(range) }
    }

    static let digits = ByteSet(UInt8(ascii: "0")...UInt8(ascii: "9"))
    static let lowerCase = ByteSet(UInt8(ascii: "a")...UInt8(ascii: "z"))
    static let upperCase = ByteSet(UInt8(ascii: "A")...UInt8(ascii: "Z"))
    static let letters = lowerCase.union(upperCase)
    static let word = letters.union(digits).union(ByteSet(UInt8(ascii: "_")...UInt8(ascii: "_")))
    /// RE2's `\s`: tab, line feed, form feed, carriage return, space.
    static let space = ByteSet(9...10, 12...13, 32...32)
    static let lineFeed = ByteSet(10...10)

    mutating func insert(_ range: ClosedRange<UInt8>) {
        for byte in range {
            let bit: UInt64 = 1 << UInt64(byte & 63)
            switch byte >> 6 {
            case 0: words.0 |= bit
            case 1: words.1 |= bit
            case 2: words.2 |= bit
            default: words.3 |= bit
            }
        }
    }

    func contains(_ byte: UInt8) -> Bool {
        let word =
            switch byte >> 6 {
            case 0: words.0
            case 1: words.1
            case 2: words.2
            default: words.3
            }
        return word >> UInt64(byte & 63) & 1 == 1
    }

    func union(_ other: ByteSet) -> ByteSet {
        var result = self
        result.words.0 |= other.words.0
        result.words.1 |= other.words.1
        result.words.2 |= other.words.2
        result.words.3 |= other.words.3
        return result
    }

    var inverted: ByteSet {
        var result = self
        result.words = (~words.0, ~words.1, ~words.2, ~words.3)
        return result
    }

    /// The set with both cases of each letter.
    var caseFolded: ByteSet {
        var result = self
        let distance = UInt8(ascii: "a") - UInt8(ascii: "A")
        for byte in UInt8(ascii: "A")...UInt8(ascii: "Z") where contains(byte) || contains(byte + distance) {
            result.insert(byte...byte)
            result.insert((byte + distance)...(byte + distance))
        }
        return result
    }

    static func == (left: ByteSet, right: ByteSet) -> Bool { left.words == right.words }

    func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
        hasher.combine(words.2)
        hasher.combine(words.3)
    }
}

/// A pattern as a list of steps. A match follows all paths at once, without backtracking.
struct PatternProgram: Sendable {
    /// The maximum number of steps of a pattern, which bounds the cost of a match.
    static let maximumSize = 4096

    private enum Step: Sendable {
        case byte(ByteSet)
        case condition(PatternCondition)
        case split(Int, Int)
        case jump(Int)
        case match
    }

    private var steps: [Step] = []

    init(_ node: PatternNode) throws(ReferencePattern.ParseError) {
        try compile(node)
        try emit(.match)
    }

    private mutating func emit(_ step: Step) throws(ReferencePattern.ParseError) {
        guard steps.count < Self.maximumSize else { throw .tooLarge }
        steps.append(step)
    }

    private mutating func compile(_ node: PatternNode) throws(ReferencePattern.ParseError) {
        switch node {
        case .bytes(let set): try emit(.byte(set))
        case .condition(let condition): try emit(.condition(condition))
        case .sequence(let nodes): for node in nodes { try compile(node) }
        case .alternatives(let nodes):
            var jumps: [Int] = []
            for (number, node) in nodes.enumerated() {
                guard number + 1 < nodes.count else {
                    try compile(node)
                    break
                }
                let split = steps.count
                try emit(.split(split + 1, 0))
                try compile(node)
                jumps.append(steps.count)
                try emit(.jump(0))
                steps[split] = .split(split + 1, steps.count)
            }
            for jump in jumps { steps[jump] = .jump(steps.count) }
        case .repeated(let node, let minimum, let maximum):
            for _ in 0..<minimum {
                let start = steps.count
                try compile(node)
                // A repetition of the empty text is empty.
                if steps.count == start { break }
            }
            guard let maximum else {
                let split = steps.count
                try emit(.split(split + 1, 0))
                try compile(node)
                try emit(.jump(split))
                steps[split] = .split(split + 1, steps.count)
                return
            }
            var splits: [Int] = []
            for _ in 0..<max(0, maximum - minimum) {
                splits.append(steps.count)
                try emit(.split(steps.count + 1, 0))
                try compile(node)
            }
            for split in splits { steps[split] = .split(split + 1, steps.count) }
        }
    }

    /// Whether the pattern matches anywhere in the text.
    func matches(_ text: [UInt8]) -> Bool {
        var states = States(count: steps.count)
        for position in 0...text.count {
            // A match may begin at any position.
            if follow(0, at: position, of: text, into: &states) { return true }
            guard position < text.count else { break }
            let current = states.advance()
            for state in current {
                guard case .byte(let set) = steps[state], set.contains(text[position]) else { continue }
                if follow(state + 1, at: position + 1, of: text, into: &states) { return true }
            }
        }
        return false
    }

    /// Adds all states that are reached without taking a byte. Returns whether one of them is the end.
    private func follow(_ first: Int, at position: Int, of text: [UInt8], into states: inout States) -> Bool {
        var pending = [first]
        while let state = pending.popLast() {
            guard states.visit(state) else { continue }
            switch steps[state] {
            case .match: return true
            case .byte: states.add(state)
            case .jump(let target): pending.append(target)
            case .split(let one, let other): pending += [other, one]
            case .condition(let condition):
                if Self.holds(condition, at: position, of: text) { pending.append(state + 1) }
            }
        }
        return false
    }

    private static func holds(_ condition: PatternCondition, at position: Int, of text: [UInt8]) -> Bool {
        switch condition {
        case .start: return position == 0
        case .end: return position == text.count
        case .wordBoundary, .noWordBoundary:
            let before = position > 0 && ByteSet.word.contains(text[position - 1])
            let after = position < text.count && ByteSet.word.contains(text[position])
            return (before != after) == (condition == .wordBoundary)
        }
    }

    /// The states that wait for a byte, each at most once per position.
    private struct States {
        private var waiting: [Int] = []
        private var visited: [Int]
        private var generation = 1

        init(count: Int) {
            visited = Array(repeating: 0, count: count)
        }

        mutating func visit(_ state: Int) -> Bool {
            guard visited[state] != generation else { return false }
            visited[state] = generation
            return true
        }

        mutating func add(_ state: Int) {
            waiting.append(state)
        }

        /// Moves to the next position and returns the states that waited at the last one.
        mutating func advance() -> [Int] {
            defer { waiting.removeAll(keepingCapacity: true) }
            generation += 1
            return waiting
        }
    }
}
