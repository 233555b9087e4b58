import CSplice
import Glibc
import Synchronization

/// A pipe through which the kernel moves bytes from one socket to another.
final class SplicePipe: Sendable {
    /// How many bytes are moved to the pipe at a time, and asked for as its size. The most memory that a transfer takes
    /// beyond the buffers of its two sockets.
    static let size = 256 << 10

    private static let setSize: Int32 = 1031  // F_SETPIPE_SZ
    /// SPLICE_F_MOVE and SPLICE_F_NONBLOCK.
    private static let flags: UInt32 = 1 | 2

    private let output: Int32
    private let input: Int32

    /// Makes a pipe, or gives `nil` when the system has none to give.
    init?() {
        var ends: [Int32] = [-1, -1]
        guard pipe2(&ends, O_CLOEXEC | O_NONBLOCK) == 0 else { return nil }
        output = ends[0]
        input = ends[1]
        // A user who is not privileged may have only so many pages in pipes; one of the usual size does as well.
        _ = fcntl(input, Self.setSize, Int32(Self.size))
    }

    deinit {
        close(output)
        close(input)
    }

    /// Moves bytes from a socket into the pipe, which must be empty.
    func fill(from socket: Int32, _ count: Int) -> SpliceProgress.Outcome {
        switch Self.move(from: socket, to: input, count) {
        case .moved(0): .closed
        case let outcome: outcome
        }
    }

    /// Moves bytes from the pipe to a socket.
    func drain(to socket: Int32, _ count: Int) -> SpliceProgress.Outcome {
        Self.move(from: output, to: socket, count)
    }

    /// Copies the first bytes in the pipe to another one, which must be empty, and leaves them. No byte is moved for it.
    func copy(to other: SplicePipe, _ count: Int) -> SpliceProgress.Outcome {
        Self.call { tee(output, other.input, count, Self.flags) }
    }

    /// Takes bytes out of the pipe.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> SpliceProgress.Outcome {
        Self.call { Glibc.read(output, buffer.baseAddress, buffer.count) }
    }

    private static func move(from source: Int32, to target: Int32, _ count: Int) -> SpliceProgress.Outcome {
        call { splice(source, nil, target, nil, count, flags) }
    }

    private static func call(_ function: () -> Int) -> SpliceProgress.Outcome {
        while true {
            let result = function()
            guard result < 0 else { return .moved(result) }
            let number = errno
            if number == EINTR { continue }
            return number == EAGAIN ? .wouldBlock : .failed(number)
        }
    }
}

/// Pipes that are empty and wait for their next use: making one costs more than moving a small body.
final class SplicePipes: Sendable {
    /// The most that are kept.
    static let limit = 16

    private let idle = Mutex<[SplicePipe]>([])

    /// A pipe that is empty, or `nil` when the system has none to give.
    func take() -> SplicePipe? {
        idle.withLock { $0.popLast() } ?? SplicePipe()
    }

    /// Takes back a pipe that is empty again.
    func put(_ pipe: SplicePipe) {
        idle.withLock { idle in
            if idle.count < Self.limit { idle.append(pipe) }
        }
    }

    /// Closes those that are kept.
    func clear() {
        let old = idle.withLock { idle in
            defer { idle = [] }
            return idle
        }
        withExtendedLifetime(old) {}
    }
}
