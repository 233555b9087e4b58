import NIOCore
import OCI

/// What a client gets by way of another one's request for the same.
extension RegistryConnection {
    /// Has the request that is being answered wait for another one, or others for it from now on.
    ///
    /// - Parameter begin: carries the request out, for those too that wait for it.
    func share(_ request: ContentRequest, turn: SharedMirror.Turn, begin: (SharedMirror?) -> Void) {
        guard let exchange, turn != .alone, let key = services.sharedKey(of: request) else { return begin(nil) }
        let follower = SharedMirror.Follower(connection: self, exchange: exchange.id, arrived: exchange.started)
        if let mirror = loop.sharedMirrors.join(key, follower) {
            self.exchange?.following = (mirror, turn)
        } else {
            begin(loop.sharedMirrors.lead(key, now: .now()))
        }
    }

    /// Looks for content anew that this client has waited for, if it still does.
    ///
    /// - Parameter isInVain: whether the answer came and was of no use.
    func mirrorAnew(_ id: Exchange.ID, insteadOf mirror: SharedMirror, isInVain: Bool = true) {
        guard let (request, turn) = followed(id, mirror) else { return }
        exchange?.following = nil
        self.mirror(request, turn: isInVain ? turn.next : turn)
    }

    /// Looks for content anew that this client has waited for, since the other request takes long.
    func stopFollowing() {
        guard let exchange, let mirror = exchange.following?.mirror else { return }
        mirrorAnew(exchange.id, insteadOf: mirror)
    }

    /// Takes the answer that this client has waited for.
    ///
    /// - Parameters:
    ///   - bytes: the body; `nil` where none follows the head.
    ///   - whenSent: called once, when they have left or cannot leave any more.
    func mirrorShares(
        _ ending: MirrorEnding,
        of transfer: MirrorTransfer,
        _ bytes: ByteBuffer?,
        of mirror: SharedMirror,
        to id: Exchange.ID,
        whenSent: @escaping @Sendable () -> Void
    ) {
        guard let (request, _) = followed(id, mirror), let started = exchange?.started else { return whenSent() }
        exchange?.following = nil
        if ending == .complete, let content = transfer.content {
            mirrorSends(head: content, source: transfer.lastAddress)
        }
        if let bytes { mirrorSends(body: bytes, whenSent: whenSent) } else { whenSent() }
        mirrorEnds(ending)
        // The client does not wait for it.
        let report = MirrorReport(request, services: services, started: started)
        report.countShared(ending, of: transfer)
        report.log(ending, of: transfer, isShared: true)
    }

    private func followed(
        _ id: Exchange.ID,
        _ mirror: SharedMirror
    ) -> (request: ContentRequest, turn: SharedMirror.Turn)? {
        guard let exchange, exchange.id == id, let following = exchange.following, following.mirror === mirror,
            let request = exchange.content
        else { return nil }
        return (request, following.turn)
    }
}

extension RegistryServices {
    /// Under what a request can be shared; `nil` where its content may be too large to be held back whole.
    func sharedKey(of request: ContentRequest) -> SharedMirrors.Key? {
        guard request.range == nil else { return nil }
        let key = SharedMirrors.Key(content: request.content, isHead: request.isHead)
        guard request.content.kind == .blob, !request.isHead else { return key }
        guard case .digest(let digest) = request.content.target, let size = knownSize(digest) else { return nil }
        return size <= transferLimits.checkedSize ? key : nil
    }
}

extension MirrorSession {
    /// Gives those that wait for this answer all of it, too.
    ///
    /// - Parameters:
    ///   - bytes: the body; `nil` where none follows the head.
    ///   - release: what is to be called once, when it has left to all.
    /// - Returns: what is to be called when it has left to the client.
    func share(_ bytes: ByteBuffer?, release: @escaping @Sendable () -> Void = {}) -> @Sendable () -> Void {
        guard let (mirror, followers) = endSharing(), !followers.isEmpty else { return release }
        let shared = SharedRelease(users: followers.count + 1, release)
        for follower in followers {
            follower.connection.mirrorShares(.complete, of: transfer, bytes, of: mirror, to: follower.exchange) {
                shared.leave()
            }
        }
        return { shared.leave() }
    }

    /// Tells those that wait that this answer is none for them: those that came before the lookup began have the same
    /// answer where it is that there is no content, all others look anew, one for all if they can.
    func refuseToShare(_ ending: MirrorEnding?) {
        guard let (mirror, followers) = endSharing() else { return }
        for follower in followers {
            let connection = follower.connection
            if let ending, [.notFound, .unavailable, .overloaded].contains(ending), follower.arrived <= mirror.started {
                connection.mirrorShares(ending, of: transfer, nil, of: mirror, to: follower.exchange) {}
            } else {
                eventLoop.assumeIsolated().execute {
                    connection.mirrorAnew(follower.exchange, insteadOf: mirror, isInVain: ending != .clientGone)
                }
            }
        }
    }
}
