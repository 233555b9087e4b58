import CSplice
import Glibc
import Synchronization

/// A pipe through which the kernel moves bytes from one socket to another.
final class SplicePipe: Sendable {
    /// The most bytes in the pipe, and the size that is asked of the kernel. A transfer needs no more memory than this
    /// beyond the buffers of its two sockets.
    static let size = 256 << 10

    private static let setSize: Int32 = 1031  // F_SETPIPE_SZ
    /// SPLICE_F_MOVE and SPLICE_F_NONBLOCK.
    private static let flags: UInt32 = 1 | 2

    private let output: Int32
    private let input: Int32

    /// A new pipe, or `nil` if the system has no descriptors left.
    init?() {
        var ends: [Int32] = [-1, -1]
        guard pipe2(&ends, O_CLOEXEC | O_NONBLOCK) == 0 else { return nil }
        output = ends[0]
        input = ends[1]
        // The kernel limits the pages that an unprivileged user has in pipes. A pipe of the default size works too.
        _ = fcntl(input, Self.setSize, Int32(Self.size))
    }

    deinit {
        close(output)
        close(input)
    }

    /// Moves bytes from a socket into the pipe, which must be empty.
    func fill(from socket: Int32, _ count: Int) -> MoveOutcome {
        switch Self.move(from: socket, to: input, count) {
        case .moved(0): .closed
        case let outcome: outcome
        }
    }

    /// Moves bytes from the pipe to a socket.
    func drain(to socket: Int32, _ count: Int) -> MoveOutcome {
        Self.move(from: output, to: socket, count)
    }

    /// Copies the first bytes in the pipe to another pipe, which must be empty. The bytes stay, and the kernel only counts a
    /// second reference to their pages.
    func copy(to other: SplicePipe, _ count: Int) -> MoveOutcome {
        Self.call { tee(output, other.input, count, Self.flags) }
    }

    /// Reads bytes out of the pipe.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> MoveOutcome {
        Self.call { Glibc.read(output, buffer.baseAddress, buffer.count) }
    }

    private static func move(from source: Int32, to target: Int32, _ count: Int) -> MoveOutcome {
        call { splice(source, nil, target, nil, count, flags) }
    }

    private static func call(_ function: () -> Int) -> MoveOutcome {
        while true {
            let result = function()
            guard result < 0 else { return .moved(result) }
            let number = errno
            if number == EINTR { continue }
            return number == EAGAIN ? .wouldBlock : .failed(number)
        }
    }
}

/// A pool of empty pipes. Making a pipe costs more than moving a small body through it.
final class SplicePipePool: Sendable {
    /// The most pipes in the pool.
    static let limit = 16

    private let idle = Mutex<[SplicePipe]>([])

    /// An empty pipe, or `nil` if the system has no descriptors left.
    func take() -> SplicePipe? {
        idle.withLock { $0.popLast() } ?? SplicePipe()
    }

    /// Returns an empty pipe to the pool.
    func put(_ pipe: SplicePipe) {
        idle.withLock { idle in
            if idle.count < Self.limit { idle.append(pipe) }
        }
    }

    /// Closes the pipes in the pool.
    func clear() {
        let old = idle.withLock { idle in
            defer { idle = [] }
            return idle
        }
        withExtendedLifetime(old) {}
    }
}
