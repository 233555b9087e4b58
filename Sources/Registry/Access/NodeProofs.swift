import Membership
import Synchronization

/// The proofs by which nodes know each other: what their requests for content carry, and their answers for tags.
///
/// The key is the cluster's. Without one it is derived from the password, if there is one.
final class NodeProofs: Sendable {
    /// A proof that was made or accepted, with its key.
    struct Proven: Sendable {
        let proof: RequestProof
        let key: ContentKey
    }

    private enum Secret: Sendable {
        case clusterKey(KeyRing)
        case password(BasicAuthentication)
    }

    private let secret: Secret
    private let ownID: String
    private let hasWarned = Atomic(false)

    /// `nil` where nodes have nothing to prove.
    init?(_ configuration: RegistryConfiguration) {
        ownID = configuration.peerID
        if let ring = configuration.membership {
            secret = .clusterKey(ring)
        } else if let authentication = configuration.authentication {
            secret = .password(authentication)
        } else {
            return nil
        }
    }

    /// Whether all that nodes ask for needs a proof. A password is as good as its proof.
    var isRequired: Bool {
        switch secret {
        case .clusterKey: true
        case .password: false
        }
    }

    /// Proves a request of this node.
    func prove(_ request: ProvenRequest) -> Proven {
        let key =
            switch secret {
            case .clusterKey(let ring): ring.keys.current.content
            case .password(let authentication): authentication.proofKeys.sent
            }
        let proof = RequestProof(
            of: request,
            by: ownID,
            with: key,
            time: Int64(WallClock.now),
            nonce: UInt64.random(in: .min ... .max)
        )
        return Proven(proof: proof, key: key)
    }

    /// Checks the proof of a peer's request to this node.
    ///
    /// - Parameters:
    ///   - text: the value of the header field.
    ///   - method: of the request.
    ///   - target: of the request.
    func check(
        _ text: String,
        method: String,
        target: String,
        _ fields: RequestFields
    ) throws(RequestProof.Refusal) -> Proven {
        guard let proof = RequestProof(headerValue: text) else { throw .missing }
        let request = ProvenRequest(
            method: method,
            target: target,
            range: fields.ranges.isEmpty ? nil : fields.ranges.joined(separator: ","),
            wantsCheck: fields.wantsCheck,
            holder: ownID
        )
        let keys =
            switch secret {
            case .clusterKey(let ring): ring.keys.all.map(\.content)
            case .password(let authentication): authentication.proofKeys.accepted
            }
        return Proven(proof: proof, key: try proof.key(of: request, among: keys, now: Int64(WallClock.now)))
    }

    /// Whether a peer's wish for the password is to be warned of, which it is once.
    func takeWarning() -> Bool {
        !isRequired && !hasWarned.exchange(true, ordering: .relaxed)
    }
}
