import Glibc

/// Keeps the current input in a file, so that it is there when the program traps on it.
///
/// The file is mapped into memory: keeping an input costs a copy and no call of the system. When the program traps or
/// hangs, a signal handler cuts the file to the input's length and says where it is.
struct InputRecorder {
    /// The longest time that an input may take, in seconds.
    static let timeLimit: UInt32 = 20

    private let memory: UnsafeMutableRawPointer
    private let capacity: Int

    /// - Parameters:
    ///   - path: the file; what was in it is lost.
    ///   - capacity: the longest input, in bytes.
    ///   - target: who is fed, for the message.
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

    /// To be called before each input is fed.
    func record(_ input: [UInt8]) {
        input.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return }
            memory.copyMemory(from: start, byteCount: min(bytes.count, capacity))
        }
        trapped.length = input.count
        alarm(Self.timeLimit)
    }

    /// Ends the watch; the file is gone.
    func finish(path: String) {
        alarm(0)
        munmap(memory, capacity)
        unlink(path)
    }
}

/// What the signal handler needs. The program has one thread.
private struct Trapped {
    var descriptor: Int32 = -1
    var length = 0
    var message: UnsafeMutablePointer<CChar>?
}

private nonisolated(unsafe) var trapped = Trapped()

/// Calls nothing but what a signal handler may call.
private func onTrap(_ number: Int32) {
    _ = ftruncate(trapped.descriptor, trapped.length)
    if let message = trapped.message { _ = write(STDERR_FILENO, message, strlen(message)) }
    signal(number, SIG_DFL)
    raise(number)
}
