import HTTPServer
import Testing

@testable import spegel

struct DebugHostsTests {
    private let hosts = DebugHosts(names: ["node1.lab"])

    @Test(arguments: [
        nil, "127.0.0.1", "127.0.0.1:9090", "192.0.2.7", "[::1]:9090", "[2001:db8::1]", "localhost", "LocalHost:9090",
        "localhost.", "node1.lab", "Node1.Lab:9090", "node1.lab.:80",
    ])
    func answersAddressesAndNamesOfTheNode(host: String?) async throws {
        #expect(hosts.allows(host))
        #expect(await status(host) == 200)
    }

    @Test(arguments: [
        "", ":9090", "evil.example", "evil.example:19090", "localhost.evil.example", "evil.example.localhost",
        "127.0.0.1.evil.example", "node1.lab.evil.example", "evilnode1.lab", "node2.lab", "[::1", "[evil.example]",
        "127.0.0.1@evil.example", "0x7f000001", "127.1", "localhost..", "::1",
    ])
    func refusesNamesOfOthers(host: String) async throws {
        #expect(!hosts.allows(host))
        #expect(await status(host) == 421)
    }

    private func status(_ host: String?) async -> Int? {
        let handlers = hosts.guarding(["/debug/api/status": { _ in .text("ok") }])
        let request = ServerRequest(path: "/debug/api/status", origin: RequestOrigin(host: host))
        return await handlers["/debug/api/status"]?(request).status
    }
}
