import Glibc
import Synchronization

/// A program that a test has started.
final class ChildProcess: Sendable {
    let pid: pid_t
    private let status = Mutex<Int32?>(nil)

    /// Starts a program from PATH, with its output in a file.
    init(_ arguments: [String], output: String) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        words.append(nil)
        defer { for word in words { free(word) } }
        var pid: pid_t = 0
        let result = posix_spawnp(&pid, arguments.first ?? "", &actions, nil, words, environ)
        guard result == 0 else { throw TestError("cannot start \(arguments): error \(result)") }
        self.pid = pid
    }

    deinit {
        wait()
    }

    /// Waits for the end of the program and returns its wait status.
    @discardableResult
    func wait() -> Int32 {
        status.withLock { status in
            if let status { return status }
            var result: Int32 = 0
            while waitpid(pid, &result, 0) < 0, errno == EINTR {}
            status = result
            return result
        }
    }

    /// Runs a program to its end and returns its output. Throws when it fails.
    static func run(_ arguments: [String]) throws -> String {
        var template = Array("/tmp/spegel-output-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else { throw TestError("cannot create a temporary file") }
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer {
            close(descriptor)
            unlink(path)
        }
        let status = try ChildProcess(arguments, output: path).wait()
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while case let count = Glibc.read(descriptor, &buffer, buffer.count), count > 0 {
            bytes += buffer.prefix(count)
        }
        let output = String(decoding: bytes, as: UTF8.self)
        guard status == 0 else { throw TestError("\(arguments) failed with status \(status): \(output)") }
        return output
    }
}
