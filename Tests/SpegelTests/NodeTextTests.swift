import FoundationEssentials
import StructuredText
import Testing

@testable import spegel

struct NodeTextTests {
    private func json(_ text: String) throws -> JSONValue {
        try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
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
         "transfers": {"count": 1, "list": [{"direction": "received", "kind": "blob", "key": "sha256:aaaaaaaaaaaaaaaa",
                       "from": "10.0.0.2:5000", "to": "10.0.0.1:40312", "bytes": 1048576, "size": null}]},
         "totals": {"hits": 4, "misses": 1, "local": 9, "cutShort": 0, "receivedBytes": 9437184, "sourceBytes": 512,
                    "sentBytes": 0,
                    "failedAttempts": 2, "corruptAnswers": 0},
         "failures": [{"text": "evil\\u001b[2J", "key": "sha256:bb", "address": "10.0.0.3:5000"}]}
        """

    @Test func theStateOfANodeIsATable() throws {
        #expect(
            try StatusText(json(Self.status)).lines == [
                "node      12D3KooA, spegel 0.1.0", "ready     yes: 1 peers, 14 keys advertised", "up        1h18m",
                "router    /ip4/10.0.0.1/tcp/5001", "registry  :5000", "zone      a",
                "leader    /ip4/10.0.0.2/tcp/5001",
                "store     containerd at /run/c.sock: followed, 12 pieces of content, 2 tags, 14 keys advertised",
                "saved     9.44 MB came from other nodes, 4 requests (80 % of 5), and not from a source",
                "source    512 B came from source registries; 1 requests that no node answered",
                "gave      0 B to other nodes; 9 requests answered from here",
                "trouble   2 failed attempts, 0 corrupt answers, 0 cut short", "",
                "PEER      REGISTRY       CONNECTED  ROUND TRIP  ZONE",
                "12D3KooB  10.0.0.2:5000  yes        0.40 ms     -", "",
                "IMAGE                       DIGEST               ADVERTISED",
                "docker.io/library/alpine:3  sha256:0123456789ab  yes", "and 29 more; --output json has them", "",
                "TRANSFER  WHAT                      FROM           TO              DONE     OF",
                "received  blob sha256:aaaaaaaaaaaa  10.0.0.2:5000  10.0.0.1:40312  1.05 MB  -", "",
                "FAILURE   WHAT       NODE", "evil?[2J  sha256:bb  10.0.0.3:5000",
            ]
        )
    }

    @Test(arguments: ["{}", "[]", "null", #"{"node":[],"peers":{"list":7},"totals":{"hits":-1,"misses":1e300}}"#])
    func whatIsMissingIsNoError(_ text: String) throws {
        #expect(try !StatusText(json(text)).lines.isEmpty)
        #expect(try !ResolveText(json(text)).isComplete)
    }

    private func answer(holders: String, error: String = "null") throws -> JSONValue {
        try json(
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

    @Test func whoHoldsAnImageIsATable() throws {
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
                    "ASKED     FOR                      AFTER    TOOK     ANSWER",
                    "12D3KooB  sha256:aaaaaaaaaaaaaaaa  0.10 ms  0.90 ms  1 holders, 3 closer nodes",
                ]
        )
        let none = try ResolveText(answer(holders: "[]"))
        #expect(!none.isComplete && none.lines.contains { $0.hasSuffix("  NOBODY") })
        let broken = try ResolveText(answer(holders: holders, error: #""too large""#))
        #expect(!broken.isComplete && broken.lines.last == "too large")
    }

    @Test func textFromElsewhereMovesNoCursor() {
        #expect(Plain.text("a\u{1B}[31m\nb\u{202E}c\u{9B}é") == "a?[31m?b?c?é")
        var table = TextTable("A", "B")
        #expect(table.lines.isEmpty)
        table.add("long\u{7}", "")
        #expect(table.lines == ["A      B", "long?  -"])
    }

    @Test func queriesAreEncoded() {
        #expect(NodeAPI.percentEncoded("docker.io/a:1@b c&é") == "docker.io/a%3A1%40b%20c%26%C3%A9")
    }
}
