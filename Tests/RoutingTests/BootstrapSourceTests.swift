import Multiformats
import Testing

@testable import Routing

@Suite(.timeLimit(.minutes(1)))
struct BootstrapSourceTests {
    @Test func keepsStaticAddressesAndResolvesNames() async throws {
        let id = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
        let source = StaticBootstrap([
            try Multiaddr("/ip4/10.0.0.1/tcp/5001"), try Multiaddr("/dns4/localhost/tcp/7/p2p/\(id)"),
        ])
        let addresses = Set(try await source.addresses().map(\.description))
        #expect(addresses.contains("/ip4/10.0.0.1/tcp/5001"))
        #expect(addresses.contains("/ip4/127.0.0.1/tcp/7/p2p/\(id)"))
    }

    @Test func resolvesDomainWithRouterPort() async throws {
        let addresses = try await DNSBootstrap(domain: "localhost", port: 5001).addresses()
        #expect(addresses.contains(try Multiaddr("/ip4/127.0.0.1/tcp/5001")))
    }

    @Test func errorNamesMissingName() async throws {
        let error = try await #require(throws: DNSResolver.Failure.self) {
            try await DNSBootstrap(domain: "no-such-name.invalid", port: 1).addresses()
        }
        #expect(error.description.contains("no-such-name.invalid"))
    }

    @Test func cancellationEndsTheWait() async throws {
        let task = Task { try await DNSResolver.addresses(of: "no-such-name.invalid", deadline: .seconds(50)) }
        task.cancel()
        await #expect(throws: (any Error).self) { try await task.value }
    }
}
