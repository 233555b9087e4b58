import Mirroring
import NIOCore

/// What becomes of the requests that follow this one.
extension MirrorSession {
    /// Gives the followers of this answer all of it, too.
    ///
    /// - Parameters:
    ///   - bytes: the body; `nil` where none follows the head.
    ///   - release: to be called once, when the body has left to all.
    /// - Returns: what is to be called when it has left to the client.
    func share(_ bytes: ByteBuffer?, release: @escaping @Sendable () -> Void = {}) -> @Sendable () -> Void {
        guard let (_, followers) = endSharing(), !followers.isEmpty else { return release }
        let shared = SharedRelease(users: followers.count + 1, release)
        for follower in followers { follower.share(.complete, of: transfer, bytes) { shared.leave() } }
        return { shared.leave() }
    }

    /// Tells the followers of this answer that it is not for them. Those that came before the lookup began share that
    /// there is no content; all others look anew, one for all if they can.
    func refuseToShare(_ ending: TransferEnding?) {
        guard let (mirror, followers) = endSharing() else { return }
        for follower in followers {
            if let ending, [.notFound, .unavailable, .overloaded].contains(ending), follower.arrived <= mirror.started {
                follower.share(ending, of: transfer, nil) {}
            } else {
                eventLoop.assumeIsolated().execute { follower.lookAnew(isInVain: ending != .clientGone) }
            }
        }
    }
}
