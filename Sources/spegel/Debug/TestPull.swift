import DebugAPI
import OCI
import Time

/// A measured pull of an image through this node's registry, as containerd would pull it. The bytes are discarded.
struct TestPull: Sendable {
    /// The most layers at the same time, as containerd's default.
    static let parallelism = 3
    /// The most bytes of an image.
    static let sizeLimit: Int64 = 2 << 30
    /// The most layers of an image.
    static let layerLimit = 256
    /// The time for the whole pull.
    static let timeLimit = Duration.seconds(25)

    /// Fetches from the node's registry: the request, the digest algorithm, the most bytes, whether to keep the bytes.
    let fetch: @Sendable (DistributionRequest, Digest.Algorithm, Int64, Bool) async throws -> RegistryFetch.Answer
    /// Returns whether this node holds a key.
    let isHeld: @Sendable (String) -> Bool
    /// Finds the first other node that holds a key. Returns whether there is one.
    let find: @Sendable (String) async -> Bool

    /// Pulls an image.
    func pull(_ reference: Reference, as text: String) async -> PullReport {
        let start = MonotonicTime.now
        let log = PullLog()
        let problem = await withTimeLimit(Self.timeLimit) { await run(reference, start, log) }
        let error: String? =
            switch problem {
            case nil: "the test pull timed out after \(Self.timeLimit.components.seconds) s"
            case "": nil
            case let problem: problem
            }
        // Steps that the time limit has cancelled are in the report as far as they came.
        return PullReport(
            reference: text,
            name: "\(reference)",
            duration: MonotonicTime.now - start,
            error: error,
            steps: log.steps
        )
    }

    /// - Returns: the error; empty for a complete pull.
    private func run(_ reference: Reference, _ start: MonotonicTime, _ log: PullLog) async -> String {
        let target: DistributionRequest.Target
        if let digest = reference.digest {
            target = .digest(digest)
        } else if let tag = reference.tag {
            target = .tag(tag)
        } else {
            return "the reference has neither a tag nor a digest"
        }
        do {
            let kind: ImageReport.Kind = reference.digest == nil ? .tag : .manifest
            var document = try ImageDocument(try await step(kind, .manifest, target, nil, reference, start, log))
            for _ in 0..<ImageResolver.maximumIndexes where document.isIndex {
                guard let own = document.ownChild else {
                    return "the image has no manifest for \(ImageDocument.ownPlatform)"
                }
                let digest = DistributionRequest.Target.digest(own.descriptor.digest)
                let size = own.descriptor.size
                document = try ImageDocument(try await step(.manifest, .manifest, digest, size, reference, start, log))
            }
            guard !document.isIndex else {
                return "the image has more than \(ImageResolver.maximumIndexes) indexes in one another"
            }
            guard document.children.count <= Self.layerLimit else {
                return "the image has more than \(Self.layerLimit) layers"
            }
            let size = document.children.reduce(Int64(0)) {
                $0.addingReportingOverflow($1.descriptor.size).partialValue
            }
            guard (0...Self.sizeLimit).contains(size) else {
                return "the image is larger than \(Self.sizeLimit >> 30) GiB, the limit of a test pull"
            }
            return await layers(document, reference, start, log)
        } catch {
            return "\(error)"
        }
    }

    private func layers(
        _ document: ImageDocument,
        _ reference: Reference,
        _ start: MonotonicTime,
        _ log: PullLog
    ) async -> String {
        await withTaskGroup(of: String.self) { group in
            var problem = ""
            for (index, child) in document.children.enumerated() {
                if index >= Self.parallelism, let failure = await group.next(), !failure.isEmpty { problem = failure }
                guard problem.isEmpty else { break }
                group.addTask {
                    // Runtimes get it from its URLs.
                    let key = child.descriptor.digest.text
                    if child.descriptor.mediaType.isForeignLayer, !isHeld(key), await !find(key) { return "" }
                    do {
                        let kind: ImageReport.Kind = child.isConfig ? .config : .layer
                        let target = DistributionRequest.Target.digest(child.descriptor.digest)
                        _ = try await step(kind, .blob, target, child.descriptor.size, reference, start, log)
                        return ""
                    } catch {
                        return "\(error)"
                    }
                }
            }
            for await failure in group where !failure.isEmpty { problem = failure }
            return problem
        }
    }

    /// Finds a provider, fetches the content and verifies it.
    ///
    /// - Returns: the bytes of a manifest; empty for a blob.
    private func step(
        _ name: ImageReport.Kind,
        _ kind: DistributionRequest.Kind,
        _ target: DistributionRequest.Target,
        _ size: Int64?,
        _ reference: Reference,
        _ start: MonotonicTime,
        _ log: PullLog
    ) async throws -> [UInt8] {
        let digest: Digest? = if case .digest(let digest) = target { digest } else { nil }
        let key = digest?.text ?? reference.tagName ?? ""
        var step = PullReport.Step(kind: name, key: key, size: size, start: MonotonicTime.now - start)
        let index = log.begin(step)
        defer {
            step.end = MonotonicTime.now - start
            log.update(index, step)
        }
        let isHeld = isHeld(key)
        if !isHeld, await find(key) { step.lookup = MonotonicTime.now - start }
        let request = DistributionRequest(
            kind: kind,
            repository: reference.repository,
            target: target,
            registry: reference.registry
        )
        let limit = kind == .manifest ? Int64(Manifest.maximumSize) : min(size ?? 0, Self.sizeLimit)
        do {
            let answer = try await fetch(request, digest?.algorithm ?? .sha256, limit, kind == .manifest)
            step.status = answer.status
            step.bytes = answer.size
            step.firstByte = answer.firstByte.map { $0 - start }
            guard answer.status == 200 else {
                throw RegistryFetch.Failed(
                    description: answer.status == 404
                        ? "no node has it (404): containerd would pull it from the upstream registry"
                        : "expected status 200, got \(answer.status)"
                )
            }
            step.source = answer.source ?? PullReport.here
            if let digest, answer.digest != digest { throw RegistryFetch.Failed(description: "digest mismatch") }
            if let size, answer.size != size { throw RegistryFetch.Failed(description: "size mismatch") }
            step.isVerified = digest != nil
            return answer.body
        } catch {
            step.error = "\(error)"
            throw error
        }
    }
}
