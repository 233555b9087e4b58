import Mirroring
import NIOCore
import OCI

/// The mirrored requests of one event loop whose answers others may wait for, so that many clients that ask for the
/// same small content at a time cost its holder one request.
///
/// A request is shared only if all of its content waits until its digest was verified: each follower gets all of it, or
/// starts over.
final class SharedMirrors {
    /// What requests have in common that can have one answer.
    struct Key: Hashable {
        var content: DistributionRequest
        var isHead: Bool
    }

    private var mirrors: [Key: SharedMirror] = [:]

    /// Finds the request for the same that can be followed, or lets others follow this one from now on.
    ///
    /// - Returns: the request that others may follow, and whether it is this one.
    func join(_ key: Key, now: NIODeadline) -> (mirror: SharedMirror, isLeader: Bool) {
        Self.join(&mirrors[key], key, now: now)
    }

    private static func join(
        _ entry: inout SharedMirror?,
        _ key: Key,
        now: NIODeadline
    ) -> (mirror: SharedMirror, isLeader: Bool) {
        if let entry { return (entry, false) }
        let mirror = SharedMirror(key: key, started: now)
        entry = mirror
        return (mirror, true)
    }

    /// No others may follow a request any more. That is done once for each.
    ///
    /// - Returns: its followers.
    func end(_ mirror: SharedMirror) -> [any MirrorFollower] {
        let ended = mirrors.removeValue(forKey: mirror.key)
        assert(ended === mirror)
        return mirror.takeFollowers()
    }
}

/// A request whose answer other clients wait for.
final class SharedMirror {
    fileprivate let key: SharedMirrors.Key
    /// When the lookup began, or shortly before. That it has found no provider says nothing to a client that came
    /// later: the content may have come to a node since.
    let started: NIODeadline
    private var followers: [any MirrorFollower] = []

    fileprivate init(key: SharedMirrors.Key, started: NIODeadline) {
        self.key = key
        self.started = started
    }

    /// Has a client wait for the answer.
    func add(_ follower: any MirrorFollower) {
        followers.append(follower)
    }

    fileprivate func takeFollowers() -> [any MirrorFollower] {
        defer { followers = [] }
        return followers
    }
}

/// A client that waits for the answer to another one's request. It hears of one of the two, once.
protocol MirrorFollower: AnyObject {
    /// When its request came.
    var arrived: NIODeadline { get }
    /// The answer is for it too.
    ///
    /// - Parameters:
    ///   - bytes: the body; `nil` where none follows the head.
    ///   - whenSent: called once, when the bytes have left or cannot leave any more.
    func share(
        _ ending: TransferEnding,
        of transfer: Transfer,
        _ bytes: ByteBuffer?,
        whenSent: @escaping @Sendable () -> Void
    )
    /// The answer is not for it.
    ///
    /// - Parameter isInVain: `false` where the other request ended only because its client left.
    func lookAnew(isInVain: Bool)
}
