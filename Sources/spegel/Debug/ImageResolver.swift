import DebugAPI
import OCI

/// A search for the nodes that hold an image, its manifests and its layers. Access to the node is passed in.
struct ImageResolver: Sendable {
    /// The most contents of a report.
    static let contentLimit = 512
    /// The most lookups at the same time.
    static let parallelism = 8
    /// The most indexes between an image and its manifest.
    static let maximumIndexes = 4
    /// The time for all lookups.
    static let timeLimit = Duration.seconds(10)

    /// What this node knows of a key without asking others.
    struct Held: Sendable {
        var digest: Digest?
        var mediaType: MediaType?
        var size: Int64?
        var isHeld: Bool
        var isAdvertised: Bool
    }

    /// A document that could not be read.
    struct Unreadable: Error, CustomStringConvertible {
        let description: String
    }

    /// Looks up the other nodes that hold a key.
    let lookUp: @Sendable (String) async -> (ImageReport.Lookup, [ImageReport.Holder])
    /// Returns what this node knows of a key.
    let held: @Sendable (String) -> Held
    /// Reads a manifest or an index from this node's store or from a peer.
    let read: @Sendable (ImageName, DistributionRequest.Target?) async throws -> (bytes: [UInt8], digest: Digest)

    /// Looks up an image.
    ///
    /// - Parameter follows: whether to read its documents, and to look up what they refer to.
    func resolve(_ name: ImageName, as reference: String, follows: Bool = true) async -> ImageReport {
        let start = ContinuousClock.now
        var report = ImageReport(reference: reference, name: "\(name)")
        report.contents.append(await top(name))
        if follows { report = await follow(name, report, until: start + Self.timeLimit) }
        report.duration = ContinuousClock.now - start
        return report
    }

    /// The tag or digest itself.
    private func top(_ name: ImageName) async -> ImageReport.Content {
        if let digest = name.digest { return await content(.content, depth: 0, key: digest.text) }
        return await content(.tag, depth: 0, key: "\(name)")
    }

    private func follow(
        _ name: ImageName,
        _ started: ImageReport,
        until end: ContinuousClock.Instant
    ) async -> ImageReport {
        var report = started
        guard let top = report.contents.last, top.isAnywhere else { return report }
        if case .digest = name, let type = top.mediaType, !MediaType(type).isServedAsManifest { return report }

        var document: ImageDocument
        do {
            let read = try await read(name, name.digest.map { .digest($0) })
            document = try ImageDocument(read.bytes)
            let key = read.digest.text
            if top.kind == .tag {
                report.contents[0].digest = key
                report.contents.append(await content(document.kind, depth: 0, key: key))
            }
            let last = report.contents.count - 1
            report.contents[last].kind = document.kind
            report.contents[last].mediaType = document.mediaType.text
            report.contents[last].size = Int64(read.bytes.count)
        } catch {
            // A digest alone does not say whether it is that of a manifest.
            if case .digest = name { return report }
            report.error = "cannot read the manifest: \(error)"
            return report
        }
        var depth = 0
        while document.isIndex {
            depth += 1
            guard depth <= Self.maximumIndexes else {
                report.error = "the image has more than \(Self.maximumIndexes) indexes in one another"
                return report
            }
            let manifests = await contents(document, depth: depth, room: Self.contentLimit - report.contents.count, end)
            report.contents += manifests
            let own = document.ownChild.flatMap { own in manifests.first { $0.key == own.descriptor.digest.text } }
            guard let chosen = own.flatMap({ $0.isAnywhere ? $0 : nil }) ?? manifests.first(where: \.isAnywhere),
                let digest = try? Digest(chosen.key)
            else {
                report.error = "no node has any of the manifests of the index"
                return report
            }
            do {
                document = try ImageDocument(try await read(name, .digest(digest)).bytes)
            } catch {
                report.error = "cannot read the manifest \(digest.text): \(error)"
                return report
            }
        }
        let count = document.children.count
        let room = Self.contentLimit - report.contents.count
        report.contents += await contents(
            document,
            depth: depth + 1,
            room: room,
            end
        )
        if count > room {
            report.error = "the image has more than \(Self.contentLimit) pieces of content"
        } else if ContinuousClock.now >= end {
            report.error = "the lookups timed out after \(Self.timeLimit.components.seconds) s"
        }
        return report
    }

    /// The contents that a document refers to, in its order.
    private func contents(
        _ document: ImageDocument,
        depth: Int,
        room: Int,
        _ end: ContinuousClock.Instant
    ) async -> [ImageReport.Content] {
        let children = Array(document.children.prefix(max(0, room)))
        return await withTaskGroup(of: (Int, ImageReport.Content).self) { group in
            var found: [Int: ImageReport.Content] = [:]
            for (index, child) in children.enumerated() {
                if index >= Self.parallelism, let done = await group.next() { found[done.0] = done.1 }
                guard ContinuousClock.now < end else { break }
                group.addTask { (index, await content(child, in: document, depth: depth)) }
            }
            for await done in group { found[done.0] = done.1 }
            return found.sorted { $0.key < $1.key }.map(\.value)
        }
    }

    private func content(_ child: ImageDocument.Child, in document: ImageDocument, depth: Int) async
        -> ImageReport.Content
    {
        let isIndex = child.descriptor.mediaType.isIndex
        let kind: ImageReport.Kind =
            document.isIndex ? (isIndex ? .index : .manifest) : child.isConfig ? .config : .layer
        var content = await content(kind, depth: depth, key: child.descriptor.digest.text)
        content.size = child.descriptor.size
        content.mediaType = child.descriptor.mediaType.text
        content.platform = child.platform
        return content
    }

    private func content(_ kind: ImageReport.Kind, depth: Int, key: String) async -> ImageReport.Content {
        let held = held(key)
        let (lookup, holders) = await lookUp(key)
        return ImageReport.Content(
            kind: kind,
            depth: depth,
            key: key,
            digest: held.digest?.text,
            mediaType: held.mediaType?.text,
            size: held.size,
            isHeldHere: held.isHeld,
            isAdvertised: held.isAdvertised,
            lookup: lookup,
            holders: holders
        )
    }
}

extension ImageReport.Content {
    /// Whether any node holds the content.
    fileprivate var isAnywhere: Bool { isHeldHere || !holders.isEmpty }
}

extension ImageName {
    /// The digest, which counts more than a tag beside it.
    fileprivate var digest: Digest? {
        switch self {
        case .image(let reference): reference.digest
        case .digest(let digest): digest
        }
    }
}

extension ImageDocument {
    fileprivate var kind: ImageReport.Kind { isIndex ? .index : .manifest }
}
