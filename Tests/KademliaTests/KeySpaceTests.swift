import TestSupport
import Testing
import Time

@testable import Kademlia

@Suite struct KeySpaceTests {
    @Test func wireFormOfKeyIsMultihashOfText() {
        // The SHA-256 of "abc" (FIPS 180-4's example).
        let expected: [UInt8] = [
            0xBA, 0x78, 0x16, 0xBF, 0x8F, 0x01, 0xCF, 0xEA, 0x41, 0x41, 0x40, 0xDE, 0x5D, 0xAE, 0x22, 0x23,
            0xB0, 0x03, 0x61, 0xA3, 0x96, 0x17, 0x7A, 0x9C, 0xB4, 0x10, 0xFF, 0x61, 0xF2, 0x00, 0x15, 0xAD,
        ]
        let key = Key("abc")
        #expect(key.bytes == [0x12, 0x20] + expected)
        #expect(key.position == KeySpacePosition(hashing: key.bytes))
        #expect(key.position.words.bytes != expected)
    }

    @Test func parsesItsOwnFormOnly() {
        let key = Key("docker.io/library/x:1")
        #expect(Key(bytes: key.bytes) == key)
        #expect(Key(bytes: key.bytes)?.position == key.position)
        #expect(Key(bytes: []) == nil)
        #expect(Key(bytes: Array(key.bytes.dropLast())) == nil)
        #expect(Key(bytes: key.bytes + [0]) == nil)
        #expect(Key(bytes: [0x13] + key.bytes.dropFirst()) == nil)
    }

    @Test func distanceIsAMetric() {
        var generator = SeededGenerator()
        for _ in 0..<500 {
            let (a, b, c) = (
                KeySpacePosition(hashing: generator.bytes(8)), KeySpacePosition(hashing: generator.bytes(8)),
                KeySpacePosition(hashing: generator.bytes(8))
            )
            #expect(a.distance(to: a).words == KeySpaceWords(0, 0, 0, 0), "seed \(generator.seed)")
            #expect(a.distance(to: b) == b.distance(to: a), "seed \(generator.seed)")
            // The law of XOR, which implies the triangle inequality.
            #expect((a.distance(to: b).words ^ b.distance(to: c).words) == a.distance(to: c).words)
            // One-to-one: a fixed end and a distance determine the other end.
            #expect(KeySpacePosition(words: a.words ^ a.distance(to: b).words) == b, "seed \(generator.seed)")
            // A longer common prefix is always closer.
            let (toB, toC) = (a.commonPrefixLength(with: b), a.commonPrefixLength(with: c))
            if toB != toC { #expect((toB > toC) == (a.distance(to: b) < a.distance(to: c)), "seed \(generator.seed)") }
        }
    }

    @Test func prefixLengthCountsBitsAcrossWords() {
        let origin = KeySpacePosition(words: KeySpaceWords(0, 0, 0, 0))
        for bit in 0..<256 {
            var bytes = [UInt8](repeating: 0, count: 32)
            bytes[bit / 8] = 0x80 >> UInt8(bit % 8)
            let words = KeySpaceWords(bytes: bytes)
            #expect(words.bytes == bytes)
            #expect(origin.commonPrefixLength(with: KeySpacePosition(words: words)) == bit)
        }
        #expect(origin.commonPrefixLength(with: origin) == 256)
    }

    @Test func refreshKeyIsInItsBucket() {
        var generator = SeededGenerator()
        let origin = KeySpacePosition(hashing: generator.bytes(8))
        for bucket in 0...8 {
            let key = RefreshTarget.key(inBucket: bucket, of: origin, using: &generator)
            #expect(
                key.map { KeySpacePosition(hashing: $0).commonPrefixLength(with: origin) } == bucket,
                "seed \(generator.seed)"
            )
        }
        #expect(RefreshTarget.key(inBucket: 200, of: origin, using: &generator) == nil)
    }

    @Test func timeSaturates() {
        #expect(MonotonicTime(nanoseconds: .max) + .seconds(1) == MonotonicTime(nanoseconds: .max))
        #expect(MonotonicTime.zero + .seconds(Int64.max) == MonotonicTime(nanoseconds: .max))
        #expect(MonotonicTime.seconds(3) - .seconds(1) == .seconds(2))
    }
}
