import NIOCore

/// Names and limits of multistream-select 1.0.0 (libp2p/specs, connections/README.md).
package enum Multistream {
    /// The first line of both sides.
    static let header = "/multistream/1.0.0"
    /// The listener's answer to an unsupported proposal.
    static let notAvailable = "na"
    /// A dialer's request for the names of all protocols.
    static let list = "ls"
    /// The maximum length of a line, including its newline. Go's implementation rejects longer lines, so that no longer
    /// name is in use. A negotiation never holds more than this in memory.
    static let maxLineLength = 1024
    /// The number of lines after the header that a listener answers before it gives up on a dialer. A dialer knows few
    /// protocols for one purpose.
    package static let maxAttempts = 32

    /// Appends `line` as a message: its length with the newline, its text, the newline.
    static func write(_ line: String, to buffer: inout ByteBuffer) {
        buffer.writeVarint(UInt64(line.utf8.count + 1))
        buffer.writeString(line)
        buffer.writeInteger(UInt8(ascii: "\n"))
    }

    /// Takes the next complete line, without its newline, from the front of `buffer`.
    static func readLine(from buffer: inout ByteBuffer) throws(MultistreamError) -> String? {
        let message: ByteBuffer?
        do {
            message = try buffer.readLengthPrefixed(maxLength: maxLineLength)
        } catch {
            throw .malformedLine(reason: error.description)
        }
        guard var line = message else { return nil }
        guard line.readableBytesView.last == UInt8(ascii: "\n") else {
            throw .malformedLine(reason: "expected a newline at the end of the line")
        }
        return line.readString(length: line.readableBytes - 1) ?? ""
    }
}

/// An action for the driver of a negotiation.
package enum MultistreamAction: Equatable {
    /// Send these bytes to the remote side.
    case send(ByteBuffer)
    /// Both sides agree. `leftover` has the bytes after the negotiation, the first of the protocol.
    case selected(protocolID: String, leftover: ByteBuffer)
    /// The negotiation failed.
    case failed(MultistreamError)
}

/// An error of a multistream-select negotiation.
public enum MultistreamError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The line is too long, has a malformed length prefix, or lacks its newline.
    case malformedLine(reason: String)
    /// The remote side does not speak multistream-select 1.0.0.
    case unexpectedHeader(String)
    /// The answer is neither `na` nor the proposed protocol.
    case unexpectedAnswer(String, proposed: String)
    /// The remote side rejected every proposal.
    case noneSupported([String])
    /// The remote side proposed a protocol that this side does not support, where it may make no other proposal.
    case unsupportedProposal(String)
    /// The remote side made too many unsupported proposals.
    case tooManyAttempts(Int)

    /// What was expected and what was found.
    public var description: String {
        switch self {
        case .malformedLine(let reason):
            "multistream-select: \(reason)"
        case .unexpectedHeader(let line):
            "multistream-select: expected '\(Multistream.header)', found '\(line.prefix(64))'"
        case .unexpectedAnswer(let line, let proposed):
            "multistream-select: expected '\(proposed)' or 'na', found '\(line.prefix(64))'"
        case .noneSupported(let protocols):
            "multistream-select: the peer supports none of \(protocols.joined(separator: ", "))"
        case .unsupportedProposal(let line):
            "multistream-select: the peer proposed '\(line.prefix(64))', which is not supported"
        case .tooManyAttempts(let count):
            "multistream-select: the peer made \(count) proposals, none of which is supported"
        }
    }
}
