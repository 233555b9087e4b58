import FoundationEssentials
import Monitoring
import StructuredText
import Testing

@testable import DebugPage

/// What docs/api.md promises of the objects.
struct StatusJSONTests {
    private func read(_ json: JSON) throws -> JSONValue {
        try JSONDecoder().decode(JSONValue.self, from: Data(json.text.utf8))
    }

    private func members(_ value: JSONValue?) -> Set<String> {
        guard case .object(let members) = value else { return [] }
        return Set(members.keys)
    }

    @Test func theStatusHasItsMembers() throws {
        let status = try read(NodeStatus.example().json)
        #expect(
            members(status) == [
                "time", "node", "store", "peers", "images", "transfers", "totals", "history", "failures",
            ]
        )
        #expect(
            members(status["node"]) == [
                "peer", "version", "uptimeSeconds", "addresses", "registry", "zone", "ready", "state", "stalls",
                "leader",
            ]
        )
        #expect(members(status["node"]?["leader"]) == ["leads", "holder", "transitions", "error"])
        #expect(
            members(status["store"]) == [
                "name", "state", "reason", "awaySeconds", "outages", "contents", "tags", "advertisedKeys",
                "withheldContents", "imagesWithoutLayers",
            ]
        )
        #expect(status["store"]?["state"] == .string("away") && status["store"]?["awaySeconds"] == .integer(5))
        #expect(members(status["peers"]) == ["connected", "routingTable", "providerRecords", "list"])
        let peer = status["peers"]?["list"]?.items?.first
        #expect(
            members(peer) == [
                "peer", "zone", "agent", "connected", "inRoutingTable", "roundTripMilliseconds", "addresses",
                "registries",
            ]
        )
        #expect(peer?["roundTripMilliseconds"] == .number(0.42) && peer?["zone"] == .null)
        let image = status["images"]?["list"]?.items?.first
        #expect(members(image) == ["name", "digest", "mediaType", "advertised"])
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

    @Test func theReportsHaveTheirMembers() throws {
        let image = try read(ImageReport.example().json)
        #expect(members(image) == ["reference", "name", "milliseconds", "error", "contents"])
        let content = image["contents"]?.items?[1]
        #expect(
            members(content) == [
                "kind", "depth", "key", "digest", "mediaType", "size", "platform", "heldHere", "advertised", "lookup",
                "holders",
            ]
        )
        #expect(members(content?["lookup"]) == ["outcome", "milliseconds", "hops", "requests"])
        #expect(
            members(content?["lookup"]?["requests"]?.items?.first) == [
                "peer", "addresses", "startMilliseconds", "milliseconds", "outcome", "closerPeers", "providers",
            ]
        )
        #expect(members(content?["holders"]?.items?.first) == ["peer", "zone", "registries"])

        let pull = try read(PullReport.example().json)
        #expect(members(pull) == ["reference", "name", "milliseconds", "bytes", "complete", "error", "steps"])
        #expect(pull["complete"] == .bool(true) && pull["bytes"] == .integer(30))
        #expect(
            members(pull["steps"]?.items?.first) == [
                "kind", "key", "size", "startMilliseconds", "lookupMilliseconds", "firstByteMilliseconds",
                "endMilliseconds", "bytes", "status", "source", "verified", "error",
            ]
        )
        #expect(try read(PullReport.example(text: "why").json)["complete"] == .bool(false))
    }
}
