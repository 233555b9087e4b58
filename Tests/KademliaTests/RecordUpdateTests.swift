import Multiformats
import TestSupport
import Testing

@testable import Kademlia

@Suite struct RecordUpdateTests {
    private func update(_ kind: RecordUpdate.Kind, _ count: Int = 0) throws -> RecordUpdate {
        RecordUpdate(
            kind: kind,
            keys: (0..<count).map { Key("\($0)") },
            provider: try testPeer(1),
            timeToLive: kind == .announce ? .seconds(600) : .zero
        )
    }

    @Test func decodesItsEncoding() throws {
        for update in try [
            update(.announce, 0), update(.announce, 1), update(.announce, 4096), update(.withdraw, 77), update(.leave),
        ] {
            let bytes = update.encoded()
            #expect(bytes.count < RecordUpdate.maximumSize)
            #expect(try RecordUpdate(decoding: bytes) == update)
        }
        // A thousand keys cost 32 bytes each.
        #expect(try update(.announce, 1000).encoded().count < 32_000 + 100)
    }

    @Test func rejectsOtherBytes() throws {
        #expect(throws: RecordUpdateError.tooLarge(size: 200_000)) {
            try RecordUpdate(decoding: [UInt8](repeating: 0, count: 200_000))
        }
        #expect(throws: RecordUpdateError.malformed) { try RecordUpdate(decoding: [0x12, 0x7F]) }
        #expect(throws: RecordUpdateError.unknownKind(0)) { try RecordUpdate(decoding: []) }
        #expect(throws: RecordUpdateError.unknownKind(9)) { try RecordUpdate(decoding: [0x08, 9]) }
        #expect(throws: RecordUpdateError.missingProvider) { try RecordUpdate(decoding: [0x08, 1]) }
        let provider = try update(.leave).encoded()
        #expect(throws: RecordUpdateError.malformedDigests(size: 3)) {
            try RecordUpdate(decoding: provider + [0x1A, 3, 1, 2, 3])
        }
        let digests = [UInt8](repeating: 7, count: 32 * 4097)
        #expect(throws: RecordUpdateError.tooManyKeys(count: 4097)) {
            try RecordUpdate(decoding: provider + [0x1A] + varint(digests.count) + digests)
        }
    }

    @Test func skipsUnknownFieldsAndLimitsLifetime() throws {
        let update = try update(.announce, 3)
        // Field 16 with bytes, and field 4 with the maximum number.
        let more = update.encoded() + [0x82, 0x01, 2, 1, 2] + [0x20] + [UInt8](repeating: 0xFF, count: 9) + [0x01]
        let read = try RecordUpdate(decoding: more)
        #expect(read.keys == update.keys)
        #expect(read.timeToLive == .seconds(365 * 86_400))
    }

    @Test func otherImplementationsGetAddProvider() throws {
        let messages = try update(.announce, 3).messages
        #expect(messages.map(\.kind) == [.addProvider, .addProvider, .addProvider])
        #expect(messages.map(\.key) == (0..<3).map { Key("\($0)").bytes })
        #expect(messages.allSatisfy { $0.providerPeers.map(\.info) == [try? testPeer(1)] })
        #expect(try update(.withdraw, 3).messages.isEmpty)
    }

    @Test func neverTrapsOnRandomInput() throws {
        var generator = SeededGenerator()
        let valid = try update(.announce, 5).encoded()
        for _ in 0..<20_000 {
            var bytes = valid
            for _ in 0..<Int.random(in: 1...8, using: &generator) {
                guard !bytes.isEmpty else { break }
                let place = Int.random(in: bytes.indices, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.remove(at: place)
                default: bytes.insert(UInt8.random(in: 0...255, using: &generator), at: place)
                }
            }
            guard let read = try? RecordUpdate(decoding: bytes) else { continue }
            #expect(read.keys.count <= RecordUpdate.maximumKeys, "seed \(generator.seed)")
            #expect(try RecordUpdate(decoding: read.encoded()).keys == read.keys, "seed \(generator.seed)")
        }
    }

    private func varint(_ number: Int) -> [UInt8] {
        var (rest, bytes) = (number, [UInt8]())
        while rest > 127 {
            bytes.append(UInt8(rest & 127) | 128)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }
}
