import ContainerdStore
import ContentStore
import Glibc
import Logging
import NIOPosix
import OCI

/// A containerd process with root, state, socket and configuration in a temporary folder.
///
/// `SPEGEL_TEST_CONTAINERD` names the folder of another containerd and ctr than those in PATH.
final class RealContainerd: Sendable {
    /// Whether the tests can run it. In CI they must: a test that cannot run it fails.
    static let isAvailable = isCI || (geteuid() == 0 && find("containerd") != nil && find("ctr") != nil)
    static let isCI = getenv("CI").map { String(cString: $0) } == "true"

    let folder: TemporaryFolder

    var socketPath: String { "\(folder.path)/containerd.sock" }
    var contentPath: String { "\(folder.path)/root/io.containerd.content.v1.content" }

    /// Writes the configuration and starts it.
    ///
    /// - Parameter cri: the tables of the CRI plugin, in version 2 of the format; without them it is disabled.
    init(cri: String? = nil) async throws {
        folder = try TemporaryFolder()
        let disabled = """
            disabled_plugins = [
              "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime",
            ]
            """
        let configuration = """
            version = 2
            root = "\(folder.path)/root"
            state = "\(folder.path)/state"
            \(cri == nil ? disabled : "")
            [grpc]
              address = "\(folder.path)/containerd.sock"
            [ttrpc]
              address = "\(folder.path)/containerd.sock.ttrpc"
            [plugins."io.containerd.internal.v1.opt"]
              path = "\(folder.path)/opt"
            [plugins."io.containerd.nri.v1.nri"]
              disable = true
            \(cri ?? "")
            """
        try folder.write("config.toml", Array(configuration.utf8))
        try await start()
    }

    deinit {
        signal(SIGKILL)
    }

    /// Starts it and waits until it responds.
    func start() async throws {
        guard let program = Self.find("containerd") else { throw TestError("containerd is not installed") }
        unlink("\(folder.path)/pid")
        // The outer shell ends containerd if the test process is killed.
        let script = "echo $$ >\(folder.path)/pid.new && mv \(folder.path)/pid.new \(folder.path)/pid && exec \"$@\""
        let command = ["sh", "-c", script, "sh", program, "--config", "\(folder.path)/config.toml"]
        let child = try ChildProcess(
            ["timeout", "--foreground", "-s", "KILL", "300"] + command,
            output: "\(folder.path)/log"
        )
        // Reaps the process in the background.
        Task.detached { child.wait() }
        for _ in 0..<200 {
            if (try? ctr("version")) != nil { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw TestError("containerd does not respond; its log:\n\(log)")
    }

    /// Its output so far.
    var log: String {
        String(decoding: folder.read("log") ?? [], as: UTF8.self)
    }

    /// Sends a signal to it.
    func signal(_ number: Int32) {
        guard let text = folder.read("pid"), let pid = pid_t(String(decoding: text.dropLast(), as: UTF8.self)) else {
            return
        }
        kill(pid, number)
    }

    /// Runs a command of ctr.
    @discardableResult
    func ctr(namespace: String = "k8s.io", _ arguments: String...) throws -> String {
        guard let program = Self.find("ctr") else { throw TestError("ctr is not installed") }
        return try ChildProcess.run([program, "--address", socketPath, "--namespace", namespace] + arguments)
    }

    /// Imports an image.
    func load(_ archive: ImageArchive) throws {
        try ctr("images", "import", "--no-unpack", archive.path)
    }

    private static func find(_ program: String) -> String? {
        let folders = getenv("SPEGEL_TEST_CONTAINERD") ?? getenv("PATH")
        return folders.map { String(cString: $0) }?.split(separator: ":").map { "\($0)/\(program)" }
            .first { access($0, X_OK) == 0 }
    }
}

/// Runs a store during `body`, then waits for its end.
func withStore<Result: Sendable>(
    socketPath: String,
    namespace: String = "k8s.io",
    contentPath: String? = nil,
    deadlines: ContainerdStore.Deadlines = .init(),
    _ body: (ContainerdStore) async throws -> Result
) async throws -> Result {
    let store = try ContainerdStore(
        socketPath: socketPath,
        namespace: namespace,
        contentPath: contentPath,
        group: MultiThreadedEventLoopGroup.singleton,
        logger: Logger(label: "test"),
        deadlines: deadlines
    )
    return try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await store.run() }
        do {
            let result = try await body(store)
            store.close()
            try await group.waitForAll()
            return result
        } catch {
            group.cancelAll()
            throw error
        }
    }
}

/// All bytes of a range of content, and the size of the largest chunk.
func collect(_ reader: any ContentReader, _ range: Range<Int64>) async throws -> (bytes: [UInt8], largest: Int) {
    var bytes: [UInt8] = []
    var largest = 0
    for try await chunk in reader.read(range) {
        bytes += chunk
        largest = max(largest, chunk.count)
    }
    return (bytes, largest)
}

/// Retries until the call succeeds, for at most 10 seconds.
func eventually<Result>(_ call: () async throws -> Result) async throws -> Result {
    for _ in 0..<200 {
        if let result = try? await call() { return result }
        try await Task.sleep(for: .milliseconds(50))
    }
    return try await call()
}
