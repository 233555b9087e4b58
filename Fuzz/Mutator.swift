import TestSupport

/// Mutates valid inputs: changes bytes, cuts and repeats pieces, exchanges pieces between samples, and inserts extreme
/// numbers and words of the format. The seed, the samples and the dictionary determine the result.
struct Mutator {
    private var generator: SeededGenerator
    private let samples: [[UInt8]]
    private let dictionary: [[UInt8]]
    private let maximumLength: Int

    /// - Parameters:
    ///   - samples: at least one.
    ///   - maximumLength: the maximum length of an input in bytes.
    init(seed: UInt64, samples: [[UInt8]], dictionary: [[UInt8]], maximumLength: Int) {
        generator = SeededGenerator(seed: seed)
        self.samples = samples
        self.dictionary = dictionary
        self.maximumLength = maximumLength
    }

    /// The next input.
    mutating func next() -> [UInt8] {
        // A few inputs are unrelated to the format.
        if below(32) == 0 { return generator.bytes(below(128)) }
        var bytes = samples[below(samples.count)]
        // Mostly few changes, so that the parser reaches the end of the input; sometimes many.
        for _ in 0...(below(4) == 0 ? below(16) : below(3)) { mutate(&bytes) }
        if bytes.count > maximumLength { bytes.removeLast(bytes.count - maximumLength) }
        return bytes
    }

    /// An input of at least `length` bytes from mutated pieces of samples.
    mutating func large(_ length: Int) -> [UInt8] {
        var bytes = samples[below(samples.count)]
        // One piece repeated, or many pieces: nesting and repetition are different dangers.
        let isUniform = below(2) == 0
        var piece = fragment(of: bytes)
        while bytes.count < length {
            if !isUniform { piece = fragment(of: samples[below(samples.count)]) }
            bytes += piece.isEmpty ? [0] : piece
        }
        for _ in 0..<below(4) { mutate(&bytes) }
        return bytes
    }

    private mutating func mutate(_ bytes: inout [UInt8]) {
        guard !bytes.isEmpty else {
            bytes = generator.bytes(1 + below(16))
            return
        }
        let place = below(bytes.count)
        switch below(12) {
        case 0: bytes[place] ^= 1 << UInt8(below(8))
        case 1, 2: bytes[place] = UInt8(below(256))
        case 3: bytes[place] = Self.edges[below(Self.edges.count)]
        case 4: bytes[place] &+= below(2) == 0 ? 1 : 0xFF
        case 5: bytes.removeSubrange(place..<(place + 1 + below(min(32, bytes.count - place))))
        case 6: bytes.removeLast(bytes.count - place)
        case 7: bytes.insert(contentsOf: generator.bytes(1 + below(16)), at: place)
        case 8: bytes.insert(contentsOf: fragment(of: bytes), at: place)
        case 9: bytes.insert(contentsOf: fragment(of: samples[below(samples.count)]), at: place)
        case 10: overwrite(&bytes, at: place, with: number())
        default:
            guard !dictionary.isEmpty else { return overwrite(&bytes, at: place, with: number()) }
            let word = dictionary[below(dictionary.count)]
            if below(2) == 0 {
                bytes.insert(contentsOf: word, at: place)
            } else {
                overwrite(&bytes, at: place, with: word)
            }
        }
    }

    private static let edges: [UInt8] = [0, 1, 0x0A, 0x20, 0x2F, 0x3A, 0x7F, 0x80, 0xFE, 0xFF]

    private mutating func fragment(of bytes: [UInt8]) -> [UInt8] {
        guard !bytes.isEmpty else { return [] }
        let start = below(bytes.count)
        return Array(bytes[start..<(start + 1 + below(bytes.count - start))])
    }

    private func overwrite(_ bytes: inout [UInt8], at place: Int, with word: [UInt8]) {
        bytes.replaceSubrange(place..<min(bytes.count, place + word.count), with: word)
    }

    /// A number as a length field or digit string, often at the edge of a type.
    private mutating func number() -> [UInt8] {
        let value: UInt64
        switch below(4) {
        case 0: value = UInt64(below(300))
        case 1: value = 1 << UInt64(below(64))
        case 2: value = (1 << UInt64(below(64))) &- 1
        default: value = generator.next()
        }
        switch below(5) {
        case 0: return Self.bigEndian(value, size: 2)
        case 1: return Self.bigEndian(value, size: 4)
        case 2: return Self.bigEndian(value, size: 8)
        case 3: return Array(String(value).utf8)
        default:
            var bytes: [UInt8] = []
            var rest = value
            while rest >= 0x80 {
                bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
                rest >>= 7
            }
            return bytes + [UInt8(truncatingIfNeeded: rest)]
        }
    }

    private static func bigEndian(_ value: UInt64, size: Int) -> [UInt8] {
        (0..<size).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * (size - 1 - $0))) }
    }

    private mutating func below(_ bound: Int) -> Int {
        Int(truncatingIfNeeded: generator.next() % UInt64(bound))
    }
}
