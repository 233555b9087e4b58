import NIOCore
import Synchronization

/// The channels of a dial, so that cancellation closes them at once.
final class DialHandle: Sendable {
    private enum State {
        case dialling([any Channel])
        case cancelled
    }

    private let state = Mutex(State.dialling([]))

    /// Adds a connecting channel. Closes it if the dial was cancelled before.
    func attach(_ channel: any Channel) {
        let isCancelled = state.withLock { state in
            switch state {
            case .dialling(let channels):
                state = .dialling(channels + [channel])
                return false
            case .cancelled:
                return true
            }
        }
        if isCancelled { channel.close(promise: nil) }
    }

    /// Closes all channels, also those that are attached later.
    func cancel() {
        let channels = state.withLock { state -> [any Channel] in
            defer { state = .cancelled }
            return if case .dialling(let channels) = state { channels } else { [] }
        }
        for channel in channels { channel.close(promise: nil) }
    }
}
