/// What the client was promised, how many bytes were taken for it, and how these are verified.
///
/// The caller owns bytes from when a peer sent them to when they were written to the client. Bytes that are taken
/// are either written at once (`none`), held as a whole until the digest was compared (`held`), or written but for the
/// last chunk (`trailing`).
package struct Delivery {
    /// How the bytes are verified before the client has all of them.
    package enum Verification: Sendable {
        /// Not at all: the digest is unknown, or only a part of the content comes, or there is no reason to.
        case none
        /// All of them are held until their digest was compared. -> `trailing`, if there is no room
        case held
        /// They are hashed on their way, and the last chunk is held until the digest was compared.
        case trailing
    }

    package private(set) var verification = Verification.none
    /// What the client was promised; `nil` before the head was sent.
    package private(set) var content: PromisedContent?
    /// How many bytes of the body were taken for the client, those held included.
    package private(set) var takenBytes: Int64 = 0
    /// The peers whose bytes were taken.
    package private(set) var sources: [String] = []
    /// Whether the peer whose body came last has verified the content before it sent it.
    var isCheckedByPeer = false

    /// Whether the bytes that are taken are hashed before the last of them leaves.
    package var isHashed: Bool { verification != .none }

    /// Whether nothing was taken or promised yet.
    var isUntouched: Bool { content == nil && takenBytes == 0 }

    /// How many bytes of what a peer promised have yet to come.
    func rest(of promised: PromisedContent) -> Int64 { promised.length - takenBytes }

    mutating func begin(_ verification: Verification) {
        self.verification = verification
    }

    mutating func take(_ count: Int64, from peerID: String?) {
        takenBytes += count
        guard count > 0, let peerID, sources.last != peerID else { return }
        sources.append(peerID)
    }

    /// Promises content to the client, unless some was promised before.
    ///
    /// - Returns: the head to send.
    mutating func promise(_ promised: PromisedContent) -> PromisedContent? {
        guard content == nil else { return nil }
        content = promised
        return promised
    }

    /// Drops all that was taken and held, as a peer failed: a digest must not be made of two peers' bytes.
    mutating func dropHeld() {
        takenBytes = 0
        sources = []
    }

    func checkInvariants() {
        assert(takenBytes >= 0)
        if let content { assert(takenBytes <= content.length) }
        if case .held = verification { assert(content == nil || takenBytes == content?.length) }
    }
}
