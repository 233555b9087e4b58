import Glibc
import Synchronization

/// The owner of a file descriptor. The last reference closes the descriptor, unless ``take()`` handed it out before.
package final class SocketDescriptor: Sendable {
    private let value: Atomic<Int32>

    /// Takes ownership of an open descriptor.
    package init(takingOver number: Int32) {
        value = Atomic(number)
    }

    deinit { close() }

    /// The descriptor; -1 after ``take()`` or ``close()``.
    package var number: Int32 { value.load(ordering: .relaxed) }

    /// Hands the descriptor to the caller, who has to close it.
    package func take() -> Int32? {
        let number = value.exchange(-1, ordering: .relaxed)
        return number >= 0 ? number : nil
    }

    /// Sets the bytes with which the socket counts as readable. Its end, an error and a full buffer always count.
    ///
    /// - Returns: whether the system accepted it.
    func setLowWater(_ count: Int) -> Bool {
        var count = Int32(clamping: count)
        return setsockopt(number, SOL_SOCKET, SO_RCVLOWAT, &count, socklen_t(MemoryLayout.size(ofValue: count))) == 0
    }

    /// Closes the descriptor now.
    package func close() {
        if let number = take() { _ = Glibc.close(number) }
    }
}
