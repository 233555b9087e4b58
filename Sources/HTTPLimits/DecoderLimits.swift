import NIOHTTP1

/// The limits of HTTP/1.1 heads, the same for all servers and clients of a node.
package enum DecoderLimits {
    /// The longest field, its name included, in bytes.
    package static let fieldSize = 8 << 10
    /// The longest list of fields, in bytes.
    package static let headSize = 32 << 10
    /// The most fields of a head.
    package static let fieldCount = 100

    /// The limits in the form of NIO's decoders.
    package static var configuration: NIOHTTPDecoderLimitConfiguration {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = fieldSize
        limits.maxHeaderListSize = headSize
        limits.maxHeaderFieldCount = fieldCount
        return limits
    }

    /// A decoder of a server's requests.
    package static func makeRequestDecoder() -> HTTPRequestDecoder {
        HTTPRequestDecoder(
            leftOverBytesStrategy: .dropBytes,
            informationalResponseStrategy: .drop,
            limitConfiguration: configuration
        )
    }

    /// A decoder of a client's responses, which drops 100 Continue and the like.
    package static func makeResponseDecoder() -> HTTPResponseDecoder {
        HTTPResponseDecoder(
            leftOverBytesStrategy: .dropBytes,
            informationalResponseStrategy: .drop,
            limitConfiguration: configuration
        )
    }
}
