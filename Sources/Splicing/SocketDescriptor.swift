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

    /// Closes the descriptor now.
    package func close() {
        if let number = take() { _ = Glibc.close(number) }
    }
}
