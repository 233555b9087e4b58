import HTTPLimits
import Mirroring
import NIOHTTP1
import OCI
import Routing

/// The reading and judging of heads alone, with no connection behind it: what the fuzzer and the benchmarks feed.
package enum HeadReading {
    /// A decoder of clients' requests, with the limits of a client's connection.
    package static func makeRequestDecoder() -> HTTPRequestDecoder { DecoderLimits.makeRequestDecoder() }

    /// A decoder of peers' answers, with the limits of a connection to a peer.
    package static func makeResponseDecoder() -> HTTPResponseDecoder { DecoderLimits.makeResponseDecoder() }

    /// Whether a request's head asks for content.
    package static func asksForContent(_ head: HTTPRequestHead) -> Bool {
        let fields = RequestFields(head.headers)
        let plan = RequestPlan(head, fields, configuration: RegistryConfiguration(host: "", port: 0))
        return if case .content = plan { true } else { false }
    }

    /// Whether a peer's answer is relayed to a client who asked for all of some content, or for a range of it.
    package static func isRelayed(
        _ head: HTTPResponseHead,
        kind: DistributionRequest.Kind,
        digest: Digest?,
        range: ByteRange?
    ) -> Bool {
        let head = PeerResponse(head)
        PeerZones().note(text: head.zone, of: "peer")
        let request = TransferRequest(isHead: false, kind: kind, digest: digest, range: range)
        let asked: RequestedPart = range.map { .range($0) } ?? .whole
        _ = head.unsatisfiableSize(asked: asked)
        guard let content = try? head.content(asked: asked, for: request).content else { return false }
        // What one peer has promised, another one is asked to continue.
        let middle = content.range.lowerBound + (content.range.upperBound - content.range.lowerBound) / 2
        if middle < content.range.upperBound {
            let rest = RequestedPart.rest(of: content, from: middle)
            _ = rest.headerValue
            _ = try? head.content(asked: rest, for: request)
        }
        return true
    }
}
