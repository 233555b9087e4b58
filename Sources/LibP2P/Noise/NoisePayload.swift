import Crypto
internal import FoundationEssentials
import Multiformats
internal import SwiftProtobuf

/// The handshake payload of a node (libp2p/specs, noise, "The libp2p Handshake Payload").
package struct NoisePayload: Hashable, Sendable {
    /// Longer lists of muxers count as empty.
    static let maximumMuxerCount = 100
    private static let signaturePrefix = Array("noise-libp2p-static-key:".utf8)

    let publicKey: PublicKey
    let signature: [UInt8]
    let muxers: [String]

    /// The statement of the owner of `keyPair` that `staticKey` is its Noise key.
    package init(
        keyPair: KeyPair,
        staticKey: Curve25519.KeyAgreement.PublicKey,
        muxers: [String]
    ) throws(NoiseError) {
        publicKey = keyPair.publicKey
        self.muxers = muxers
        do {
            signature = try keyPair.sign(Self.signedBytes(staticKey))
        } catch {
            throw .localKeyFailure(reason: "\(error)")
        }
    }

    /// Parses the statement of the remote and verifies that it is about `staticKey`.
    package init(
        serialized: [UInt8],
        verifiedFor staticKey: Curve25519.KeyAgreement.PublicKey
    ) throws(NoiseError) {
        guard let message = try? ProtoNoiseHandshakePayload(serializedBytes: serialized) else {
            throw .malformedPayload(reason: "expected a protobuf of the payload")
        }
        guard message.hasIdentityKey else { throw .malformedPayload(reason: "no identity key") }
        guard message.hasIdentitySig else { throw .malformedPayload(reason: "no signature") }
        signature = Array(message.identitySig)
        let muxers = message.extensions.streamMuxers
        self.muxers = muxers.count <= Self.maximumMuxerCount ? muxers : []
        let isValid: Bool
        do {
            publicKey = try PublicKey(protobuf: message.identityKey)
            isValid = try publicKey.verify(signature: signature, of: Self.signedBytes(staticKey))
        } catch {
            throw .unusableIdentity(error)
        }
        guard isValid else { throw .invalidSignature }
    }

    package func serialized() throws(NoiseError) -> [UInt8] {
        var message = ProtoNoiseHandshakePayload()
        message.identityKey = Data(publicKey.protobuf)
        message.identitySig = Data(signature)
        if !muxers.isEmpty {
            message.extensions.streamMuxers = muxers
        }
        do {
            return try message.serializedBytes()
        } catch {
            throw .malformedPayload(reason: "\(error)")
        }
    }

    private static func signedBytes(_ key: Curve25519.KeyAgreement.PublicKey) -> [UInt8] {
        signaturePrefix + Array(key.rawRepresentation)
    }
}
