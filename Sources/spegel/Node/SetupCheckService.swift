import ContainerdStore
import Logging
import NodeConfiguration
import Routing
import ServiceLifecycle

/// Checks containerd's setup once it answers, and logs what prevents sharing.
struct SetupCheckService: Service {
    let store: ContainerdStore
    let tracker: StateTracker
    let options: RegistryCommand
    let logger: Logger

    /// containerd's setup prevents sharing.
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

    /// The advice; `nil` also if the task is cancelled before.
    private func adviceUnlessCancelled() async -> String? {
        let (answers, continuation) = AsyncStream.makeStream(of: String?.self, bufferingPolicy: .bufferingNewest(1))
        // A call to containerd does not notice its cancellation if its connection ends at that moment. The node leaves it
        // to its own deadline instead of waiting.
        let task = Task { continuation.yield(await firstAdvice()) }
        defer { task.cancel() }
        return await answers.first { _ in true } ?? nil
    }

    /// Waits until containerd answers; `nil` if its setup is good, or the node ends before.
    private func firstAdvice() async -> String? {
        var delay = Duration.milliseconds(250)
        while !Task.isCancelled {
            do {
                return try await advice()
            } catch {
                // The state tracker waits for containerd, and logs that.
                logger.debug("containerd not answering yet", metadata: ["reason": "\(error)"])
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
            logger.debug("containerd's CRI plugin not running; settings not checked")
        }
        var imagesWithoutLayers = 0
        if setup.hasCRI, setup.discardsUnpackedLayers == nil {
            // The first reading of the store shows it.
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

    /// Adds what only containerd's configuration file says, if it can be read.
    private func lookUp(_ setup: inout ContainerdSetup) {
        guard setup.registryConfigPath == nil || setup.discardsUnpackedLayers == nil,
            let place = SetupLookup.place(setup, socket: options.containerdSock),
            let file = ContainerdConfigurationFile.read(place.path, root: place.root)
        else { return }
        SetupLookup.add(file, to: &setup)
    }
}
