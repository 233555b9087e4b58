import ContentStore
import DebugAPI
import Kademlia
import Multiformats
import NIOCore
import OCI
import Registry
import Routing

/// Lookups and test pulls of images.
extension NodeReport {
    /// The time for the lookup of one key.
    private static let lookupTimeout = Duration.seconds(1)

    /// Looks up the nodes that hold an image.
    ///
    /// - Parameter follows: whether to look up its manifests and layers too.
    func resolve(_ name: ImageName, as reference: String, follows: Bool) async -> ImageReport {
        let fetch = RegistryFetch(
            address: ownRegistry,
            authorization: authentication?.headerForPeers,
            group: group
        )
        let resolver = ImageResolver(
            lookUp: { await lookUp($0) },
            held: held,
            read: { name, target in
                let request = try Self.manifestRequest(name, target)
                let algorithm: Digest.Algorithm =
                    if case .digest(let digest) = request.target { digest.algorithm } else { .sha256 }
                let answer = try await fetch.get(
                    request,
                    algorithm: algorithm,
                    limit: Int64(Manifest.maximumSize),
                    keep: true
                )
                guard answer.status == 200 else {
                    throw ImageResolver.Unreadable(description: "expected status 200, got \(answer.status)")
                }
                if case .digest(let digest) = request.target, digest != answer.digest {
                    throw ImageResolver.Unreadable(description: "digest mismatch")
                }
                return (answer.body, answer.digest)
            }
        )
        return await resolver.resolve(name, as: reference, follows: follows)
    }

    /// Pulls an image through this node's registry and discards the bytes.
    func pull(_ reference: Reference, as text: String) async -> PullReport {
        let fetch = RegistryFetch(
            address: ownRegistry,
            authorization: authentication?.headerForPeers,
            group: group
        )
        let pull = TestPull(
            fetch: { request, algorithm, limit, keep in
                try await fetch.get(request, algorithm: algorithm, limit: limit, keep: keep)
            },
            isHeld: { held($0).isHeld },
            find: { key in
                await withTimeLimit(Self.lookupTimeout) {
                    for await _ in router.providers(of: key, limit: 1) { return true }
                    return false
                } ?? false
            }
        )
        return await pull.pull(reference, as: text)
    }

    /// The request of containerd for a manifest. A digest alone has no repository, so it gets one that does not exist.
    private static func manifestRequest(
        _ name: ImageName,
        _ target: DistributionRequest.Target?
    ) throws -> DistributionRequest {
        switch name {
        case .image(let reference):
            guard let target = target ?? reference.tag.map(DistributionRequest.Target.tag) else { break }
            return DistributionRequest(
                kind: .manifest,
                repository: reference.repository,
                target: target,
                registry: reference.registry
            )
        case .digest(let digest):
            guard let repository = RepositoryName("any/image") else { break }
            return DistributionRequest(
                kind: .manifest,
                repository: repository,
                target: target ?? .digest(digest),
                registry: nil
            )
        }
        throw ImageResolver.Unreadable(description: "the reference has neither a tag nor a digest")
    }

    private func held(_ key: String) -> ImageResolver.Held {
        let target = index.resolve(tagName: key)
        let digest = target?.digest ?? (try? Digest(key))
        let entry = digest.flatMap { index.entry($0) }
        return ImageResolver.Held(
            digest: digest,
            mediaType: entry?.mediaType ?? target?.mediaType,
            size: entry?.size,
            isHeld: entry != nil,
            isAdvertised: tracker.advertisedKeys.contains(key)
        )
    }

    private func lookUp(_ key: String) async -> (ImageReport.Lookup, [ImageReport.Holder]) {
        let start = ContinuousClock.now
        let summary = await withTimeLimit(Self.lookupTimeout) { await router.trace(key: key) } ?? nil
        guard let summary else {
            return (ImageReport.Lookup(outcome: "timedOut", duration: ContinuousClock.now - start), [])
        }
        let lookup = ImageReport.Lookup(
            outcome: "\(summary.outcome)",
            duration: summary.duration,
            hops: summary.hops,
            requests: (summary.trace?.requests ?? []).map(ImageReport.Request.init)
        )
        let holders = (summary.trace?.providers ?? []).map { peer in
            ImageReport.Holder(
                peerID: "\(peer.id)",
                zone: zones.zone(of: "\(peer.id)")?.text,
                addresses: peer.addresses.map { "\($0)" },
                registries: (router.provider(peer)?.addresses ?? []).map(\.authority)
            )
        }
        return (lookup, holders)
    }

    /// The address at which this node reaches its own registry.
    private var ownRegistry: SocketAddress? {
        guard let address = registry.address, let port = address.port else { return nil }
        let isUnspecified = address.ipAddress.flatMap { try? IPAddress($0) }?.isUnspecified ?? false
        return isUnspecified ? try? SocketAddress(ipAddress: "127.0.0.1", port: port) : address
    }
}

extension ImageReport.Request {
    fileprivate init(_ request: LookupTrace.Request) {
        var answer: (closerPeers: Int, providers: Int)?
        let outcome: Outcome
        switch request.outcome {
        case .answered(let closerPeers, let providers): (outcome, answer) = (.answered, (closerPeers, providers))
        case .failed: outcome = .failed
        case .unanswered: outcome = .unanswered
        }
        self.init(
            peerID: "\(request.peer.id)",
            addresses: request.peer.addresses.map { "\($0)" },
            start: request.start,
            duration: request.duration,
            outcome: outcome
        )
        closerPeers = answer?.closerPeers
        providers = answer?.providers
    }
}
