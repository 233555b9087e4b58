import NIOCore

/// The dialer's side of multistream-select: proposes protocols in order of preference.
///
/// Header and first proposal are sent together before the listener has sent anything, which saves a round trip. The
/// listener's header and answer may arrive in any segmentation.
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

    /// Begins the negotiation. Call it once, before ``receive(_:)``.
    package mutating func start() -> [MultistreamAction] {
        guard case .idle = state else { return [] }
        guard let first = protocols.first else { return fail(.noneSupported([])) }
        state = .awaitingHeader
        var bytes = ByteBuffer()
        Multistream.write(Multistream.header, to: &bytes)
        Multistream.write(first, to: &bytes)
        return [.send(bytes)]
    }

    /// Receives bytes from the listener. After the end of the negotiation the driver must pass on the bytes elsewhere.
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

    /// Handles one line. Returns `nil` without a complete line or after the negotiation.
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
