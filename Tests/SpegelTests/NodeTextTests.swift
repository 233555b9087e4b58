import DebugAPI
import FoundationEssentials
import Testing

@testable import spegel

/// The text of `spegel status` and `spegel resolve`, from documents as a node sends them.
struct NodeTextTests {
    private func decode<Document: Decodable>(_ text: String) throws -> Document {
        try JSONDecoder().decode(Document.self, from: Data(text.utf8))
    }

    private static let status = """
        {"time": 1.5,
         "node": {"peer": "12D3KooA", "version": "0.1.0", "uptimeSeconds": 4711, "addresses": ["/ip4/10.0.0.1/tcp/5001"],
                  "registry": ":5000", "zone": "a", "ready": true, "state": "1 peers, 14 keys advertised",
                  "stalls": [], "leader": {"leads": false, "holder": "/ip4/10.0.0.2/tcp/5001", "transitions": 1}},
         "store": {"name": "containerd at /run/c.sock", "state": "followed", "reason": null, "contents": 12, "tags": 2,
                   "advertisedKeys": 14, "imagesWithoutLayers": 0},
         "peers": {"connected": 1, "list": [{"peer": "12D3KooB", "zone": null, "connected": true,
                   "roundTripMilliseconds": 0.4, "registries": ["10.0.0.2:5000"]}]},
         "images": {"count": 30, "list": [{"name": "docker.io/library/alpine:3", "digest": "sha256:0123456789abcdef",
                    "advertised": true}]},
         "transfers": {"count": 1, "list": [{"id": "a-1", "direction": "received", "kind": "blob",
                       "key": "sha256:aaaaaaaaaaaaaaaa", "repository": "library/alpine",
                       "from": "10.0.0.2:5000", "to": "10.0.0.1:40312", "bytes": 1048576, "size": null}]},
         "totals": {"hits": 4, "misses": 1, "local": 9, "cutShort": 0, "receivedBytes": 9437184, "sourceBytes": 512,
                    "sentBytes": 0,
                    "failedAttempts": 2, "corruptAnswers": 0},
         "failures": [{"text": "evil\\u001b[2J", "reason": "closed", "key": "sha256:bb", "repository": "library/alpine",
                       "address": "10.0.0.3:5000"}]}
        """

    @Test func statusIsText() throws {
        #expect(
            try StatusText(decode(Self.status)).lines == [
                "node      12D3KooA, spegel 0.1.0", "ready     yes: 1 peers, 14 keys advertised", "up        1h18m",
                "router    /ip4/10.0.0.1/tcp/5001", "registry  :5000", "zone      a",
                "leader    /ip4/10.0.0.2/tcp/5001",
                "store     containerd at /run/c.sock: followed, 12 pieces of content, 2 tags, 14 keys advertised",
                "saved     9.44 MB from peers in 4 requests (80 % of 5)",
                "upstream  512 B from upstream registries after 1 request that no peer answered",
                "sent      0 B to peers; 9 requests answered from this node's store",
                "errors    2 failed attempts, 0 digest mismatches, 0 truncated", "",
                "PEER      REGISTRY       CONNECTED  ROUND TRIP  ZONE",
                "12D3KooB  10.0.0.2:5000  yes        0.40 ms     -", "",
                "IMAGE                       DIGEST               ADVERTISED",
                "docker.io/library/alpine:3  sha256:0123456789ab  yes", "and 29 more; see --output json", "",
                "TRANSFER  CONTENT                   FROM           TO              DONE     OF",
                "received  blob sha256:aaaaaaaaaaaa  10.0.0.2:5000  10.0.0.1:40312  1.05 MB  -", "",
                "FAILURE   CONTENT    PEER", "evil?[2J  sha256:bb  10.0.0.3:5000",
            ]
        )
    }

    /// The members without which there is no status.
    private static let least =
        #"{"node":{"peer":"A","version":"9","registry":":5000","state":"alone"},"#
        + #""store":{"name":"layout","state":"followed"}}"#

    @Test func membersThatAreMissingAreLeftOut() throws {
        #expect(
            try StatusText(decode(Self.least)).lines == [
                "node      A, spegel 9", "ready     NO: alone", "up        0.00 ms", "router    ", "registry  :5000",
                "store     layout: followed, 0 pieces of content, 0 tags, 0 keys advertised",
                "saved     0 B from peers in 0 requests",
                "upstream  0 B from upstream registries after 0 requests that no peer answered",
                "sent      0 B to peers; 0 requests answered from this node's store",
                "errors    0 failed attempts, 0 digest mismatches, 0 truncated", "", "no peers", "", "no images",
            ]
        )
        let report = try ResolveText(decode(#"{"reference":"a","name":"docker.io/library/a:latest"}"#))
        #expect(!report.isComplete && report.lines.first == "docker.io/library/a:latest, looked up in 0.00 ms")
    }

    @Test func theStateOfANodeIsInItsLines() throws {
        var status: NodeStatus = try decode(Self.least)
        status.node.stalls = ["the router"]
        status.node.leader = NodeStatus.Leader(leads: false, holder: nil, transitions: 0, error: nil)
        status.store.reason = "refused"
        status.store.imagesWithoutLayers = 1
        var lines = StatusText(status).lines
        #expect(lines.contains("STALLED   the router") && lines.contains("leader    none"))
        #expect(lines.contains { $0.contains("followed (refused)") && $0.hasSuffix(", 1 IMAGE WITHOUT LAYERS") })
        status.node.leader?.leads = true
        lines = StatusText(status).lines
        #expect(lines.contains("leader    this node"))
    }

    @Test(arguments: [Int.min, -1, .max])
    func noNumberTraps(_ number: Int) throws {
        var status: NodeStatus = try decode(Self.status)
        status.node.uptimeSeconds = number
        status.store.imagesWithoutLayers = number
        status.images.count = number
        status.transfers.count = number
        status.transfers.list[0].bytes = Int64(number)
        status.transfers.list[0].size = Int64(number)
        (status.totals.hits, status.totals.misses) = (number, number)
        status.totals.receivedBytes = Int64(number)
        #expect(!StatusText(status).lines.isEmpty)
        var report = try answer(holders: "[]")
        report.contents[0].depth = number
        report.contents[0].size = Int64(number)
        report.contents[0].lookup.hops = number
        report.contents[1].lookup.requests[0].providers = number
        #expect(!ResolveText(report).lines.isEmpty)
    }

    private func answer(holders: String, error: String = "null") throws -> ImageReport {
        try decode(
            """
            {"reference": "alpine:3", "name": "docker.io/library/alpine:3", "milliseconds": 3.2, "error": \(error),
             "contents": [
              {"kind": "tag", "depth": 0, "key": "docker.io/library/alpine:3", "digest": "sha256:0123456789abcdef",
               "size": 9218, "heldHere": true, "lookup": {"outcome": "local", "milliseconds": 0.02, "hops": 0,
               "requests": []}, "holders": []},
              {"kind": "layer", "depth": 1, "key": "sha256:aaaaaaaaaaaaaaaa", "digest": "sha256:aaaaaaaaaaaaaaaa",
               "size": 3657216, "heldHere": false, "lookup": {"outcome": "found", "milliseconds": 1.4, "hops": 1,
               "requests": [{"peer": "12D3KooB", "startMilliseconds": 0.1, "milliseconds": 0.9,
               "outcome": "answered", "closerPeers": 3, "providers": 1}]}, "holders": \(holders)}]}
            """
        )
    }

    @Test func aLookupIsText() throws {
        let holders = #"[{"peer": "12D3KooC", "zone": "b", "registries": ["10.0.0.3:5000"]}]"#
        let text = try ResolveText(answer(holders: holders))
        #expect(text.isComplete)
        #expect(
            text.lines
                == [
                    "docker.io/library/alpine:3, looked up in 3.20 ms", "",
                    "CONTENT  DIGEST               SIZE     LOOKUP                   HELD BY",
                    "tag      sha256:0123456789ab  9.22 kB  known here in 0.02 ms    this node",
                    "  layer  sha256:aaaaaaaaaaaa  3.66 MB  found in 1.40 ms, 1 hop  10.0.0.3:5000 (b)", "",
                    "PEER      KEY                      START    DURATION  ANSWER",
                    "12D3KooB  sha256:aaaaaaaaaaaaaaaa  0.10 ms  0.90 ms   1 provider, 3 closer peers",
                ]
        )
        let none = try ResolveText(answer(holders: "[]"))
        #expect(!none.isComplete && none.lines.contains { $0.hasSuffix("  NO NODE") })
        let broken = try ResolveText(answer(holders: holders, error: #""too large""#))
        #expect(!broken.isComplete && broken.lines.last == "too large")
    }

    @Test(arguments: [
        ("<html>", "text that is not JSON, or a number out of range"),
        ("", "text that is not JSON, or a number out of range"), ("[1]", "JSON that is not an object"),
        ("{}", "a document without 'node'"), (#"{"node": 7}"#, "a value of 'node' that is not an object"),
        (#"{"node": null}"#, "null in 'node'"),
        (#"{"node": {"version": "1"}}"#, "a document without 'node.peer'"),
        (#"{"node": {"peer": 7}}"#, "a value of 'node.peer' that is not a string"),
        (
            #"{"node": {"peer": "a\u001b", "version": "1", "addresses": {}}}"#,
            "a value of 'node.addresses' that is not an array"
        ),
        (
            #"{"node": {"peer": "a", "version": "1", "uptimeSeconds": "1"}}"#,
            "a value of 'node.uptimeSeconds' that is not a number"
        ),
        (
            #"{"node": {"peer": "a", "version": "1", "addresses": ["a", true]}}"#,
            "a value of 'node.addresses[1]' that is not a string"
        ),
        (
            #"{"node": {"peer": "a", "version": "1", "uptimeSeconds": 1e300}}"#,
            "text that is not JSON, or a number out of range"
        ),
    ])
    func anUnexpectedDocumentIsDescribed(_ text: String, _ found: String) throws {
        let error = try #require(throws: DecodingError.self) { try decode(text) as NodeStatus }
        let document = UnexpectedDocument(error, expected: "the status of a node", address: "http://a:1/status")
        #expect(document.found == found)
        #expect(
            document.description
                == "expected the status of a node at http://a:1/status, found \(found). The node may run another "
                + "version: compare its 'version' with that of this command, \(Version.text), or read the answer with "
                + "'curl http://a:1/status'"
        )
    }

    @Test func controlCharactersBecomeQuestionMarks() {
        #expect(Plain.text("a\u{1B}[31m\nb\u{202E}c\u{9B}é") == "a?[31m?b?c?é")
        var table = TextTable("A", "B")
        #expect(table.lines.isEmpty)
        table.add("long\u{7}", "")
        #expect(table.lines == ["A      B", "long?  -"])
    }

    @Test func queryParametersAreEncoded() {
        #expect(NodeAPI.percentEncoded("docker.io/a:1@b c&é") == "docker.io/a%3A1%40b%20c%26%C3%A9")
    }
}
