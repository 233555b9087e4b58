import NIOCore

/// The listener's side of multistream-select: accepts the first supported proposal.
///
/// Bytes behind a proposal become leftover bytes, because a dialer that is sure of its protocol need not wait for the
/// answer.
package struct MultistreamListener {
    private enum State {
        case awaitingHeader
        case awaitingProposal
        case finished
    }

    private let supported: Set<String>
    private let maxAttempts: Int
    private let isStrict: Bool
    private var attempts = 0
    private var state = State.awaitingHeader
    private var buffer = ByteBuffer()

    /// - Parameters:
    ///   - supported: The protocols to accept.
    ///   - maxAttempts: The number of lines to answer before giving up.
    ///   - isStrict: Whether an unsupported proposal ends the negotiation.
    package init(supported: Set<String>, maxAttempts: Int = Multistream.maxAttempts, isStrict: Bool = false) {
        self.isStrict = isStrict
        self.supported = supported
        self.maxAttempts = maxAttempts
    }

    /// Begins the negotiation. Call it once, before ``receive(_:)``.
    ///
    /// The header is sent at once, because a dialer may wait for it before it proposes.
    package func start() -> [MultistreamAction] {
        var bytes = ByteBuffer()
        Multistream.write(Multistream.header, to: &bytes)
        return [.send(bytes)]
    }

    /// Receives bytes from the dialer. After the end of the negotiation the driver must pass on the bytes elsewhere.
    package mutating func receive(_ bytes: ByteBuffer) -> [MultistreamAction] {
        if case .finished = state { return [] }
        var bytes = bytes
        buffer.writeBuffer(&bytes)
        var actions: [MultistreamAction] = []
        do throws(MultistreamError) {
            while let next = try step() { actions += next }
        } catch {
            state = .finished
            buffer = ByteBuffer()
            actions.append(.failed(error))
        }
        return actions
    }

    /// Handles one line. Returns `nil` without a complete line or after the negotiation.
    private mutating func step() throws(MultistreamError) -> [MultistreamAction]? {
        switch state {
        case .finished:
            return nil
        case .awaitingHeader:
            guard let line = try Multistream.readLine(from: &buffer) else { return nil }
            guard line == Multistream.header else { throw .unexpectedHeader(line) }
            state = .awaitingProposal
            return []
        case .awaitingProposal:
            guard let line = try Multistream.readLine(from: &buffer) else { return nil }
            return try answer(line)
        }
    }

    private mutating func answer(_ line: String) throws(MultistreamError) -> [MultistreamAction] {
        attempts += 1
        var bytes = ByteBuffer()
        if supported.contains(line) {
            state = .finished
            defer { buffer = ByteBuffer() }
            Multistream.write(line, to: &bytes)
            return [.send(bytes), .selected(protocolID: line, leftover: buffer.slice())]
        }
        guard attempts < maxAttempts else { throw .tooManyAttempts(attempts) }
        if line == Multistream.list {
            writeList(to: &bytes)
        } else {
            Multistream.write(Multistream.notAvailable, to: &bytes)
            if isStrict {
                state = .finished
                buffer = ByteBuffer()
                return [.send(bytes), .failed(.unsupportedProposal(line))]
            }
        }
        return [.send(bytes)]
    }

    /// The answer to `ls`: one message that contains a message for each name, and a newline.
    private func writeList(to bytes: inout ByteBuffer) {
        var names = ByteBuffer()
        for name in supported.sorted() { Multistream.write(name, to: &names) }
        names.writeInteger(UInt8(ascii: "\n"))
        bytes.writeVarint(UInt64(names.readableBytes))
        bytes.writeBuffer(&names)
    }
}
