import ContainerdStore
import Logging
import NIOPosix

/// Asks a containerd once how it is set up.
enum ContainerdInquiry {
    /// How long containerd may take in all.
    static let timeout = Duration.seconds(5)

    /// What it tells, or why it tells nothing.
    static func setup(socket: String) async -> Result<ContainerdSetup, ConfigurationCheck.Reason> {
        if let fault = ContainerdStore.socketProblem(path: socket) { return .failure(.init(fault)) }
        let store: ContainerdStore
        do {
            store = try ContainerdStore(
                socketPath: socket,
                namespace: ContainerdStore.Defaults.namespace,
                contentPath: nil,
                group: MultiThreadedEventLoopGroup.singleton,
                logger: Logger(label: "spegel") { _ in SwiftLogNoOpLogHandler() }
            )
        } catch {
            return .failure(.init(error))
        }
        let connection = Task { try await store.run() }
        defer {
            store.close()
            connection.cancel()
        }
        let deadline = ContinuousClock.now + timeout
        while true {
            do {
                return .success(try await store.setup())
            } catch {
                // The connection takes its time to come about.
                guard ContinuousClock.now + .milliseconds(100) < deadline else { return .failure(.init(error)) }
                try? await Task.sleep(for: .milliseconds(100))
            }
        }
    }
}
