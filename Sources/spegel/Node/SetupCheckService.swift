import ContainerdStore
import Logging
import NodeConfiguration
import Routing
import ServiceLifecycle

/// Looks, once containerd answers, whether it is set up so that its images can be shared, and says so if not.
struct SetupCheckService: Service {
    let store: ContainerdStore
    let tracker: StateTracker
    let options: RegistryCommand
    let logger: Logger

    /// containerd keeps images from being shared.
    struct NotSetUp: Error, CustomStringConvertible {
        let advice: String

        var description: String { "containerd is not set up for sharing: \(advice)" }
    }

    func run() async throws {
        if let advice = await cancelWhenGracefulShutdown({ await adviceUnlessCancelled() }) {
            let problem = NotSetUp(advice: advice)
            guard !options.strict.isOn else { throw problem }
            logger.warning("\(problem)")
        }
        try? await gracefulShutdown()
    }

    /// What there is to tell; `nil` as well when the task is cancelled before.
    private func adviceUnlessCancelled() async -> String? {
        let (answers, continuation) = AsyncStream.makeStream(of: String?.self, bufferingPolicy: .bufferingNewest(1))
        // A call to containerd whose connection ends at the moment that it is made does not notice that it is cancelled.
        // It is left to its own deadline then, so that the node need not wait for it.
        let task = Task { continuation.yield(await firstAdvice()) }
        defer { task.cancel() }
        return await answers.first { _ in true } ?? nil
    }

    /// Waits until containerd answers; `nil` when nothing is wrong with it, or the node ends before.
    private func firstAdvice() async -> String? {
        var delay = Duration.milliseconds(250)
        while !Task.isCancelled {
            do {
                return try await advice()
            } catch {
                // The state tracker waits for containerd and tells of it.
                logger.debug("containerd does not answer yet", metadata: ["reason": "\(error)"])
            }
            try? await Task.sleep(for: delay)
            delay = min(delay * 2, .seconds(10))
        }
        return nil
    }

    private func advice() async throws -> String? {
        var setup = try await store.setup()
        logger.info("connected to containerd", metadata: ["version": "\(setup.version)"])
        if setup.hasCRI {
            lookUp(&setup)
        } else {
            logger.debug("containerd's CRI plugin does not run; its settings are not checked")
        }
        var imagesWithoutLayers = 0
        if setup.hasCRI, setup.discardsUnpackedLayers == nil {
            // What the first reading of the store found says it.
            while tracker.snapshot.lastComparison == nil { try await Task.sleep(for: .milliseconds(200)) }
            imagesWithoutLayers = tracker.snapshot.imagesWithoutLayers
        }
        return SetupCheck(
            setup,
            registryConfigPath: options.containerdRegistryConfigPath,
            folderProblem: try await store.contentFolderProblem(),
            imagesWithoutLayers: imagesWithoutLayers
        ).advice
    }

    /// Adds what containerd did not tell and its configuration file says, where that is within reach.
    private func lookUp(_ setup: inout ContainerdSetup) {
        guard setup.registryConfigPath == nil || setup.discardsUnpackedLayers == nil,
            let place = SetupLookup.place(setup, socket: options.containerdSock),
            let file = ContainerdConfigurationFile.read(place.path, root: place.root)
        else { return }
        SetupLookup.add(file, to: &setup)
    }
}
