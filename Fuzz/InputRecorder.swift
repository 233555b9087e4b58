import Glibc

/// Records the current input in a file, so that it survives when the program traps on it.
///
/// The file is mapped into memory, so that recording costs a copy and no system call. When the program traps or hangs,
/// a signal handler truncates the file to the input's length and prints its path.
struct InputRecorder {
    /// The maximum time of an input in seconds.
    static let timeLimit: UInt32 = 20

    private let memory: UnsafeMutableRawPointer
    private let capacity: Int

    /// - Parameters:
    ///   - path: the file; its content is overwritten.
    ///   - capacity: the maximum length of an input in bytes.
    ///   - target: the target for the message.
    init(path: String, capacity: Int, target: String) throws {
        let descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0, ftruncate(descriptor, capacity) == 0,
            let memory = mmap(nil, capacity, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), memory != MAP_FAILED
        else { throw FuzzError("cannot map \(path): \(String(cString: strerror(errno)))") }
        self.memory = memory
        self.capacity = capacity
        if trapped.descriptor >= 0 { close(trapped.descriptor) }
        free(trapped.message)
        trapped.descriptor = descriptor
        trapped.message = strdup(
            "\nspegel-fuzz: \(target) failed; repeat with: spegel-fuzz --replay \(path) \(target)\n"
        )
        for number in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGALRM] { signal(number, onTrap) }
    }

    /// Must be called before each input.
    func record(_ input: [UInt8]) {
        input.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return }
            memory.copyMemory(from: start, byteCount: min(bytes.count, capacity))
        }
        trapped.length = input.count
        alarm(Self.timeLimit)
    }

    /// Ends recording and removes the file.
    func finish(path: String) {
        alarm(0)
        munmap(memory, capacity)
        unlink(path)
    }
}

/// The data of the signal handler. The program has one thread.
private struct Trapped {
    var descriptor: Int32 = -1
    var length = 0
    var message: UnsafeMutablePointer<CChar>?
}

private nonisolated(unsafe) var trapped = Trapped()

/// Calls only functions that are safe in a signal handler.
private func onTrap(_ number: Int32) {
    _ = ftruncate(trapped.descriptor, trapped.length)
    if let message = trapped.message { _ = write(STDERR_FILENO, message, strlen(message)) }
    signal(number, SIG_DFL)
    raise(number)
}
