import Glibc

/// A run of another program that only prints.
enum ProgramOutput {
    /// The total time for the program.
    static let timeout = Duration.seconds(5)
    /// The maximum size of its output in bytes.
    private static let limit = 4 << 20

    /// What the program printed, and whether it ended without an error; `nil` if it cannot be run.
    static func of(_ program: String, _ arguments: [String]) async -> (output: [UInt8], errors: [UInt8], isGood: Bool)?
    {
        guard let output = Pipe(), let errors = Pipe() else { return nil }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output.writer, 1)
        posix_spawn_file_actions_adddup2(&actions, errors.writer, 2)
        var words = ([program] + arguments).map { strdup($0) }
        defer { for word in words { free(word) } }
        words.append(nil)
        var process = pid_t()
        guard posix_spawn(&process, program, &actions, nil, words, environ) == 0 else { return nil }
        let deadline = ContinuousClock.now + timeout
        var status: Int32 = 0
        while waitpid(process, &status, WNOHANG) == 0 {
            output.drain(limit)
            errors.drain(limit)
            if ContinuousClock.now > deadline {
                kill(process, SIGKILL)
                waitpid(process, &status, 0)
                return nil
            }
            try? await Task.sleep(for: .milliseconds(5))
        }
        output.drain(limit)
        errors.drain(limit)
        return (output.bytes, errors.bytes, status == 0)
    }

    /// A pipe from the other program, read without waiting.
    private final class Pipe {
        let writer: Int32
        private let reader: Int32
        private(set) var bytes: [UInt8] = []

        init?() {
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0, let reader = ends.first, let writer = ends.last else { return nil }
            self.reader = reader
            self.writer = writer
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            _ = fcntl(reader, F_SETFL, O_NONBLOCK)
        }

        deinit {
            close(reader)
            close(writer)
        }

        /// Reads what is there, and drops what is beyond the limit.
        func drain(_ limit: Int) {
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            while true {
                let count = buffer.withUnsafeMutableBytes { read(reader, $0.baseAddress, $0.count) }
                guard count > 0 else { return }
                if bytes.count + count <= limit { bytes += buffer[..<count] }
            }
        }
    }
}
