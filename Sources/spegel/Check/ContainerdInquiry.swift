import ContainerdStore
import Glibc
import Logging
import NIOPosix

/// A single request for the setup of a containerd.
enum ContainerdInquiry {
    /// The total time for containerd to answer.
    static let timeout = Duration.seconds(5)

    /// What `containerd config dump` prints for a configuration file; `nil` if there is no containerd program to run.
    static func dump(
        _ place: SetupLookup.Place,
        _ setup: ContainerdSetup?
    ) async -> (output: [UInt8], errors: [UInt8], isGood: Bool)? {
        var programs: [String] = []
        if let processID = setup?.processID {
            programs = ["/proc/\(processID)/exe"]
        } else if place == SetupLookup.Place(path: SetupLookup.usualPath) {
            // Another file may belong to another containerd.
            programs = ["/usr/bin/containerd", "/usr/local/bin/containerd"]
        }
        guard let program = programs.first(where: { access($0, X_OK) == 0 }) else { return nil }
        return await ProgramOutput.of(program, ["--config", place.root + place.path, "config", "dump"])
    }

    /// The setup, or why there is no answer.
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
                // The connection takes some time.
                guard ContinuousClock.now + .milliseconds(100) < deadline else { return .failure(.init(error)) }
                try? await Task.sleep(for: .milliseconds(100))
            }
        }
    }
}
