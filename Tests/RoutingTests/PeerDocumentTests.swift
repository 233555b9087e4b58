import HTTPClient
import Logging
import Multiformats
import NIOCore
import NIOPosix
import Testing

@testable import Routing

@Suite(.timeLimit(.minutes(1)))
struct PeerDocumentTests {
    static let id = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"

    @Test(arguments: [
        (#"[{"ID":"\#(id)","Addrs":["/ip4/10.0.0.1/tcp/5001"]}]"#, ["/ip4/10.0.0.1/tcp/5001/p2p/\(id)"]),
        (
            #"{"ID":"\#(id)","Addrs":["/ip4/10.0.0.1","/ip6/fd00::1/tcp/7"]}"#,
            ["/ip4/10.0.0.1/tcp/5001/p2p/\(id)", "/ip6/fd00::1/tcp/7/p2p/\(id)"]
        ),
        (
            #"[{"Addrs":["/ip4/10.0.0.1"]},{"ID":"","Addrs":["/ip4/10.0.0.2/tcp/7","nonsense",5]}]"#,
            ["/ip4/10.0.0.1/tcp/5001", "/ip4/10.0.0.2/tcp/7"]
        ),
        ("/ip4/10.0.0.1/tcp/5001/p2p/\(id)\n", ["/ip4/10.0.0.1/tcp/5001/p2p/\(id)"]), ("[]", []),
    ])
    func parsesAllForms(_ text: String, _ expected: [String]) throws {
        #expect(try PeerDocument.addresses(in: Array(text.utf8), port: 5001).map(\.description) == expected)
    }

    @Test(arguments: ["", "hello", "{}", "[1]", "<html>", #"{"Addrs":1}"#])
    func rejectsOtherDocuments(_ text: String) {
        #expect(throws: PeerDocument.Malformed.self) { try PeerDocument.addresses(in: Array(text.utf8), port: 1) }
    }

    @Test func limitsAddresses() throws {
        let many = #"{"Addrs":[\#((0..<3000).map { "\"/ip4/10.0.\($0 / 256).\($0 % 256)\"" }.joined(separator: ","))]}"#
        #expect(try PeerDocument.addresses(in: Array(many.utf8), port: 1).count == PeerDocument.limit)
    }

    @Test func fetchesServedDocument() async throws {
        let id = try PeerID(Self.id)
        let address = try Multiaddr("/ip4/10.0.0.1/tcp/5001")
        let group = MultiThreadedEventLoopGroup.singleton
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let server = IdentityServer(address: ("127.0.0.1", 0), group: group, logger: logger) { (id, [address]) }
        let port = UInt16(try #require(try await server.start()?.port))
        for path in ["/id", "/id?form=object"] {
            let url = HTTPURL(isSecure: false, host: "127.0.0.1", port: port, path: path)
            let found = try await HTTPBootstrap(url: url, port: 7, group: group).addresses()
            #expect(found == [address.withPeerID(id)])
        }
        let url = HTTPURL(isSecure: false, host: "127.0.0.1", port: port, path: "/other")
        let error = await #expect(throws: HTTPBootstrap.Failure.self) {
            _ = try await HTTPBootstrap(url: url, port: 7, group: group).addresses()
        }
        #expect(error?.description.contains("404") == true)
        await server.shutdown()
    }
}
