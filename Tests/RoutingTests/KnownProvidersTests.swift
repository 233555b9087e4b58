import Multiformats
import NIOCore
import Testing

@testable import Routing

@Suite struct KnownProvidersTests {
    private func info(_ number: UInt8, _ addresses: String...) throws -> PeerInfo {
        PeerInfo(
            id: PeerID(publicKeyProtobuf: [8, 1, 18, 32] + [UInt8](repeating: number, count: 32)),
            addresses: try addresses.map { try Multiaddr($0) }
        )
    }

    @Test func followsAddressesOfPeer() throws {
        let known = KnownProviders(registryPort: 5000)
        let first = try info(1, "/ip4/192.0.2.1/tcp/5001")
        let provider = try #require(known.provider(first))
        #expect(provider.peerID == "\(first.id)")
        #expect(provider.addresses.map(\.ipAddress) == ["192.0.2.1"])
        #expect(provider.addresses.map(\.port) == [5000])
        #expect(known.provider(first) == provider)
        let moved = try #require(known.provider(info(1, "/ip4/192.0.2.7/tcp/5001")))
        #expect(moved.addresses.map(\.ipAddress) == ["192.0.2.7"])
        #expect(known.count == 1)
    }

    @Test func ignoresPeerWithoutAddress() throws {
        let known = KnownProviders(registryPort: 5000)
        #expect(try known.provider(info(1)) == nil)
        #expect(known.count == 0)
    }

    @Test func isBounded() throws {
        let known = KnownProviders(registryPort: 5000, limit: 3)
        for number in UInt8(0)..<20 {
            #expect(try known.provider(info(number, "/ip4/192.0.2.1/tcp/5001")) != nil)
            #expect(known.count <= 3)
        }
    }
}
