import NIOCore

/// The dialer's half of multistream-select: proposes protocols in order of preference.
///
/// The header and the first proposal leave together, before the listener has said anything, which saves
/// a round trip; the listener's header and answer may come in any segmentation.
package struct MultistreamDialer {
    private enum State {
        case idle
        case awaitingHeader
        case awaitingAnswer
        case finished
    }

    private let protocols: [String]
    private var proposed = 0
    private var state = State.idle
    private var buffer = ByteBuffer()

    /// - Parameter protocols: The acceptable protocols, the preferred one first.
    package init(protocols: [String]) {
        self.protocols = protocols
    }

    /// Begins the negotiation. To be called once, before ``receive(_:)``.
    package mutating func start() -> [MultistreamAction] {
        guard case .idle = state else { return [] }
        guard let first = protocols.first else { return fail(.noneSupported([])) }
        state = .awaitingHeader
        var bytes = ByteBuffer()
        Multistream.write(Multistream.header, to: &bytes)
        Multistream.write(first, to: &bytes)
        return [.send(bytes)]
    }

    /// Takes bytes from the listener. After the end of the negotiation they are no longer this type's matter.
    package mutating func receive(_ bytes: ByteBuffer) -> [MultistreamAction] {
        if case .finished = state { return [] }
        var bytes = bytes
        buffer.writeBuffer(&bytes)
        var actions: [MultistreamAction] = []
        do throws(MultistreamError) {
            while let next = try step() { actions += next }
        } catch {
            actions += fail(error)
        }
        return actions
    }

    /// Handles one line; `nil` when there is none or the negotiation is over.
    private mutating func step() throws(MultistreamError) -> [MultistreamAction]? {
        switch state {
        case .idle, .finished:
            return nil
        case .awaitingHeader:
            guard let line = try Multistream.readLine(from: &buffer) else { return nil }
            guard line == Multistream.header else { throw .unexpectedHeader(line) }
            state = .awaitingAnswer
            return []
        case .awaitingAnswer:
            guard let line = try Multistream.readLine(from: &buffer) else { return nil }
            let current = protocols[proposed]
            if line == current {
                state = .finished
                defer { buffer = ByteBuffer() }
                return [.selected(protocolID: current, leftover: buffer.slice())]
            }
            guard line == Multistream.notAvailable else { throw .unexpectedAnswer(line, proposed: current) }
            proposed += 1
            guard proposed < protocols.count else { throw .noneSupported(protocols) }
            var proposal = ByteBuffer()
            Multistream.write(protocols[proposed], to: &proposal)
            return [.send(proposal)]
        }
    }

    private mutating func fail(_ error: MultistreamError) -> [MultistreamAction] {
        state = .finished
        buffer = ByteBuffer()
        return [.failed(error)]
    }
}
