import Files
import HTTPClient
import HTTPServer
import Logging
import Multiformats
import NIOCore
import NIOPosix
import TestSupport
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
        for path in ["", "/", "/id", "//id", "/id?form=object", "/?form=object"] {
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

    @Test(arguments: [
        ("http://h:5002", ["/", "/id"]), ("http://h:5002/", ["/", "/id"]), ("http://h:5002/id", ["/id"]),
        ("http://h/id/", ["/id/"]), ("http://h/a/", ["/a/", "/a/id"]),
        ("http://h/a?b=c/id", ["/a?b=c/id", "/a/id?b=c/id"]),
        ("https://h?x", ["/?x", "/id?x"]), ("http://h/valid", ["/valid", "/valid/id"]),
    ])
    func asksForTheURLThenForIDBelowIt(_ text: String, _ paths: [String]) throws {
        #expect(HTTPBootstrap.paths(of: try #require(HTTPURL(text))) == paths)
    }

    /// The form that a client gets at a path: Spegel v0.7.4 reads one object, all others an array.
    @Test(arguments: [
        ("/id", ["User-Agent: Go-http-client/1.1", "Accept-Encoding: gzip"], false),
        ("//id", ["User-Agent: Go-http-client/1.1"], false),
        ("/id?form=array", ["User-Agent: Go-http-client/1.1"], true),
        ("/", ["User-Agent: Go-http-client/1.1"], true),
        ("/id", ["User-Agent: Go-http-client/1.1", "Accept: */*"], true),
        ("/id", ["User-Agent: curl/8.14.1", "Accept: */*"], true), ("/id", [], true),
    ])
    func servesTheFormThatTheClientReads(_ path: String, _ fields: [String], _ isArray: Bool) async throws {
        let id = try PeerID(Self.id)
        let address = try Multiaddr("/ip4/10.0.0.1/tcp/5001")
        let group = MultiThreadedEventLoopGroup.singleton
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let server = IdentityServer(address: ("127.0.0.1", 0), group: group, logger: logger) { (id, [address]) }
        let port = UInt16(try #require(try await server.start()?.port))
        let client = HTTPClient(
            url: HTTPURL(isSecure: false, host: "127.0.0.1", port: port),
            group: group,
            keepsConnection: false
        ) { TLSSettings() }
        let request = HTTPRequest(
            path: path,
            fields: fields.map { field in
                let colon = field.firstIndex(of: ":") ?? field.endIndex
                return (name: String(field[..<colon]), value: String(field[colon...].dropFirst(2)))
            }
        )
        let response = try await client.send(request, timeout: .seconds(5))
        #expect(response.status == 200)
        #expect(response.body.first == UInt8(ascii: isArray ? "[" : "{"))
        await server.shutdown()
    }

    /// A server as Spegel v0.7.4 has it: one object, at `/id` alone.
    @Test func joinsThroughAServerThatHasOneObjectAtID() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let object = #"{"ID":"\#(Self.id)","Addrs":["/ip4/10.0.0.1/tcp/5001"]}"#
        let server = HTTPServer(
            configuration: .init(host: "127.0.0.1", port: 0),
            routes: .init(reads: ["/id": { _ in ServerResponse(contentType: "text/plain", body: .text(object)) }]),
            group: group,
            logger: logger
        )
        let port = UInt16(try #require(try await server.start()?.port))
        for path in ["", "/", "/id"] {
            let url = HTTPURL(isSecure: false, host: "127.0.0.1", port: port, path: path)
            let found = try await HTTPBootstrap(url: url, port: 7, group: group).addresses()
            #expect(found.map(\.description) == ["/ip4/10.0.0.1/tcp/5001/p2p/\(Self.id)"])
        }
        await server.shutdown()
    }

    @Test func readsCertificatesFromAFolderAsFarAsTheyExist() throws {
        let folder = try TemporaryFolder()
        #expect(try HTTPBootstrap.TLSFiles(folder: folder.path).read().authorities == nil)
        try Files.replace(folder.path + "/ca.crt", with: Array("authority".utf8))
        var settings = try HTTPBootstrap.TLSFiles(folder: folder.path).read()
        #expect(settings.authorities == Array("authority".utf8) && settings.certificateChain == nil)
        try Files.replace(folder.path + "/tls.crt", with: Array("certificate".utf8))
        let error = #expect(throws: (any Error).self) { try HTTPBootstrap.TLSFiles(folder: folder.path).read() }
        #expect("\(try #require(error))".contains("tls.key"))
        try Files.replace(folder.path + "/tls.key", with: Array("key".utf8))
        settings = try HTTPBootstrap.TLSFiles(folder: folder.path).read()
        #expect(settings.certificateChain == Array("certificate".utf8) && settings.privateKey == Array("key".utf8))
    }
}
