import ContentStore
import Logging
import OCI
import Synchronization
import Time

/// What the tracker does while the store is unavailable.
extension StateTracker {
    /// The delay before the next retry. It doubles until the store was read again.
    func takeRetryDelay() -> Duration {
        state.withLock { state in
            let delay = state.retryDelay ?? configuration.retryDelay.first
            let isLost = state.failure?.isLost ?? false
            let longest = isLost ? configuration.lostRetryDelay : configuration.retryDelay.longest
            state.retryDelay = min(delay * 2, longest)
            return delay
        }
    }

    /// Handles the end of a watch or a failed reading.
    func storeFailed(_ error: any Error) async {
        let text = "\(error)"
        let isLost = error is any LostContent
        let (isNew, wasRead) = state.withLock { state in
            let isNew = state.failure == nil
            state.failure = Failure(text: text, since: state.failure?.since ?? .now, isLost: isLost)
            if isNew { state.outages += 1 }
            return (isNew, state.synchronised)
        }
        // Warns once for each outage. An admin needs the fact, not a line for each attempt.
        logger.log(
            level: isNew ? .warning : .debug,
            "content store unavailable, retrying",
            metadata: ["reason": "\(text)"]
        )
        if isLost {
            await withdrawLost()
        } else if isNew, !wasRead {
            await shareContentOnDisk()
        }
    }

    /// Shares the content on disk, which needs no store. Its origin is unknown, so it is withheld with a filter.
    private func shareContentOnDisk() async {
        guard filter.sharesAllContent else { return }
        do {
            let contents = try await store.contentsOnDisk()
            guard !contents.isEmpty else { return }
            let keys = Set(contents.map(\.digest.text))
            for content in contents { index.insert(content.digest, size: content.size, mediaType: nil) }
            state.withLock { state in
                state.advertised.formUnion(keys)
                state.contentsOnDisk = contents.count
            }
            await router.advertise(keys.sorted())
            logger.info(
                "sharing the content folder until the content store is available",
                metadata: ["contents": "\(contents.count)"]
            )
        } catch {
            logger.debug("content folder unreadable", metadata: ["reason": "\(error)"])
        }
    }

    /// Withdraws everything: nothing can be served until the store is back.
    private func withdrawLost() async {
        let keys: Set<String>? = state.withLock { state in
            guard state.synchronised else { return nil }
            defer { state.forgetContent() }
            return state.advertised
        }
        guard let keys else { return }
        index.replace(contents: [:], tags: [:])
        if !keys.isEmpty { await router.withdraw(keys.sorted()) }
    }
}
