import HTTPLimits
import NIOCore
import NIOHTTP1

/// The one place through which connections between nodes are opened and accepted. What a node has to prove to another
/// one belongs here, before any HTTP.
enum NodeConnections {
    /// Prepares a connection that this node opens to a peer.
    ///
    /// - Parameter handler: sends requests, and receives the responses.
    static func prepareOutgoing(_ channel: any Channel, _ handler: any ChannelHandler) throws {
        try channel.pipeline.syncOperations.addHandlers([
            HTTPRequestEncoder(), ByteToMessageHandler(DecoderLimits.makeResponseDecoder()), handler,
        ])
    }

    /// Prepares a connection that this node has accepted, from a peer or from another client.
    ///
    /// - Parameter handler: receives requests, and answers them.
    static func prepareIncoming(_ channel: any Channel, _ handler: any ChannelHandler) throws {
        var encoding = HTTPResponseEncoder.Configuration()
        // Each head that is sent has the fields that frame its body.
        encoding.automaticallySetFramingHeaders = false
        try channel.pipeline.syncOperations.addHandlers([
            HTTPResponseEncoder(configuration: encoding), ByteToMessageHandler(DecoderLimits.makeRequestDecoder()),
            handler,
        ])
    }
}
