import DebugAPI
import FoundationEssentials
import StructuredText
import TestSupport
import Testing

/// The promises of docs/api.md about the documents.
struct DocumentTests {
    private func json(_ document: some Encodable) throws -> JSONValue {
        try JSONDecoder().decode(JSONValue.self, from: Data(JSONText.encode(document).utf8))
    }

    private func document<Document: Decodable>(_ type: Document.Type, _ json: JSONValue) throws -> Document {
        try JSONDecoder().decode(type, from: JSONEncoder().encode(json))
    }

    private func members(_ value: JSONValue?) -> Set<String> {
        guard case .object(let members) = value else { return [] }
        return Set(members.keys)
    }

    // MARK: Members

    @Test func statusHasItsMembers() throws {
        let status = try json(NodeStatus.example())
        #expect(
            members(status) == [
                "time", "node", "store", "router", "peers", "images", "registry", "transfers", "totals", "history",
                "failures",
            ]
        )
        #expect(
            members(status["node"]) == [
                "peer", "version", "uptimeSeconds", "addresses", "registry", "zone", "ready", "state", "stalls",
                "leader",
            ]
        )
        #expect(status["time"] == .number(1_700_000_000.5) && status["node"]?["uptimeSeconds"] == .integer(4711))
        #expect(members(status["node"]?["leader"]) == ["leads", "holder", "transitions", "error"])
        #expect(
            members(status["store"]) == [
                "name", "state", "reason", "awaySeconds", "outages", "contents", "tags", "advertisedKeys",
                "withheldContents", "imagesWithoutLayers",
            ]
        )
        #expect(status["store"]?["state"] == .string("away") && status["store"]?["awaySeconds"] == .integer(5))
        #expect(members(status["router"]) == ["ready", "state", "requests", "failedRequests", "handledMessages"])
        #expect(members(status["peers"]) == ["connected", "routingTable", "providerRecords", "list"])
        let peer = status["peers"]?["list"]?.items?.first
        #expect(
            members(peer) == [
                "peer", "zone", "agent", "connected", "connections", "inRoutingTable", "bucket", "idleMilliseconds",
                "roundTripMilliseconds", "addresses", "registries",
            ]
        )
        #expect(peer?["roundTripMilliseconds"] == .number(0.42) && peer?["zone"] == .null)
        #expect(
            members(peer?["connections"]?.items?.first) == ["address", "inbound", "security", "muxer", "ageSeconds"]
        )
        let image = status["images"]?["list"]?.items?.first
        #expect(members(image) == ["name", "digest", "mediaType", "advertised"])
        #expect(
            members(status["registry"]) == ["connections", "peerConnections", "requestsInFlight", "mirrorsInFlight"]
        )
    }

    @Test func statusHasTheMembersOfTheTraffic() throws {
        let status = try json(NodeStatus.example())
        let transfer = status["transfers"]?["list"]?.items?.first
        #expect(
            members(transfer) == [
                "id", "kind", "key", "registry", "repository", "direction", "from", "to", "bytes", "size",
                "milliseconds",
            ]
        )
        #expect(transfer?["direction"] == .string("received"))
        #expect(
            members(status["totals"]) == [
                "hits", "misses", "local", "cutShort", "aborted", "receivedBytes", "sourceBytes", "sentBytes",
                "localBytes", "failedAttempts", "hedges", "corruptAnswers",
            ]
        )
        let minute = status["history"]?["minutes"]?.items?.first
        #expect(members(minute) == ["time", "hits", "misses", "receivedBytes", "sourceBytes", "sentBytes"])
        #expect(status["history"]?["quarters"]?.items?.count == 96)
        #expect(
            members(status["failures"]?.items?.first) == [
                "time", "key", "registry", "repository", "peer", "address", "reason", "text",
            ]
        )
    }

    @Test func reportsHaveTheirMembers() throws {
        let image = try json(ImageReport.example())
        #expect(members(image) == ["reference", "name", "milliseconds", "error", "contents"])
        let content = image["contents"]?.items?[1]
        #expect(
            members(content) == [
                "kind", "depth", "key", "digest", "mediaType", "size", "platform", "heldHere", "advertised", "lookup",
                "holders",
            ]
        )
        #expect(members(content?["lookup"]) == ["outcome", "milliseconds", "hops", "requests"])
        for content in image["contents"]?.items ?? [] {
            #expect(
                members(content["lookup"]?["requests"]?.items?.first) == [
                    "peer", "addresses", "startMilliseconds", "milliseconds", "outcome", "closerPeers", "providers",
                ]
            )
        }
        #expect(members(content?["holders"]?.items?.first) == ["peer", "zone", "addresses", "registries"])

        let pull = try json(PullReport.example())
        #expect(members(pull) == ["reference", "name", "milliseconds", "bytes", "complete", "error", "steps"])
        #expect(pull["complete"] == .bool(true) && pull["bytes"] == .integer(30))
        #expect(
            members(pull["steps"]?.items?.first) == [
                "kind", "key", "size", "startMilliseconds", "lookupMilliseconds", "firstByteMilliseconds",
                "endMilliseconds", "bytes", "status", "source", "verified", "error",
            ]
        )
        #expect(try json(PullReport.example(text: "why"))["complete"] == .bool(false))
        #expect(try JSONText.encode(ErrorDocument("a/b \"c\"")) == #"{"error":"a/b \"c\""}"#)
    }

    // MARK: Reading

    private func roundTrip<Document: Codable & Equatable>(_ document: Document) throws {
        let text = try JSONText.encode(document)
        #expect(try JSONDecoder().decode(Document.self, from: Data(text.utf8)) == document)
        #expect(!text.contains("\n"))
    }

    @Test(arguments: [nil, "", "a \"b\"\n\u{9B}31m\u{2028}é"])
    func documentsAreReadAsTheyWereWritten(_ text: String?) throws {
        for count in [0, 1, 3] { try roundTrip(NodeStatus.example(count: count, text: text)) }
        try roundTrip(ImageReport.example(text: text))
        try roundTrip(PullReport.example(text: text))
        try roundTrip(ErrorDocument(text ?? "why"))
    }

    @Test func numbersKeepTheirPrecision() throws {
        var random = SeededGenerator()
        for _ in 0..<500 {
            var status = NodeStatus.example(count: 1)
            status.totals.hits = Int.random(in: .min ... .max, using: &random)
            status.totals.sentBytes = Int64.random(in: .min ... .max, using: &random)
            status.transfers.list[0].size = Int64.random(in: (.max - 9) ... .max, using: &random)
            status.transfers.list[0].duration = .microseconds(Int64.random(in: 0...1_000_000_000_000, using: &random))
            status.peers.list[0].idle = .microseconds(Int64.random(in: 0...10_000, using: &random))
            status.time = Double.random(in: 0...2e9, using: &random)
            let text = try JSONText.encode(status)
            #expect(
                try JSONDecoder().decode(NodeStatus.self, from: Data(text.utf8)) == status,
                "seed \(random.seed)"
            )
        }
    }

    /// Changes every object of a document.
    private func changed(_ value: JSONValue, _ change: ([String: JSONValue]) -> [String: JSONValue]) -> JSONValue {
        switch value {
        case .array(let items): .array(items.map { changed($0, change) })
        case .object(let members): .object(change(members.mapValues { changed($0, change) }))
        default: value
        }
    }

    @Test func membersOfANewerNodeAreIgnored() throws {
        func withMore(_ document: some Encodable) throws -> JSONValue {
            changed(try json(document)) {
                $0.merging(["newer": .object(["a": .array([.integer(1), .null])])]) { old, _ in old }
            }
        }
        #expect(try document(NodeStatus.self, withMore(NodeStatus.example())) == .example())
        #expect(try document(ImageReport.self, withMore(ImageReport.example())) == .example())
        #expect(try document(PullReport.self, withMore(PullReport.example())) == .example())
        #expect(try document(ErrorDocument.self, withMore(ErrorDocument("x"))) == ErrorDocument("x"))
    }

    @Test func wordsOfANewerNodeArePassedOn() throws {
        var status = NodeStatus.example()
        status.store.state = NodeStatus.Store.State(rawValue: "resting")
        status.transfers.list[0].direction = NodeStatus.Transfer.Direction(rawValue: "passed on")
        try roundTrip(status)
        var report = ImageReport.example()
        report.contents[0].kind = ImageReport.Kind(rawValue: "signature")
        report.contents[0].lookup.requests[0].outcome = ImageReport.Request.Outcome(rawValue: "redirected")
        try roundTrip(report)
    }

    @Test func membersThatAnOlderNodeDoesNotSendAreEmpty() throws {
        /// Without all members but texts and the objects that hold some.
        func withLess(_ document: some Encodable) throws -> JSONValue {
            changed(try json(document)) { members in
                members.filter { name, value in
                    switch value {
                    case .string: true
                    case .object:
                        !["totals", "router", "peers", "images", "registry", "transfers", "history"].contains(name)
                    default: false
                    }
                }
            }
        }
        let example = NodeStatus.example()
        let status = try document(NodeStatus.self, withLess(example))
        #expect(status.node.peerID == example.node.peerID && status.store.state == .away)
        #expect(status.time == 0 && !status.node.isReady && status.node.stalls == [] && status.store.contents == 0)
        #expect(status.peers == NodeStatus.Peers() && status.totals == NodeStatus.Totals() && status.failures == [])
        #expect(status.images.count == 0 && status.transfers.list == [] && status.node.uptimeSeconds == 0)
        let report = try document(ImageReport.self, withLess(ImageReport.example()))
        #expect(report.name == ImageReport.example().name && report.contents == [] && report.duration == .zero)
        let pull = try document(PullReport.self, withLess(PullReport.example()))
        #expect(pull.steps == [] && !pull.isComplete && pull.bytes == 0)

        // An older node, whose peers have fewer members.
        let older = try changed(json(example)) { members in
            members.filter { !["connections", "bucket", "idleMilliseconds", "zone", "closerPeers"].contains($0.key) }
        }
        let peer = try #require(try document(NodeStatus.self, older).peers.list.first)
        #expect(peer.connections == [] && peer.bucket == nil && peer.idle == nil && peer.zone == nil)
        #expect(peer.roundTripTime == .microseconds(420) && peer.isConnected)
    }

    @Test func otherDocumentsAreRefused() throws {
        let status = try json(NodeStatus.example())
        for name in ["node", "store"] {
            let other = changed(status) { $0.filter { $0.key != name } }
            #expect(throws: DecodingError.self, "\(name)") { try document(NodeStatus.self, other) }
        }
        for text in ["{}", "[]", "null", "7", #"{"node":[]}"#, #"{"error":"x"}"#, "<html>", ""] {
            let data = Data(text.utf8)
            #expect(throws: DecodingError.self, "\(text)") { try JSONDecoder().decode(NodeStatus.self, from: data) }
            #expect(throws: DecodingError.self, "\(text)") { try JSONDecoder().decode(ImageReport.self, from: data) }
        }
        let huge = changed(status) { $0.merging(["hits": .number(1e300)]) { _, new in new } }
        #expect(throws: DecodingError.self) { try document(NodeStatus.self, huge) }
    }

    @Test func noDurationIsTooLong() throws {
        let status = try json(NodeStatus.example())
        for value in [JSONValue.number(1e300), .integer(.max), .number(-1e300), .integer(.min)] {
            let other = changed(status) { $0.merging(["milliseconds": value]) { _, new in new } }
            let duration = try #require(try document(NodeStatus.self, other).transfers.list.first?.duration)
            #expect(duration >= .zero && duration <= .seconds(1_000_000_000))
        }
    }
}
