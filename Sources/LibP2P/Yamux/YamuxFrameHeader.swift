import NIOCore

/// The twelve bytes before each frame (hashicorp yamux spec.md, "Framing").
struct YamuxFrameHeader: Equatable {
    /// The type of a frame.
    enum Kind: UInt8 {
        case data = 0
        case windowUpdate = 1
        case ping = 2
        case goAway = 3
    }

    /// The flags for a stream's start and end. A ping uses `syn` for the request and `ack` for the answer.
    struct Flags: OptionSet, Equatable {
        let rawValue: UInt16
        static let syn = Flags(rawValue: 1)
        static let ack = Flags(rawValue: 2)
        static let fin = Flags(rawValue: 4)
        static let rst = Flags(rawValue: 8)
    }

    /// The size of an encoded header in bytes.
    static let size = 12
    /// The only version.
    static let version: UInt8 = 0

    var kind: Kind
    var flags: Flags
    /// 0 for the session itself; odd for streams that the dialer opened, even for the listener's.
    var streamID: UInt32
    /// Data: the bytes that follow. Window update: the increment. Ping: an opaque value. Go-away: the reason.
    var length: UInt32

    /// Takes a header from the front of `buffer`. Returns `nil` while it is incomplete.
    static func read(from buffer: inout ByteBuffer) throws(YamuxError) -> YamuxFrameHeader? {
        guard buffer.readableBytes >= size,
            let (version, kind, flags, streamID, length) = buffer.readMultipleIntegers(
                as: (UInt8, UInt8, UInt16, UInt32, UInt32).self
            )
        else { return nil }
        guard version == Self.version else { throw .protocolViolation("expected version 0, found \(version)") }
        guard let kind = Kind(rawValue: kind) else { throw .protocolViolation("unknown frame type \(kind)") }
        return YamuxFrameHeader(kind: kind, flags: Flags(rawValue: flags), streamID: streamID, length: length)
    }

    /// Appends the header to `buffer`.
    func write(to buffer: inout ByteBuffer) {
        buffer.writeMultipleIntegers(Self.version, kind.rawValue, flags.rawValue, streamID, length)
    }
}
