/// The result of one attempt to move bytes between two descriptors.
package enum MoveOutcome: Hashable, Sendable {
    /// The number of bytes that moved.
    case moved(Int)
    /// No byte can move now.
    case wouldBlock
    /// The source has ended: there is nothing more to read.
    case closed
    /// The system call failed with this error number.
    case failed(Int32)
}
