import Benchmark
import Crypto
import FoundationEssentials
import LibP2P
import Logging
import Multiformats
import NIOCore
import NIOPosix

/// Handshakes, and the encryption after them.
func securityBenchmarks() {
    let pair = KeyPair()

    Benchmark("noise: handshake, both ends") { benchmark in
        for _ in benchmark.scaledIterations { blackHole(try handshake(pair, pair)) }
    }

    Benchmark("reference: the keys, agreements and signatures of a handshake, both ends") { benchmark in
        let identity = Curve25519.Signing.PrivateKey()
        let message = [UInt8](repeating: 1, count: 56)
        for _ in benchmark.scaledIterations {
            for _ in 0..<2 {
                let (own, ephemeral) = (Curve25519.KeyAgreement.PrivateKey(), Curve25519.KeyAgreement.PrivateKey())
                blackHole(try own.sharedSecretFromKeyAgreement(with: ephemeral.publicKey))
                blackHole(try ephemeral.sharedSecretFromKeyAgreement(with: own.publicKey))
                blackHole(try ephemeral.sharedSecretFromKeyAgreement(with: ephemeral.publicKey))
                let signature = try identity.signature(for: message)
                blackHole(identity.publicKey.isValidSignature(signature, for: message))
            }
        }
    }

    for security in SecurityProtocol.allCases {
        Benchmark("host: connect over loopback by \(security.protocolID), both ends") { benchmark in
            let (listener, dialer) = try await (Host.forBenchmark(security), Host.forBenchmark(security))
            let info = PeerInfo(id: listener.peerID, addresses: listener.listenAddresses)
            benchmark.startMeasurement()
            for _ in benchmark.scaledIterations {
                try await dialer.connect(to: info)
                dialer.disconnect(from: info.id)
                while listener.isConnected(to: dialer.peerID) || dialer.isConnected(to: info.id) { await Task.yield() }
            }
            benchmark.stopMeasurement()
            await dialer.shutdown()
            await listener.shutdown()
        }
    }

    let size = NoiseHandler.maximumPlaintextLength
    let plaintext = [UInt8](repeating: 0x61, count: size)

    Benchmark("noise: seal 64 KiB") { benchmark in
        var sending = try handshake(pair, pair).sending
        benchmark.startMeasurement()
        for _ in benchmark.scaledIterations {
            blackHole(try sending.encrypt(plaintext, authenticating: [UInt8]()))
        }
    }

    Benchmark("reference: ChaCha20-Poly1305, seal 64 KiB") { benchmark in
        let key = SymmetricKey(size: .bits256)
        benchmark.startMeasurement()
        for _ in benchmark.scaledIterations { blackHole(try ChaChaPoly.seal(plaintext, using: key)) }
    }
}

/// The initiator's session after a handshake in memory.
private func handshake(_ initiatorPair: KeyPair, _ responderPair: KeyPair) throws -> NoiseSession {
    let muxers = ["/yamux/1.0.0"]
    var initiator = NoiseHandshake(role: .initiator, keyPair: initiatorPair, expectedPeer: nil, muxers: muxers)
    var responder = NoiseHandshake(role: .responder, keyPair: responderPair, expectedPeer: nil, muxers: muxers)
    guard let first = try initiator.start(), case .reply(let second) = try responder.receive(first),
        case .complete(let third?, let session) = try initiator.receive(second),
        case .complete = try responder.receive(third)
    else { throw BenchmarkFailure("handshake incomplete") }
    return session
}

/// An error that invalidates a benchmark.
struct BenchmarkFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

extension Host {
    /// A host on a free loopback port with a single security protocol.
    static func forBenchmark(_ security: SecurityProtocol) async throws -> Host {
        var configuration = HostConfiguration(
            listenAddresses: [try Multiaddr("/ip4/127.0.0.1/tcp/0")],
            agentVersion: "benchmark"
        )
        configuration.securities = [security]
        let host = Host(
            configuration: configuration,
            keyPair: KeyPair(),
            group: MultiThreadedEventLoopGroup.singleton,
            logger: Logger(label: "benchmark") { _ in SwiftLogNoOpLogHandler() }
        )
        try await host.start()
        return host
    }
}
