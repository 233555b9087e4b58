import LibP2P
import NIOCore

extension FuzzTarget {
    /// multistream-select, both sides. The first byte of an input determines the segmentation of the rest, which must
    /// not matter.
    static let negotiation: [FuzzTarget] = [
        FuzzTarget(
            name: "multistream-listener",
            dictionary: lines(["/multistream/1.0.0", "/noise", "/tls/1.0.0", "ls", "na"]),
            samples: {
                let header = line("/multistream/1.0.0")
                return [
                    Sample(name: "direct.bin", bytes: [0] + header + line("/noise") + [1, 2, 3]),
                    Sample(name: "second.bin", bytes: [3] + header + line("/tls/1.0.0") + line("/noise")),
                    Sample(name: "list.bin", bytes: [1] + header + line("ls") + line("/yamux/1.0.0")),
                ]
            },
            run: { input in
                let supported: Set = ["/noise", "/yamux/1.0.0"]
                let outcomes = [true, false].map { isWhole in
                    var listener = MultistreamListener(supported: supported)
                    _ = listener.start()
                    return negotiate(input, isWhole: isWhole) { listener.receive($0) }
                }
                check(outcomes[0] == outcomes[1], "the segmentation does not matter")
                return outcomes[0]?.isEmpty == false
            }
        ),
        FuzzTarget(
            name: "multistream-dialer",
            dictionary: lines(["/multistream/1.0.0", "/noise", "/tls/1.0.0", "na"]),
            samples: {
                let header = line("/multistream/1.0.0")
                return [
                    Sample(name: "first.bin", bytes: [0] + header + line("/tls/1.0.0") + [1, 2, 3]),
                    Sample(name: "second.bin", bytes: [5] + header + line("na") + line("/noise")),
                ]
            },
            run: { input in
                let outcomes = [true, false].map { isWhole in
                    var dialer = MultistreamDialer(protocols: ["/tls/1.0.0", "/noise"])
                    _ = dialer.start()
                    return negotiate(input, isWhole: isWhole) { dialer.receive($0) }
                }
                check(outcomes[0] == outcomes[1], "the segmentation does not matter")
                return outcomes[0]?.isEmpty == false
            }
        ),
    ]

    /// The negotiated name, empty after a failure; `nil` without a result yet.
    private static func negotiate(
        _ input: [UInt8],
        isWhole: Bool,
        receive: (ByteBuffer) -> [MultistreamAction]
    ) -> String? {
        var outcome: String?
        var answered = 0
        for segment in Segments(input, isWhole: isWhole) {
            for action in receive(segment) {
                check(outcome == nil, "nothing follows the end of a negotiation")
                switch action {
                case .send(let bytes): answered += bytes.readableBytes
                case .selected(let protocolID, _): outcome = protocolID
                case .failed: outcome = ""
                }
            }
        }
        // The longest answer lists all protocols. There are at most as many answers as attempts, and the header.
        check(answered <= (Multistream.maxAttempts + 2) * 64, "answers are bounded")
        return outcome
    }

    private static func lines(_ names: [String]) -> [[UInt8]] { names.map(line) }

    /// A line of multistream-select with its length prefix.
    static func line(_ text: String) -> [UInt8] { [UInt8(text.utf8.count + 1)] + text.utf8 + [0x0A] }
}

/// An input without its first byte, in segments whose lengths depend on that byte.
struct Segments: Sequence, IteratorProtocol {
    private var rest: ArraySlice<UInt8>
    private var size: Int
    private let step: Int

    /// - Parameter isWhole: whether all is one segment, whatever the first byte.
    init(_ input: [UInt8], isWhole: Bool = false) {
        let first = input.first ?? 0
        rest = input.dropFirst()
        step = isWhole ? 0 : Int(first & 0x0F)
        size = step
    }

    mutating func next() -> ByteBuffer? {
        guard !rest.isEmpty else { return nil }
        guard step > 0 else {
            defer { rest = [] }
            return ByteBuffer(bytes: rest)
        }
        // Lengths grow, so that a long input has few segments.
        defer {
            rest = rest.dropFirst(size)
            size += step
        }
        return ByteBuffer(bytes: rest.prefix(size))
    }
}
