import NIOCore

/// Names and limits of multistream-select 1.0.0 (libp2p/specs, connections/README.md).
package enum Multistream {
    /// The line with which both sides begin.
    static let header = "/multistream/1.0.0"
    /// A listener's refusal of a proposal.
    static let notAvailable = "na"
    /// A dialer's request for the names of all protocols.
    static let list = "ls"
    /// The longest line, its newline included. Go's implementation refuses anything longer, so that no
    /// longer name can be in use, and a negotiation never holds more than this in memory.
    static let maxLineLength = 1024
    /// How many lines after the header a listener answers before it gives up on a dialer that never
    /// proposes what it has; dialers know of a handful of protocols for one purpose.
    package static let maxAttempts = 32

    /// Appends `line` as a message: its length with the newline, its text, the newline.
    static func write(_ line: String, to buffer: inout ByteBuffer) {
        buffer.writeVarint(UInt64(line.utf8.count + 1))
        buffer.writeString(line)
        buffer.writeInteger(UInt8(ascii: "\n"))
    }

    /// Takes the next complete line, without its newline, off the front of `buffer`.
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

/// What a negotiation asks of whoever drives it.
package enum MultistreamAction: Equatable {
    /// Send these bytes to the remote side.
    case send(ByteBuffer)
    /// Both sides agree. `leftover` is what came after the negotiation: the protocol's first bytes.
    case selected(protocolID: String, leftover: ByteBuffer)
    /// The negotiation is over without agreement.
    case failed(MultistreamError)
}

/// Why a multistream-select negotiation found no protocol.
public enum MultistreamError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A line that is too long, has a malformed length prefix, or does not end in a newline.
    case malformedLine(reason: String)
    /// The remote side does not speak multistream-select 1.0.0.
    case unexpectedHeader(String)
    /// The remote side answered with something that is neither `na` nor the proposed protocol.
    case unexpectedAnswer(String, proposed: String)
    /// The remote side refused every proposed protocol.
    case noneSupported([String])
    /// The remote side made too many proposals, none of which is supported here.
    case tooManyAttempts(Int)

    /// What was expected and what came, for people.
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
        case .tooManyAttempts(let count):
            "multistream-select: the peer made \(count) proposals, none of which is supported"
        }
    }
}
