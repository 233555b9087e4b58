import Multiformats
import TestSupport
import Testing

@testable import Swarm

struct MessageTests {
    private static let source = SwarmMessage.Source(id: peer(3), addresses: [[4, 10, 0, 0, 1, 6, 19, 137]])
    private static let progress = SwarmMessage.Progress(
        position: 3 << 20,
        supply: .source,
        round: 4,
        starved: 1200,
        nextReport: 500,
        asks: true,
        failed: [peer(9)]
    )

    @Test(arguments: [
        SwarmMessage.Body.join(
            .init(progress: progress, size: 1 << 30, zone: "a", addresses: [[1, 2]], source: peer(2))
        ),
        .join(.init(canServe: false)), .progress(progress), .progress(.init()), .leave,
        .place(.init(sources: [source, source], round: 7)), .place(.init(sources: [], round: 8)), .wait, .lead,
        .elsewhere(source), .unknown,
    ])
    func decodesWhatItEncodes(body: SwarmMessage.Body) throws {
        let message = envelope(body)
        #expect(try SwarmMessage(decoding: message.encoded()) == message)
    }

    @Test func boundsListsAndLengths() throws {
        let many = SwarmMessage.Source(id: peer(1), addresses: Array(repeating: [1, 2, 3], count: 50))
        let long = SwarmMessage.Source(id: peer(1), addresses: [[UInt8](repeating: 1, count: 129), [1]])
        let place = envelope(.place(.init(sources: [many, long] + Array(repeating: Self.source, count: 9), round: 1)))
        guard case .place(let decoded) = try SwarmMessage(decoding: place.encoded()).body else {
            Issue.record("expected a place")
            return
        }
        #expect(decoded.sources.count == SwarmMessage.Limits.sources)
        #expect(decoded.sources.first?.addresses.count == SwarmMessage.Limits.addresses)
        #expect(decoded.sources.dropFirst().first?.addresses == [[1]])
    }

    @Test func refusesWhatIsNoMessage() {
        let bytes = envelope(.wait).encoded()
        #expect(throws: SwarmMessageError.tooLarge(size: 9000)) {
            try SwarmMessage(decoding: [UInt8](repeating: 0, count: 9000))
        }
        #expect(throws: SwarmMessageError.malformedKey) { try SwarmMessage(decoding: []) }
        #expect(throws: SwarmMessageError.malformedKey) { try SwarmMessage(decoding: [0x08, 0x05, 0x12, 0x01, 0x00]) }
        #expect(throws: SwarmMessageError.malformed) { try SwarmMessage(decoding: Array(bytes.dropLast())) }
        #expect(throws: SwarmMessageError.unknownKind(99)) { try SwarmMessage(decoding: bytes + [0x08, 99]) }
        #expect(throws: SwarmMessageError.invalid(field: "supply")) { try SwarmMessage(decoding: bytes + [0x20, 9]) }
        #expect(throws: SwarmMessageError.invalid(field: "zone")) {
            try SwarmMessage(decoding: bytes + [0x62, 1, 0xFF])
        }
        #expect(throws: SwarmMessageError.invalid(field: "position")) {
            try SwarmMessage(decoding: bytes + [0x18, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F])
        }
        #expect(throws: SwarmMessageError.invalid(field: "coordinator")) {
            try SwarmMessage(decoding: bytes + [0x08, 7])
        }
    }

    @Test func skipsUnknownFields() throws {
        let bytes = envelope(.lead).encoded()
        // A number, bytes, and fixed numbers in fields 100 to 103.
        let more: [UInt8] = [
            0xA0, 0x06, 0x05, 0xAA, 0x06, 0x02, 1, 2, 0xB1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8, 0xBD, 0x06, 1, 2, 3, 4,
        ]
        #expect(try SwarmMessage(decoding: bytes + more) == envelope(.lead))
    }

    @Test func neverTrapsOnRandomBytes() {
        var generator = SeededGenerator()
        let samples = [envelope(.join(.init(progress: Self.progress, zone: "z"))), envelope(.elsewhere(Self.source))]
        for _ in 0..<20_000 {
            var bytes = samples.randomElement(using: &generator)?.encoded() ?? []
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                bytes[Int.random(in: bytes.indices, using: &generator)] = .random(in: 0...255, using: &generator)
            }
            guard let message = try? SwarmMessage(decoding: bytes) else { continue }
            #expect((try? SwarmMessage(decoding: message.encoded())) == message, "seed \(generator.seed)")
        }
    }
}
