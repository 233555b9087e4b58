import ContentStore
import Logging
import OCI
import Synchronization
import Time

/// The handling of single changes without a full reading.
extension StateTracker {
    /// The number of concurrent requests about images or content.
    private static let width = 8

    /// The combined effect of several changes.
    private struct Edit {
        var added: Set<String> = []
        var removed: Set<String> = []
        /// Content to withhold, unless it is already shared.
        var withheld: Set<Digest> = []
        /// Shared content by the registry of the image that references it.
        var registries: [Digest: RegistryName] = [:]
    }

    private struct Answer<Subject: Sendable, Value: Sendable>: Sendable {
        var subject: Subject
        var outcome: Outcome<Value>
    }

    /// Handles changes. Each request to the store has a deadline, so that one that hangs does not delay the others.
    ///
    /// - Returns: whether all requests succeeded.
    func apply(_ changes: Set<StoreChange>, pending: PendingChanges) async -> Bool {
        var names: [String] = []
        var digests: [Digest] = []
        for change in changes {
            switch change {
            // A change says only where to look: a deleted image may exist again.
            case .imageUpdated(let name), .imageDeleted(let name): names.append(name)
            case .contentAdded(let digest), .contentRemoved(let digest): digests.append(digest)
            case .unknown: continue
            }
        }
        var edit = Edit()
        let areContentsClear = await apply(contents: Array(Set(digests)), changes, to: &edit, pending: pending)
        let areImagesClear = await apply(images: Array(Set(names)), to: &edit)
        await commit(edit)
        return areContentsClear && areImagesClear
    }

    private func commit(_ edit: Edit) async {
        let (newly, gone) = state.withLock { state in
            for digest in edit.withheld where !state.advertised.contains(digest.text) { state.withheld.insert(digest) }
            let newly = edit.added.subtracting(state.advertised)
            let gone = edit.removed.subtracting(edit.added).intersection(state.advertised)
            for (digest, registry) in edit.registries where newly.contains(digest.text) {
                state.contentsByRegistry[registry, default: 0] += 1
            }
            state.advertised.formUnion(newly)
            state.advertised.subtract(gone)
            return (newly, gone)
        }
        index.share(newly, andWithhold: gone)
        if !gone.isEmpty { await router.withdraw(gone.sorted()) }
        if !newly.isEmpty { await router.advertise(newly.sorted()) }
    }

    // MARK: Content

    private func apply(
        contents digests: [Digest],
        _ changes: Set<StoreChange>,
        to edit: inout Edit,
        pending: PendingChanges
    ) async -> Bool {
        var isClear = true
        for answer in await ask(digests) {
            let digest = answer.subject
            switch answer.outcome {
            case .failed(let error):
                isClear = false
                reportUnasked(digest.text, error)
            case .absent where changes.contains(.contentAdded(digest)) && index.entry(digest) == nil:
                // A file appears shortly before containerd knows of it, or belongs to another namespace.
                pending.recheck(digest, now: .now)
            case .absent:
                pending.decided(digest)
                index.remove(digest)
                state.withLock { _ = $0.withheld.remove(digest) }
                edit.removed.insert(digest.text)
            case .found(let content):
                if index.entry(digest) == nil { store.noteCommitted(content) }
                index.insert(digest, size: content.size, mediaType: nil)
                let source = content.sources.first(where: filter.allows)
                guard source != nil || filter.sharesAllContent else {
                    edit.withheld.insert(digest)
                    // containerd sets the source labels some time after the commit.
                    if content.sources.isEmpty {
                        pending.recheck(digest, now: .now)
                    } else {
                        pending.decided(digest)
                    }
                    continue
                }
                pending.decided(digest)
                share(digest, of: source?.registry, in: &edit)
            }
        }
        return isClear
    }

    private func share(_ digest: Digest, of registry: RegistryName?, in edit: inout Edit) {
        edit.added.insert(digest.text)
        edit.withheld.remove(digest)
        if let registry {
            edit.registries[digest] = registry
            onRegistries([registry.text])
        }
        state.withLock { _ = $0.withheld.remove(digest) }
    }

    private func ask(_ digests: [Digest]) async -> [Answer<Digest, StoredContent>] {
        await concurrently(digests, width: Self.width) { [store, configuration] digest in
            let outcome = await Outcome.of(within: configuration.itemDeadline) { try await store.content(digest) }
            return Answer(subject: digest, outcome: outcome)
        }
    }

    // MARK: Images

    private func apply(images names: [String], to edit: inout Edit) async -> Bool {
        var isClear = true
        let answers = await concurrently(names, width: Self.width) { [store, configuration] name in
            let outcome = await Outcome.of(within: configuration.itemDeadline) { try await store.resolve(name) }
            return Answer(subject: name, outcome: outcome)
        }
        // Names that are references come before other names, in any order of arrival.
        let verdicts = answers.map { ($0, filter.verdict(ofImage: $0.subject)) }
        for (answer, verdict) in verdicts.filter({ $0.1 != .unsaid }) + verdicts.filter({ $0.1 == .unsaid }) {
            switch answer.outcome {
            case .failed(let error):
                isClear = false
                reportUnasked(answer.subject, error)
            case .absent:
                state.withLock { _ = $0.images.remove(answer.subject) }
                guard let tagName = filter.tagName(ofImage: answer.subject) else { continue }
                index.setTag(tagName, to: nil)
                edit.removed.insert(tagName)
            case .found(let target):
                if await !imageFound(answer.subject, target, verdict, &edit) { isClear = false }
            }
        }
        return isClear
    }

    private func imageFound(
        _ name: String,
        _ target: Descriptor,
        _ verdict: ContentFilter.Verdict,
        _ edit: inout Edit
    ) async -> Bool {
        guard let (found, isServable, isClear) = await contents(of: target) else { return false }
        let registry = verdict == .shared ? (try? Reference(name))?.registry : nil
        if verdict == .shared { state.withLock { _ = $0.images.insert(name) } }
        for (digest, entry) in found {
            index.insert(digest, size: entry.size, mediaType: entry.mediaType)
            switch verdict {
            case .shared: share(digest, of: registry, in: &edit)
            case .withheld: if !edit.added.contains(digest.text) { edit.withheld.insert(digest) }
            case .unsaid:
                let isWithheld = edit.withheld.contains(digest) || state.withLock { $0.withheld.contains(digest) }
                if filter.sharesAllContent || !isWithheld { edit.added.insert(digest.text) }
            }
        }
        if let tagName = filter.tagName(ofImage: name), found[target.digest] != nil, isServable {
            index.setTag(tagName, to: target)
            edit.added.insert(tagName)
        }
        return isClear
    }

    /// The held content of an image, and whether its root can be served; `nil` when the store did not answer.
    private func contents(
        of root: Descriptor
    ) async -> (found: [Digest: ContentIndex.Entry], isServable: Bool, isClear: Bool)? {
        var isClear = true
        let limits = ContentGraph.Limits(document: configuration.itemDeadline, all: configuration.documentsDeadline)
        // The content that it references is requested afterwards, all at once.
        let graph = try? await ContentGraph.read(store, roots: [root], limits: limits, held: { $0 }) { digest, error in
            isClear = false
            reportUnreadable(digest, error)
        }
        guard let graph else { return nil }
        var visited: Set<Digest> = []
        var types: [Digest: MediaType] = [:]
        graph.walk(from: root, visited: &visited) { digest, mediaType in types[digest] = mediaType }
        var found: [Digest: ContentIndex.Entry] = [:]
        var unknown: [Digest] = []
        for (digest, mediaType) in types {
            if let entry = index.entry(digest) {
                found[digest] = ContentIndex.Entry(size: entry.size, mediaType: mediaType)
            } else {
                unknown.append(digest)
            }
        }
        for answer in await ask(unknown) {
            switch answer.outcome {
            case .found(let content):
                found[answer.subject] = ContentIndex.Entry(size: content.size, mediaType: types[answer.subject])
            case .absent: continue
            case .failed(let error):
                isClear = false
                reportUnasked(answer.subject.text, error)
            }
        }
        return (found, !graph.unservable.contains(root.digest), isClear)
    }

    private func reportUnasked(_ subject: String, _ error: any Error) {
        logger.debug("content store request failed", metadata: ["about": "\(subject)", "reason": "\(error)"])
    }
}
