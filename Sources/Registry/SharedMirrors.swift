import NIOCore
import OCI

/// The mirrored requests of one event loop whose answers others may wait for, so that many clients that want the same
/// small content at a time cost its holder one request.
///
/// Only content that is held back whole until its digest was checked is shared: whoever waits gets all of it, or begins
/// anew.
final class SharedMirrors {
    /// What requests have in common that can have one answer.
    struct Key: Hashable {
        var content: DistributionRequest
        var isHead: Bool
    }

    private var mirrors: [Key: SharedMirror] = [:]

    /// How many there are.
    var count: Int { mirrors.count }

    /// Has a client wait for the answer to another one's request for the same.
    ///
    /// - Returns: that request, if there is one.
    func join(_ key: Key, _ follower: SharedMirror.Follower) -> SharedMirror? {
        guard let mirror = mirrors[key] else { return nil }
        mirror.followers.append(follower)
        return mirror
    }

    /// Has whoever asks for the same from now on wait for a request.
    func lead(_ key: Key, now: NIODeadline) -> SharedMirror {
        let mirror = SharedMirror(key: key, started: now)
        mirrors[key] = mirror
        return mirror
    }

    /// Has nobody wait for a request any more.
    ///
    /// - Returns: those that did.
    func end(_ mirror: SharedMirror) -> [SharedMirror.Follower] {
        if mirrors[mirror.key] === mirror { mirrors[mirror.key] = nil }
        defer { mirror.followers = [] }
        return mirror.followers
    }
}

/// A request for whose answer other clients wait.
final class SharedMirror {
    /// A client that waits.
    struct Follower {
        var connection: RegistryConnection
        var exchange: Exchange.ID
        /// When its request came.
        var arrived: NIODeadline
    }

    /// How often a client has waited for another one's answer that was of no use to it, or did not come for a second.
    enum Turn {
        case first
        /// Once. All that are in this case can wait for one of them.
        case second
        /// Twice: it is now answered by itself.
        case alone

        var next: Self { self == .first ? .second : .alone }
    }

    let key: SharedMirrors.Key
    /// When the lookup began, or shortly before. That nobody was found says nothing to a client that came later: the
    /// content may have come to a node since.
    let started: NIODeadline
    fileprivate(set) var followers: [Follower] = []

    fileprivate init(key: SharedMirrors.Key, started: NIODeadline) {
        self.key = key
        self.started = started
    }
}
