import DebugPage
import OCI

/// Finds out who holds an image, its manifests and its layers. What it asks of a node comes in from outside.
struct ImageResolver: Sendable {
    /// The most pieces of content that are looked up.
    static let contentLimit = 512
    /// How many are looked up at a time.
    static let parallelism = 8
    /// How long all of it may take.
    static let timeLimit = Duration.seconds(10)

    /// What a node knows of a key by itself.
    struct Held: Sendable {
        var digest: Digest?
        var mediaType: MediaType?
        var size: Int64?
        var isHeld: Bool
        var isAdvertised: Bool
    }

    /// Why a document could not be read.
    struct Unreadable: Error, CustomStringConvertible {
        let description: String
    }

    /// Looks for the other nodes that hold a key.
    let lookUp: @Sendable (String) async -> ImageReport.Lookup
    /// What this node holds of a key.
    let held: @Sendable (String) -> Held
    /// Reads a manifest or an index, from the own store or from another node.
    let read: @Sendable (ImageName, DistributionRequest.Target?) async throws -> (bytes: [UInt8], digest: Digest)

    /// Follows an image down to its layers, as far as it goes.
    func resolve(_ name: ImageName, as reference: String) async -> ImageReport {
        let start = ContinuousClock.now
        var report = await follow(
            name,
            ImageReport(reference: reference, name: "\(name)"),
            until: start + Self.timeLimit
        )
        report.duration = ContinuousClock.now - start
        return report
    }

    private func follow(
        _ name: ImageName,
        _ started: ImageReport,
        until end: ContinuousClock.Instant
    ) async -> ImageReport {
        var report = started
        var target: DistributionRequest.Target?
        switch name {
        case .image(let reference):
            // The digest counts where there is one; the tag is then only a name.
            if let digest = reference.digest {
                target = .digest(digest)
            } else if let tagName = reference.tagName {
                report.contents.append(await content(.tag, depth: 0, key: tagName))
            }
        case .digest(let digest): target = .digest(digest)
        }
        let first = report.contents.count
        if case .digest(let digest) = target {
            report.contents.append(await content(.content, depth: 0, key: digest.text))
        }
        guard let top = report.contents.last, top.isHeldHere || !top.lookup.holders.isEmpty else { return report }
        if case .digest = name, let type = top.mediaType, !MediaType(type).isServedAsManifest { return report }

        var document: ImageDocument
        do {
            let read = try await read(name, target)
            document = try ImageDocument(read.bytes)
            let key = read.digest.text
            if target == nil {
                report.contents[first - 1].digest = key
                report.contents.append(await content(document.kind, depth: 0, key: key))
            }
            let place = report.contents.count - 1
            report.contents[place].kind = document.kind
            report.contents[place].mediaType = document.mediaType.text
            report.contents[place].size = Int64(read.bytes.count)
        } catch {
            // Of a digest alone nobody says whether it is a manifest.
            if case .digest = name { return report }
            report.error = "the manifest could not be read: \(error)"
            return report
        }
        if document.isIndex {
            let manifests = await contents(document, depth: 1, room: Self.contentLimit - report.contents.count, end)
            report.contents += manifests
            let within = { (content: ImageReport.Content) in content.isHeldHere || !content.lookup.holders.isEmpty }
            let own = document.ownChild.flatMap { own in manifests.first { $0.key == own.descriptor.digest.text } }
            guard let chosen = own.flatMap({ within($0) ? $0 : nil }) ?? manifests.first(where: within),
                let digest = try? Digest(chosen.key)
            else {
                report.error = "no node has any of the manifests that the index names"
                return report
            }
            do {
                document = try ImageDocument(try await read(name, .digest(digest)).bytes)
            } catch {
                report.error = "the manifest \(digest.text) could not be read: \(error)"
                return report
            }
        }
        let wanted = document.children.count
        let room = Self.contentLimit - report.contents.count
        report.contents += await contents(
            document,
            depth: report.contents.contains { $0.depth == 1 } ? 2 : 1,
            room: room,
            end
        )
        if wanted > room {
            report.error = "the image names more than \(Self.contentLimit) pieces of content"
        } else if ContinuousClock.now >= end {
            report.error = "not everything was looked up within \(Self.timeLimit.components.seconds) s"
        }
        return report
    }

    /// What a document names, some at a time, in its order.
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
        let kind: ImageReport.Kind = document.isIndex ? .manifest : child.isConfig ? .config : .layer
        var content = await content(kind, depth: depth, key: child.descriptor.digest.text)
        content.size = child.descriptor.size
        content.mediaType = child.descriptor.mediaType.text
        content.platform = child.platform
        return content
    }

    private func content(_ kind: ImageReport.Kind, depth: Int, key: String) async -> ImageReport.Content {
        let held = held(key)
        return ImageReport.Content(
            kind: kind,
            depth: depth,
            key: key,
            digest: held.digest?.text,
            mediaType: held.mediaType?.text,
            size: held.size,
            isHeldHere: held.isHeld,
            isAdvertised: held.isAdvertised,
            lookup: await lookUp(key)
        )
    }
}

extension ImageDocument {
    fileprivate var kind: ImageReport.Kind { isIndex ? .index : .manifest }
}
