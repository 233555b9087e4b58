import NIOCore
import TestSupport
import Testing

@testable import LibP2P

@Suite struct MultistreamTests {
    /// The lines as messages of a remote side.
    private func lines(_ lines: String...) -> ByteBuffer {
        var buffer = ByteBuffer()
        for line in lines { Multistream.write(line, to: &buffer) }
        return buffer
    }

    @Test func dialerSendsHeaderAndFirstProposalTogether() {
        var dialer = MultistreamDialer(protocols: ["/noise", "/tls/1.0.0"])
        #expect(dialer.start() == [.send(lines("/multistream/1.0.0", "/noise"))])
        #expect(lines("/noise") == ByteBuffer(bytes: [7] + Array("/noise\n".utf8)))
    }

    @Test func dialerProposesProtocolsInOrder() {
        var dialer = MultistreamDialer(protocols: ["/a", "/b"])
        _ = dialer.start()
        #expect(dialer.receive(lines("/multistream/1.0.0", "na")) == [.send(lines("/b"))])
        var answer = lines("/b")
        answer.writeString("rest")
        #expect(
            dialer.receive(answer) == [.selected(protocolID: "/b", leftover: ByteBuffer(string: "rest"))]
        )
    }

    @Test func dialerFailsWhenAllProposalsAreRejected() {
        var dialer = MultistreamDialer(protocols: ["/a", "/b"])
        _ = dialer.start()
        let actions = dialer.receive(lines("/multistream/1.0.0", "na", "na"))
        #expect(actions == [.send(lines("/b")), .failed(.noneSupported(["/a", "/b"]))])
        #expect(dialer.receive(lines("/a")).isEmpty)
    }

    @Test func dialerWithoutProtocolsFails() {
        var dialer = MultistreamDialer(protocols: [])
        #expect(dialer.start() == [.failed(.noneSupported([]))])
    }

    @Test func dialerRejectsUnproposedAnswer() {
        var dialer = MultistreamDialer(protocols: ["/a"])
        _ = dialer.start()
        let actions = dialer.receive(lines("/multistream/1.0.0", "/b"))
        #expect(actions == [.failed(.unexpectedAnswer("/b", proposed: "/a"))])
    }

    @Test func listenerAnswersListAndUnsupportedProposals() {
        var listener = MultistreamListener(supported: ["/a", "/b"])
        #expect(listener.start() == [.send(lines("/multistream/1.0.0"))])
        var list = ByteBuffer()
        list.writeBytes([9, 3] + Array("/a\n".utf8) + [3] + Array("/b\n".utf8) + Array("\n".utf8))
        let actions = listener.receive(lines("/multistream/1.0.0", "ls", "/c", "/b"))
        #expect(
            actions == [
                .send(list), .send(lines("na")), .send(lines("/b")),
                .selected(protocolID: "/b", leftover: ByteBuffer()),
            ]
        )
    }

    @Test func listenerLimitsAttempts() {
        var listener = MultistreamListener(supported: ["/a"], maxAttempts: 3)
        let actions = listener.receive(lines("/multistream/1.0.0", "/x", "ls", "/y", "/a"))
        #expect(actions.last == .failed(.tooManyAttempts(3)))
        #expect(listener.receive(lines("/a")).isEmpty)
    }

    @Test func rejectsLongLines() {
        let longest = String(repeating: "x", count: Multistream.maxLineLength - 1)
        var listener = MultistreamListener(supported: [longest])
        #expect(
            listener.receive(lines("/multistream/1.0.0", longest)).last
                == .selected(protocolID: longest, leftover: ByteBuffer())
        )
        var strict = MultistreamListener(supported: ["/a"])
        let actions = strict.receive(lines("/multistream/1.0.0", longest + "x"))
        guard case .failed(.malformedLine) = actions.last else {
            Issue.record("expected a malformed line, found \(actions)")
            return
        }
    }

    @Test(arguments: [
        [UInt8](repeating: 0x80, count: 16),  // a length prefix without an end
        [3, 0x61, 0x62, 0x63],  // no newline
        [0],  // an empty message
        Array("GET / HTTP/1.1\r\n\r\n".utf8) + [UInt8](repeating: 0x0A, count: 200),
    ])
    func rejectsMalformedLines(bytes: [UInt8]) {
        var listener = MultistreamListener(supported: ["/a"])
        guard case .failed = listener.receive(ByteBuffer(bytes: bytes)).last else {
            Issue.record("expected a failure for \(bytes)")
            return
        }
    }

    /// In any segmentation, both sides agree on the dialer's first supported protocol, and no byte after the
    /// negotiation is lost.
    @Test(arguments: 0..<200)
    func agreesInAnySegmentation(round: Int) {
        let seed = UInt64(round) &+ 0xA11CE
        var generator = SeededGenerator(seed: seed)
        let names = (0..<6).map { "/protocol/\($0)" }
        let proposals = names.shuffled(using: &generator)
        let supported = Set(names.shuffled(using: &generator).prefix(Int.random(in: 0...3, using: &generator)))
        let expected = proposals.first { supported.contains($0) }
        let tail = (0..<Int.random(in: 0...40, using: &generator)).map { _ in generator.next() as UInt64 }
            .map { UInt8(truncatingIfNeeded: $0) }

        var dialer = MultistreamDialer(protocols: proposals)
        var listener = MultistreamListener(supported: supported)
        var toListener: [UInt8] = []
        var toDialer: [UInt8] = []
        var outcomes: [String?] = []
        var atListener: [UInt8]?
        var atDialer: [UInt8]?
        func apply(_ actions: [MultistreamAction], out: inout [UInt8], leftover: inout [UInt8]?, dialing: Bool) {
            for action in actions {
                switch action {
                case .send(let bytes): out += Array(bytes.readableBytesView)
                case .selected(let name, let rest):
                    outcomes.append(name)
                    leftover = Array(rest.readableBytesView)
                    // Each side appends the protocol's bytes to its last line.
                    out += tail
                case .failed: outcomes.append(nil)
                }
            }
        }
        apply(dialer.start(), out: &toListener, leftover: &atDialer, dialing: true)
        apply(listener.start(), out: &toDialer, leftover: &atListener, dialing: false)
        while !toListener.isEmpty || !toDialer.isEmpty {
            if Bool.random(using: &generator), !toListener.isEmpty {
                let count = Int.random(in: 1...min(20, toListener.count), using: &generator)
                let part = Array(toListener.prefix(count))
                toListener.removeFirst(count)
                if atListener != nil {
                    atListener?.append(contentsOf: part)
                } else {
                    let actions = listener.receive(ByteBuffer(bytes: part))
                    apply(actions, out: &toDialer, leftover: &atListener, dialing: false)
                }
            } else if !toDialer.isEmpty {
                let count = Int.random(in: 1...min(20, toDialer.count), using: &generator)
                let part = Array(toDialer.prefix(count))
                toDialer.removeFirst(count)
                if atDialer != nil {
                    atDialer?.append(contentsOf: part)
                } else {
                    let actions = dialer.receive(ByteBuffer(bytes: part))
                    apply(actions, out: &toListener, leftover: &atDialer, dialing: true)
                }
            }
        }
        if let expected {
            #expect(outcomes == [expected, expected], "seed \(seed)")
            #expect(atListener == tail, "seed \(seed)")
            #expect(atDialer == tail, "seed \(seed)")
        } else {
            #expect(outcomes == [nil], "seed \(seed)")
        }
    }

    @Test func neverTrapsOnRandomBytes() {
        let seed: UInt64 = 0xBAD_5EED
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<2000 {
            var dialer = MultistreamDialer(protocols: ["/a", "/b"])
            var listener = MultistreamListener(supported: ["/a"])
            _ = dialer.start()
            var input = Bool.random(using: &generator) ? lines("/multistream/1.0.0") : ByteBuffer()
            for _ in 0..<Int.random(in: 0...64, using: &generator) {
                input.writeInteger(UInt8.random(in: 0...255, using: &generator))
            }
            let dialed = dialer.receive(input)
            let listened = listener.receive(input)
            #expect(dialed.count <= 3 && listened.count <= 34, "seed \(seed)")
        }
    }
}
